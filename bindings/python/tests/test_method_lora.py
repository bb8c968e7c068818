"""Combinations of LoRA adapters against NumPy, written from what peft documents and computes."""

from __future__ import annotations

import os
import subprocess
import sys
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
    update,
    write_adapter,
)

import dfmerge

Array = np.ndarray[Any, Any]
Weights = dict[str, Array]
UNIT = {"F64": 2.0**-52, "F32": 2.0**-23, "F16": 2.0**-10, "BF16": 2.0**-7}


def is_down(name: str) -> bool:
    return "lora_A" in name or "embedding_A" in name


def linear(adapters: list[Weights], factors: list[float]) -> Weights:
    """Roots on both factors, the sign on A."""
    merged: Weights = {}
    for name in adapters[0]:
        if "lora_" not in name:
            merged[name] = np.mean([one[name] for one in adapters], axis=0)
            continue
        merged[name] = sum(
            np.sqrt(abs(c)) * (np.sign(c) if is_down(name) else 1) * one[name]
            for c, one in zip(factors, adapters, strict=True)
        )
    return merged


def cat(adapters: list[Weights], factors: list[float]) -> Weights:
    """A scaled and stacked, B side by side."""
    merged: Weights = {}
    for name in adapters[0]:
        if "lora_" not in name:
            merged[name] = np.mean([one[name] for one in adapters], axis=0)
        elif is_down(name):
            merged[name] = np.concatenate(
                [c * one[name] for c, one in zip(factors, adapters, strict=True)], axis=0
            )
        else:
            merged[name] = np.concatenate([one[name] for one in adapters], axis=1)
    return merged


def assert_close(found: dict[str, Any], expected: Weights, dtype: str) -> None:
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name].dtype == dtype and found[name].shape == value.shape
        error = np.abs(found[name].exact - value)
        assert np.all(error <= UNIT[dtype] * np.abs(value) + 1e-13), (name, error.max(initial=0))


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16", "F64"])
@pytest.mark.parametrize("seed", range(4))
def test_linear(tmp_path: Path, dtype: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rank, count = int(rng.integers(1, 9)), int(rng.integers(1, 5))
    alphas = [int(n) for n in rng.integers(1, 40, count)]
    weights = [float(n) for n in rng.normal(size=count)]
    adapters = [
        rounded(random_adapter(rng, rank) | {"score.weight": rng.normal(size=(3, 5))}, dtype)
        for _ in range(count)
    ]
    paths = [
        write_adapter(tmp_path / str(n), one, dtype, r=rank, lora_alpha=alphas[n])
        for n, one in enumerate(adapters)
    ]
    dfmerge.merge(None, paths, "lora_linear", options={"weights": weights}, out=tmp_path / "out")
    found, config = read_adapter(tmp_path / "out")
    assert (config["r"], config["lora_alpha"]) == (rank, rank)
    products = [w * alpha / rank for w, alpha in zip(weights, alphas, strict=True)]
    assert_close(found, linear(adapters, products), dtype)


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16", "F64"])
@pytest.mark.parametrize("seed", range(4))
def test_cat(tmp_path: Path, dtype: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 5))
    ranks = [int(n) for n in rng.integers(1, 9, count)]
    alphas = [float(n) for n in rng.uniform(1, 40, count)]
    weights = [float(n) for n in rng.normal(size=count)]
    adapters = [
        rounded(random_adapter(rng, rank) | {"score.weight": rng.normal(size=(3, 5))}, dtype)
        for rank in ranks
    ]
    paths = [
        write_adapter(tmp_path / str(n), one, dtype, r=ranks[n], lora_alpha=alphas[n])
        for n, one in enumerate(adapters)
    ]
    dfmerge.merge(None, paths, "lora_cat", options={"weights": weights}, out=tmp_path / "out")
    found, config = read_adapter(tmp_path / "out")
    assert (config["r"], config["lora_alpha"], config["rank_pattern"]) == (sum(ranks),) * 2 + ({},)
    products = [w * a / r for w, a, r in zip(weights, alphas, ranks, strict=True)]
    assert_close(found, cat(adapters, products), dtype)
    # The same in memory, in the shapes that come out.
    options = {"weights": weights, "scaling": [a / r for a, r in zip(alphas, ranks, strict=True)]}
    lent = [dict(dfmerge.load(path)) for path in paths]
    again = dfmerge.merge(None, lent, "lora_cat", options=options, threads=3)
    for name, stored in found.items():
        assert tuple(again[name].shape) == stored.shape


def test_cat_is_the_weighted_sum_of_the_updates(tmp_path: Path) -> None:
    rng = np.random.default_rng(9)
    adapters = [random_adapter(rng, rank) for rank in (3, 5)]
    paths = [
        write_adapter(tmp_path / str(n), one, "F64", r=3 + 2 * n, lora_alpha=8)
        for n, one in enumerate(adapters)
    ]
    configs = [read_adapter(path)[1] for path in paths]
    dfmerge.merge(None, paths, "lora_cat", options={"weights": [2, -1]}, out=tmp_path / "out")
    found, config = read_adapter(tmp_path / "out")
    merged = {name: stored.exact for name, stored in found.items()}
    for module in MODULES:
        expected = 2 * update(adapters[0], configs[0], module) - update(
            adapters[1], configs[1], module
        )
        np.testing.assert_allclose(update(merged, config, module), expected, rtol=1e-10)


def test_linear_refuses_other_ranks(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    paths = [
        write_adapter(tmp_path / str(rank), random_adapter(rng, rank), r=rank) for rank in (4, 8)
    ]
    plan = dfmerge.plan(None, paths, method="lora_linear")
    assert not plan["possible"] and "use 'lora_cat'" in plan["problems"][0]["text"]
    assert dfmerge.plan(None, paths, method="lora_cat")["possible"]


def test_one_adapter_of_weight_1_is_itself(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    weights = random_adapter(rng)
    path = write_adapter(tmp_path / "a", weights, "F64", lora_alpha=2)
    before = read_adapter(path)[1]
    for method in ("lora_linear", "lora_cat"):
        dfmerge.merge(None, [path], method, out=tmp_path / method)
        found, config = read_adapter(tmp_path / method)
        merged = {name: stored.exact for name, stored in found.items()}
        for module in MODULES:
            np.testing.assert_allclose(
                update(merged, config, module), update(weights, before, module), rtol=1e-13
            )


def test_names_in_a_running_model_are_understood() -> None:
    """A PeftModel's state dict has the adapter's name in them."""
    rng = np.random.default_rng(2)
    adapters = []
    for _ in range(2):
        adapters.append(
            {
                f"{PREFIX}q.lora_A.default.weight": rng.normal(size=(2, 5)),
                f"{PREFIX}q.lora_B.default.weight": rng.normal(size=(4, 2)),
            }
        )
    merged = dfmerge.merge(None, adapters, "lora_cat", options={"scaling": 1})
    expected = cat(adapters, [1, 1])
    for name, value in expected.items():
        np.testing.assert_array_equal(merged[name], value)


def test_a_target_must_have_the_shapes_that_come_out() -> None:
    rng = np.random.default_rng(3)
    adapters = [random_adapter(rng, 2), random_adapter(rng, 3)]
    down, up = factors("model.layers.0.self_attn.q_proj")
    right = {down: np.zeros((5, 16)), up: np.zeros((12, 5))}
    options = {"scaling": 1}
    dfmerge.merge(None, adapters, "lora_cat", options=options, out=right)
    np.testing.assert_array_equal(right[down], cat(adapters, [1, 1])[down])
    with pytest.raises(dfmerge.ArgumentError, match=r"\[2, 16\] in the target but .* \[5, 16\]"):
        dfmerge.merge(None, adapters, "lora_cat", options=options, out={down: np.zeros((2, 16))})


def svd(adapters: list[Weights], factors: list[float], rank: int) -> dict[str, Array]:
    """By module, the best approximation of rank k of the weighted sum, formed in full."""
    found = {}
    for name, first in adapters[0].items():
        if "lora_" not in name or not is_down(name):
            continue
        up = name.replace("lora_A", "lora_B").replace("embedding_A", "embedding_B")
        total = sum(
            c * one[up].reshape(one[up].shape[0], -1) @ one[name].reshape(one[name].shape[0], -1)
            for c, one in zip(factors, adapters, strict=True)
        )
        u, s, vt = np.linalg.svd(total, full_matrices=False)
        found[name] = (u[:, :rank] * s[:rank]) @ vt[:rank]
        assert first.ndim >= 2
    return found


@pytest.mark.parametrize("dtype", ["F32", "F64", "BF16"])
@pytest.mark.parametrize("seed", range(6))
def test_svd(tmp_path: Path, dtype: str, seed: int) -> None:
    """Ranks of all sizes, above those of the modules too."""
    rng = np.random.default_rng(100 + seed)
    count = int(rng.integers(1, 4))
    ranks = [int(n) for n in rng.integers(1, 9, count)]
    rank = int(rng.choice([0, 1, 3, 20]))
    kept = rank or max(ranks)
    alphas = [float(n) for n in rng.uniform(1, 40, count)]
    weights = [float(n) for n in rng.normal(size=count)]
    adapters = [
        rounded(random_adapter(rng, one) | {"score.weight": rng.normal(size=(3, 5))}, dtype)
        for one in ranks
    ]
    paths = [
        write_adapter(tmp_path / str(n), one, dtype, r=ranks[n], lora_alpha=alphas[n])
        for n, one in enumerate(adapters)
    ]
    options = {"weights": weights, "rank": rank}
    dfmerge.merge(None, paths, "lora_svd", options=options, out=tmp_path / "out")
    found, config = read_adapter(tmp_path / "out")
    assert (config["r"], config["lora_alpha"], config["rank_pattern"]) == (kept, kept, {})
    products = [w * a / r for w, a, r in zip(weights, alphas, ranks, strict=True)]
    tolerance = {"F32": 1e-6, "F64": 1e-12, "BF16": 2e-2}[dtype]
    for name, expected in svd(adapters, products, kept).items():
        up = name.replace("lora_A", "lora_B").replace("embedding_A", "embedding_B")
        a, b = found[name].exact, found[up].exact
        assert a.shape[0] == b.shape[1] == kept
        a, b = a.reshape(kept, -1), b.reshape(-1, kept)
        scale = np.abs(expected).max()
        np.testing.assert_allclose(b @ a, expected, atol=tolerance * scale)
        # Rows of A are singular vectors, and columns of B are as long as the singular values.
        used = np.linalg.norm(b, axis=0) > 1e-6 * scale
        gram = a[used] @ a[used].T
        np.testing.assert_allclose(gram, np.eye(int(used.sum())), atol=10 * tolerance)
    mean = np.mean([one["score.weight"] for one in adapters], axis=0)
    np.testing.assert_allclose(found["score.weight"].exact, mean, rtol=tolerance)


def test_svd_of_full_rank_is_the_sum(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    modules = {"q": (40, 30)}
    adapters = [random_adapter(rng, rank, modules) for rank in (4, 7)]
    paths = [
        write_adapter(tmp_path / str(n), one, "F64", r=4 + 3 * n, lora_alpha=8)
        for n, one in enumerate(adapters)
    ]
    dfmerge.merge(None, paths, "lora_svd", options={"rank": 11}, out=tmp_path / "svd")
    dfmerge.merge(None, paths, "lora_cat", out=tmp_path / "cat")
    updates = []
    for name in ("svd", "cat"):
        found, config = read_adapter(tmp_path / name)
        updates.append(update({n: s.exact for n, s in found.items()}, config, "q"))
    np.testing.assert_allclose(updates[0], updates[1], atol=1e-12 * np.abs(updates[1]).max())


def test_svd_refuses_what_has_none(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    adapters = [random_adapter(rng, 4) for _ in range(2)]
    down, up = factors("model.layers.0.self_attn.q_proj")
    for value in (np.nan, np.inf):
        adapters[1][down][0, 0] = value
        with pytest.raises(dfmerge.NumericalError, match=r"q_proj\.lora_A\.weight' is NaN"):
            dfmerge.merge(None, adapters, "lora_svd", options={"scaling": 1})
        given = {"scaling": 1}
        found = dfmerge.merge(None, adapters, "lora_svd", options=given, non_finite="allow")
        assert np.isnan(found[down]).all() and np.isnan(found[up]).all()
        assert sum(np.isnan(array).any() for array in found.values()) == 2
    lonely = {name: value for name, value in random_adapter(rng, 4).items() if name != up}
    plan = dfmerge.plan(None, [lonely], method="lora_svd", options={"scaling": 1})
    assert "comes without" in plan["problems"][0]["text"]
    zeros = {name: 0 * value for name, value in random_adapter(rng, 4).items()}
    found = dfmerge.merge(None, [zeros], "lora_svd", options={"scaling": 1})
    assert not found[up].any()


LEVEL = """
import sys
import dfmerge
paths = sys.argv[2:]
for method in ("copa", "lora_linear", "lora_cat", "lora_svd"):
    dfmerge.merge(None, paths, method, out=f"{sys.argv[1]}/{method}", progress=False)
"""


def test_the_same_bytes_at_every_level_of_the_cpu(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    modules = {f"layers.{n}.q": (130 + n, 97) for n in range(3)}
    paths = [
        str(write_adapter(tmp_path / str(n), random_adapter(rng, 16, modules), r=16))
        for n in range(3)
    ]
    results = []
    for level in "234":
        subprocess.run(
            [sys.executable, "-c", LEVEL, str(tmp_path / f"out{level}"), *paths],
            env={**os.environ, "DFMERGE_CPU_LEVEL": level},
            check=True,
        )
        files = sorted((tmp_path / f"out{level}").glob("*/adapter_model.safetensors"))
        results.append([file.read_bytes() for file in files])
    assert len(results[0]) == 4 and results[0] == results[1] == results[2]
