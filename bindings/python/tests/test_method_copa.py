"""CoPA-Merging against NumPy, written from the paper's steps and the authors' constants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from adapter_files import (
    MODULES,
    PREFIX,
    factors,
    random_adapter,
    read_adapter,
    rounded,
    write_adapter,
)

import dfmerge

Array = np.ndarray[Any, Any]
Weights = dict[str, Array]
UNIT = {"F64": 2.0**-52, "F32": 2.0**-23, "F16": 2.0**-10, "BF16": 2.0**-7}


def pruned(values: Array, density: float) -> Array:
    """Kept is what is no smaller than the element of rank int(n (1 - density)), from 1 upwards."""
    rank = int(values.size * (1 - density))
    if rank < 1:
        return values
    threshold = np.partition(np.abs(values).ravel(), rank - 1)[rank - 1]
    return np.where(np.abs(values) >= threshold, values, 0)


def scales(down: Array, density: float, top: float) -> tuple[Array, Array]:
    """Before and after those of weak ranks are raised."""
    rows = np.abs(down).reshape(down.shape[0], -1).sum(1)
    kept = np.abs(pruned(down, density)).reshape(down.shape[0], -1).sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        given = np.where(rows == 0, 1, rows / kept)
    given = np.where(np.isinf(given), np.max(given[np.isfinite(given)], initial=1), given)
    low = np.sort(given)[min(int(given.size * (1 - top)), given.size - 1)]
    return given, np.maximum(given, low)


def copa(
    adapters: list[Weights], density: float = 0.2, top: float = 0.2, coefficient: float = 2.0
) -> Weights:
    """The merge, factor by factor."""
    merged: Weights = {}
    for name, first in adapters[0].items():
        if "lora_" not in name:
            merged[name] = np.mean([one[name] for one in adapters], axis=0)
            continue
        kept = [pruned(one[name], density) for one in adapters]
        if "_A" in name:
            merged[name] = coefficient * np.sum(kept, axis=0)
            continue
        partner = name.replace("lora_B", "lora_A").replace("embedding_B", "embedding_A")
        found = [scales(one[partner], density, top)[1] for one in adapters]
        shape = (1, -1) + (1,) * (first.ndim - 2)
        total = np.sum(found, axis=0).reshape(shape)
        terms = [s.reshape(shape) * b for s, b in zip(found, kept, strict=True)]
        merged[name] = coefficient * np.sum(terms, axis=0) / total
    return merged


def h(m: int, j: int) -> float:
    """The golden inputs' generator."""
    return ((((j + 1) * (j + 7) * (m + 2) * 7919 + (m + 1) * 104729) % 1009) / 1009) - 0.5


def golden() -> list[Weights]:
    w = [np.array([0.1 * h(m, j) for j in range(4, 16)]).reshape(4, 3) for m in (1, 2, 3)]
    return [
        {"x.lora_A.weight": w[m], "x.lora_B.weight": -w[(m + 1) % 3].T.copy()} for m in range(3)
    ]


def test_golden_vectors() -> None:
    """The authors' clamp was run to make the scales; the rest is a second transcription."""
    adapters = golden()
    expected = "1.10863 1.22354 1.70674 1.07591 1 1.30581 1.4275 1.09503 1.35276 1 1.45466 1.24832"
    raised = (
        "1.22354 1.22354 1.70674 1.22354 1.30581 1.30581 1.4275 1.30581 1.35276 1.35276 1.45466 "
        "1.35276"
    )
    found = [scales(one["x.lora_A.weight"], 0.5, 0.5) for one in adapters]
    np.testing.assert_allclose(
        np.concatenate([one[0] for one in found]), np.fromstring(expected, sep=" "), rtol=1e-5
    )
    np.testing.assert_allclose(
        np.concatenate([one[1] for one in found]), np.fromstring(raised, sep=" "), rtol=1e-5
    )
    a = "-0.0950446 0.11001 -0.186422 -0.0472745 0.000594648 0.102775 0.0922696 0 0.027552 " \
        "0.0212091 -0.0763132 0.03667"  # fmt: skip
    b = "0.0299556 0.0159016 -0.0343177 -0.0064473 -0.0369122 0.000580199 0 0.025421 0.0621311 " \
        "-0.035994 -0.00824878 -0.0107152"  # fmt: skip
    merged = dfmerge.merge(
        None, adapters, method="copa", options={"density": 0.5, "top_ranks": 0.5}
    )
    for name, text in (("x.lora_A.weight", a), ("x.lora_B.weight", b)):
        np.testing.assert_allclose(merged[name].ravel(), np.fromstring(text, sep=" "), rtol=1e-5)


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16", "F64"])
@pytest.mark.parametrize("seed", range(6))
def test_random_adapters(tmp_path: Path, dtype: str, seed: int) -> None:
    """Ranks from 1, ties and zeros; folders and memory give the same."""
    rng = np.random.default_rng(seed)
    rank = int(rng.integers(1, 9))
    count = int(rng.integers(1, 5))
    adapters = [random_adapter(rng, rank) for _ in range(count)]
    if seed % 2:
        adapters = [{k: np.round(v * 2) / 2 for k, v in one.items()} for one in adapters]
    if seed == 3:
        adapters[0][factors(next(iter(MODULES)))[0]][0] = 0
    adapters = [rounded(one | {"score.weight": rng.normal(size=(3, 5))}, dtype) for one in adapters]
    options = {"density": float(rng.choice([0, 0.2, 0.5, 1])), "top_ranks": 0.3}
    paths = [write_adapter(tmp_path / str(n), one, dtype, r=rank) for n, one in enumerate(adapters)]
    dfmerge.merge(None, paths, method="copa", options=options, out=tmp_path / "out")
    found, config = read_adapter(tmp_path / "out")
    assert config == {**config, "r": rank, "lora_alpha": 16}
    expected = copa(adapters, options["density"], options["top_ranks"])
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name].dtype == dtype
        error = np.abs(found[name].exact - value)
        assert np.all(error <= UNIT[dtype] * np.abs(value) + 1e-13), (name, error.max(initial=0))
        if "lora_" in name:
            np.testing.assert_array_equal(
                found[name].exact == 0, value.astype(dtype_of(dtype)) == 0
            )
    lent = [dfmerge.load(path) for path in paths]
    again = dfmerge.merge(None, lent, method="copa", options=options)
    for name, stored in found.items():
        assert bytes_of(again[name]) == stored.data


def dtype_of(name: str) -> Any:
    import ml_dtypes

    return {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16}[
        name
    ]


def bytes_of(value: Any) -> bytes:
    if hasattr(value, "detach"):
        import torch

        value = value.contiguous().reshape(-1).view(torch.uint8).numpy()
    return bytes(value.tobytes())


def test_a_rank_that_is_pruned_away_gets_the_largest_scale() -> None:
    down = np.array([[4.0, 3.0], [0.1, 0.1], [2.0, 1.0], [5.0, 0.5]])
    up = np.ones((2, 4))
    adapters = [{"m.lora_A.weight": down, "m.lora_B.weight": up}] * 2
    found = dfmerge.merge(None, adapters, method="copa", options={"density": 0.5, "top_ranks": 1.0})
    expected = copa(adapters, 0.5, 1.0)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-15)
    given, _ = scales(down, 0.5, 1.0)
    assert given[1] == given[np.isfinite(given)].max() == 1.1


def test_nan_is_refused_and_shows_where_it_is_allowed() -> None:
    rng = np.random.default_rng(0)
    adapters = [random_adapter(rng, 4) for _ in range(2)]
    down, up = factors("model.layers.0.self_attn.q_proj")
    adapters[1][down][2, 3] = np.nan
    with pytest.raises(dfmerge.NumericalError, match="lora_"):
        dfmerge.merge(None, adapters, method="copa")
    found = dfmerge.merge(None, adapters, method="copa", non_finite="allow")
    assert np.argwhere(np.isnan(found[down])).tolist() == [[2, 3]]
    assert np.isnan(found[up][:, 2]).all() and np.isfinite(np.delete(found[up], 2, 1)).all()


def test_shapes_that_do_not_fit_are_in_the_plan() -> None:
    rng = np.random.default_rng(1)
    one, other = random_adapter(rng, 4), random_adapter(rng, 3)
    plan = dfmerge.plan(None, [one, other], method="copa")
    assert not plan["possible"] and plan["tensors"]["refused"] == len(one)
    assert "adapters of one rank" in plan["problems"][0]["text"]
    lonely = {name: value for name, value in one.items() if "lora_A" not in name}
    plan = dfmerge.plan(None, [lonely, lonely], method="copa")
    assert "lora_A.weight' of that rank" in plan["problems"][0]["text"]


def test_the_same_bytes_for_any_number_of_threads_and_memory(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    modules = {f"layers.{n}.q": (300, 400) for n in range(4)}
    paths = [
        write_adapter(tmp_path / str(n), random_adapter(rng, 200, modules), r=200) for n in range(3)
    ]
    results = []
    for threads, memory in ((1, None), (2, None), (8, "32MB")):
        out = tmp_path / f"out{threads}"
        dfmerge.merge(None, paths, "copa", out=out, threads=threads, max_memory=memory)
        results.append((out / "adapter_model.safetensors").read_bytes())
    assert results[0] == results[1] == results[2]
    assert PREFIX + "layers.0.q.lora_A.weight" in dfmerge.load(tmp_path / "out1")
