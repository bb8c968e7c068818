"""OPCM against NumPy: the authors' steps as they stand, with full decompositions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matrix_merges import DTYPES, Array, Weights, assert_close, family, golden_family, numbers

import dfmerge

EMBEDDINGS = ("embed", "shared.weight", "wte.", "wpe.", "relative_attention_bias")


def norm(change: Weights) -> float:
    return float(np.sqrt(sum((value**2).sum() for value in change.values())))


def projected(before: Array, task: Array, alpha: float, zero_diagonal: bool) -> Array:
    if not before.any():
        return task
    u, s, vt = np.linalg.svd(before, full_matrices=True)
    above = np.cumsum(s) / s.sum() > alpha
    first = int(above.argmax()) if above.any() else len(s)
    turned = u.T @ task @ vt.T
    if zero_diagonal:
        known = int((s > max(before.shape) * 2.0**-52 * s[0]).sum())
        turned[np.arange(known), np.arange(known)] = 0
    turned[:first, :first] = 0
    result: Array = u @ turned @ vt
    return result


class Continual:
    """theta(t), lambda(t) and the norms so far, rescaled after every model."""

    def __init__(self, base: Weights, first: Weights, **options: Any) -> None:
        self.base = {name: value.astype(np.float64) for name, value in base.items()}
        self.alpha = options.get("alpha", 0.5)
        self.zero_diagonal = options.get("zero_diagonal", True)
        self.excluded = options.get("exclude", EMBEDDINGS)
        self.change = self.task(first)
        self.norms = [norm(self.change)]
        self.scale = 1.0

    def task(self, model: Weights) -> Weights:
        return {name: value.astype(np.float64) - self.base[name] for name, value in model.items()}

    def add(self, model: Weights) -> None:
        tasks = self.task(model)
        added = {}
        for name, before in self.change.items():
            is_matrix = before.ndim == 2 and before.size > 0
            if is_matrix and not any(text in name for text in self.excluded):
                more = projected(before, tasks[name], self.alpha, self.zero_diagonal)
            else:
                more = tasks[name]
            added[name] = self.scale * before + more
        self.norms.append(norm(tasks))
        self.scale = norm(added) / float(np.mean(self.norms))
        self.change = {name: value / self.scale for name, value in added.items()}

    @property
    def merged(self) -> Weights:
        return {name: self.base[name] + value for name, value in self.change.items()}


def reference(models: list[Weights], **options: Any) -> Continual:
    state = Continual(models[0], models[1], **options)
    for model in models[2:]:
        state.add(model)
    return state


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("zero_diagonal", [True, False])
@pytest.mark.parametrize(("count", "alpha"), [(2, 0.5), (4, 0.9), (3, 0.05)])
def test_every_type(dtype: str, count: int, alpha: float, zero_diagonal: bool) -> None:
    models = family(3, count, DTYPES[dtype])
    options = {"alpha": alpha, "zero_diagonal": zero_diagonal}
    report: dict[str, Any] = {}
    found = dfmerge.merge(models[0], models[1:], method="opcm", options=options, report=report)
    expected = reference(models, **options)
    assert_close(found, expected.merged, DTYPES[dtype], 1e-9 if dtype == "f64" else 1e-7)
    assert report["figures"]["merged_count"] == count
    np.testing.assert_allclose(report["figures"]["merged_lambda"], expected.scale, rtol=1e-9)


def test_the_change_itself_is_exact_to_float() -> None:
    models = family(5, 3)
    models[0] = {name: np.zeros_like(value) for name, value in models[0].items()}
    found = dfmerge.merge(models[0], models[1:], method="opcm")
    assert_close(found, reference(models).merged, np.float32, 1e-6)


GOLDEN = """
0.5 False 1.45939: -0.0312388 -0.000611194 -0.0469261 -0.0331403 -0.0280315 0.0290258 -0.0344242
    0.00656271 -0.0136455 0.00217445 0.0331079 -0.0215386 -0.012923 -0.0157484 -0.0236173 0.0213323
0.5 True 1.4348: -0.0317742 -0.000621669 -0.0477303 -0.0337083 -0.0298888 0.0321065 -0.0322198
    0.00382475 -0.00735565 0.00928865 0.0131322 -0.0229947 -0.0150064 -0.0202325 -0.0372058
    0.00707216
0.9 False 1.43844: -0.0316939 -0.000620097 -0.0476097 -0.033623 -0.0217624 0.0332101 -0.0265312
    0.00485654 -0.0206966 0.00556314 0.026009 -0.0155191 -0.0328544 -0.0281224 -0.0179725
    -0.00598118
0.9 True 1.35897: -0.0335473 -0.000656361 -0.050394 -0.0355894 -0.0258892 0.0366797 -0.0264969
    -0.00165966 -0.0182678 0.00966705 0.0150027 -0.00972254 -0.0278149 -0.0225074 -0.0229087
    -0.0103648
"""


def golden_rows() -> list[tuple[float, bool, float, list[float]]]:
    rows = []
    for line in GOLDEN.strip().replace("\n   ", "").splitlines():
        head, values = line.split(":")
        alpha, diagonal, scale = head.split()
        numbers = [float(value) for value in values.split()]
        rows.append((float(alpha), diagonal == "True", float(scale), numbers))
    return rows


@pytest.mark.parametrize(("alpha", "zero_diagonal", "scale", "values"), golden_rows())
def test_golden_values(
    alpha: float, zero_diagonal: bool, scale: float, values: list[float]
) -> None:
    base, models = golden_family()
    options = {"alpha": alpha, "zero_diagonal": zero_diagonal}
    report: dict[str, Any] = {}
    found = dfmerge.merge(base, models[:2], method="opcm", options=options, report=report)
    change = np.concatenate([(found[name] - base[name]).ravel() for name in ("b", "w")])
    np.testing.assert_allclose(change, values, rtol=2e-5, atol=1e-8)
    np.testing.assert_allclose(report["figures"]["merged_lambda"], scale, rtol=1e-5)


def test_one_model_comes_back_bit_for_bit() -> None:
    models = family(6, 1)
    report: dict[str, Any] = {}
    options = {"merged_count": 7, "merged_lambda": 2.5}
    found = dfmerge.merge(models[0], models[1:], method="opcm", options=options, report=report)
    for name, value in models[1].items():
        assert np.array_equal(found[name], value), name
    assert report["figures"] == options


def test_a_merge_that_is_saved_goes_on(tmp_path: Path) -> None:
    models = family(7, 5)
    whole = dfmerge.merge(models[0], models[1:], method="opcm")
    so_far: Any = models[1]
    options: dict[str, Any] = {}
    for number, model in enumerate(models[2:]):
        place = tmp_path / f"step-{number}"
        dfmerge.merge(models[0], [so_far, model], method="opcm", options=options, out=place)
        so_far = place
        options = json.loads((place / "dfmerge_recipe.json").read_text())["figures"]
    assert options["merged_count"] == 5
    np.testing.assert_allclose(options["merged_lambda"], reference(models).scale, rtol=1e-6)
    found = dfmerge.load(so_far)
    for name, value in whole.items():
        change = np.abs(value - models[0][name]).max(initial=0)
        np.testing.assert_allclose(found[name], value, rtol=1e-6, atol=1e-5 * change)


def test_what_is_no_linear_layer_is_added() -> None:
    rng = np.random.default_rng(8)
    names = ["model.embed_tokens.weight", "shared.weight", "shared_expert.weight", "h.0.weight"]
    models = [{name: rng.normal(size=(9, 7)) for name in names} for _ in range(4)]
    found = dfmerge.merge(models[0], models[1:], method="opcm")
    assert_close(found, reference(models).merged, np.float64, 1e-10)
    found = dfmerge.merge(models[0], models[1:], method="opcm", options={"exclude": ["h.0"]})
    assert_close(found, reference(models, exclude=("h.0",)).merged, np.float64, 1e-10)


def test_a_layer_that_nobody_has_changed_yet_takes_all_of_the_next() -> None:
    rng = np.random.default_rng(9)
    base = {"a": np.zeros((6, 5)), "b": np.zeros((6, 5))}
    first = {"a": rng.normal(size=(6, 5)), "b": base["b"]}
    second = {"a": first["a"], "b": rng.normal(size=(6, 5))}
    report: dict[str, Any] = {}
    found = dfmerge.merge(base, [first, second], method="opcm", report=report)
    scale = 1 / report["figures"]["merged_lambda"]
    np.testing.assert_allclose(found["b"], scale * second["b"], rtol=1e-12)
    # What is there already is in the directions that are closed.
    np.testing.assert_allclose(found["a"], scale * first["a"], rtol=1e-12)
    found = dfmerge.merge(base, [base, base], method="opcm", report=report)
    assert not found["a"].any() and report["figures"]["merged_lambda"] == 1


def test_a_change_of_low_rank_leaves_other_directions_open() -> None:
    rng = np.random.default_rng(10)
    low = rng.normal(size=(12, 3)) @ rng.normal(size=(3, 9))
    models = [{"w": np.zeros((12, 9))}, {"w": low}, {"w": rng.normal(size=(12, 9))}]
    for alpha in (0.5, 1):
        found = dfmerge.merge(models[0], models[1:], method="opcm", options={"alpha": alpha})
        u, s, vt = np.linalg.svd(low)
        turned = u.T @ models[2]["w"] @ vt.T
        closed = 3 if alpha == 1 else int((np.cumsum(s) / s.sum() > alpha).argmax())
        turned[:closed, :closed] = 0
        turned[np.arange(3), np.arange(3)] = 0
        whole = low + u @ turned @ vt
        mean = (np.linalg.norm(low) + np.linalg.norm(models[2]["w"])) / 2
        np.testing.assert_allclose(found["w"], whole * mean / np.linalg.norm(whole), rtol=1e-9)


@pytest.mark.parametrize("dtype", ["f32", "f64", "bf16"])
def test_threads_memory_and_files_change_no_bit(dtype: str, tmp_path: Path) -> None:
    models = family(11, 3, DTYPES[dtype])
    paths = [str(tmp_path / f"{number}.safetensors") for number in range(4)]
    for path, tensors in zip(paths, models, strict=True):
        dfmerge.save(tensors, path)
    one = dfmerge.merge(models[0], models[1:], method="opcm", threads=1)
    out = str(tmp_path / "out.safetensors")
    plans = [
        dfmerge.plan(paths[0], paths[1:], method="opcm", out=out, threads=1, max_memory=limit)
        for limit in (None, "1GB")
    ]
    # What is computed in the first pass is kept; without the memory for it, computed again.
    kept = sum(
        (value.size * (8 if dtype == "f64" else 4) + 63) // 64 * 64
        for value in models[0].values()
        if value.ndim == 2
    )
    assert plans[0]["peak_memory"] == plans[1]["peak_memory"]
    less = plans[0]["peak_memory"] - kept
    tight = dfmerge.plan(
        paths[0], paths[1:], method="opcm", out=out, threads=1, max_memory=less + kept - 1
    )
    assert tight["peak_memory"] == less
    for limit in ("1GB", less + kept - 1):
        dfmerge.merge(paths[0], paths[1:], method="opcm", out=out, threads=2, max_memory=limit)
        other = dfmerge.load(out)
        for name, value in one.items():
            assert np.array_equal(numbers(other[name]), numbers(value)), (name, limit)


def test_values_that_are_refused() -> None:
    models = family(12, 2)
    for options in ({"alpha": 1.5}, {"merged_count": 0}, {"merged_lambda": 0}):
        with pytest.raises(dfmerge.ArgumentError, match=next(iter(options))):
            dfmerge.merge(models[0], models[1:], method="opcm", options=options)
    models[1]["odd"][3, 4] = np.nan
    with pytest.raises(dfmerge.NumericalError, match="'odd'"):
        dfmerge.merge(models[0], models[1:], method="opcm")
