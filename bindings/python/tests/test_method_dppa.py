"""DPPA against NumPy, written from the formulas."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from method_models import DTYPES, Array, Weights, assert_close, exact, family, task_vectors

import dfmerge

LAYERS = 3


def layered(seed: int, models: int, dtype: Any = np.float32) -> list[Weights]:
    """Layers whose changes have tails of different weight, beside tensors that are not pruned."""
    rng = np.random.default_rng(seed)
    shapes = {"embed.weight": (40, 24), "norm.weight": (24,), "head.bias": ()}
    for n in range(LAYERS):
        shapes |= {
            f"layers.{n}.attn.weight": (24, 24 + n),
            f"layers.{n}.mlp.weight": (300, 230) if n == 1 else (24, 50),
            f"layers.{n}.mlp.bias": (50,),
        }
    base = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    found = [base]
    for _ in range(models):
        found.append(
            {
                name: v + 0.01 * rng.standard_t(2 + rng.integers(6), size=v.shape)
                for name, v in base.items()
            }
        )
    return [{name: np.asarray(v, dtype) for name, v in one.items()} for one in found]


def is_linear(name: str, value: Array) -> bool:
    return value.ndim == 2 and name.startswith("layers.")


def layer_of(name: str) -> str:
    return name.split(".")[1]


def shares(
    tau: Weights, sparsity: float, spread: float, outlier: float,
    linear: Callable[[str, Array], bool],
) -> dict[str, float]:  # fmt: skip
    """Which share of each matrix is kept."""
    names = [n for n in tau if linear(n, tau[n])]
    layers = sorted({layer_of(n) for n in names})
    scores = []
    for layer in layers:
        every = np.concatenate([np.abs(tau[n]).ravel() for n in names if layer_of(n) == layer])
        scores.append(100 * (every > 3 * every.mean()).mean())
    a = np.array(scores) - np.mean(scores)
    a = a * spread / np.abs(a).max() if np.abs(a).max() > 0 else 0 * a
    b = np.array([100 * (np.abs(tau[n]) > outlier * np.abs(tau[n]).mean()).mean() for n in names])
    sizes = np.array([tau[n].size for n in names])
    b = b / b.mean() if b.mean() > 0 else b
    b = b - (b * sizes).sum() / sizes.sum()
    b = b * spread / np.abs(b).max() if np.abs(b).max() > 0 else 0 * b
    return {n: 1 - sparsity + a[layers.index(layer_of(n))] + b[i] for i, n in enumerate(names)}


def pruned(size: Array, kept: float, wide: bool) -> Array:
    """Where an element of a matrix is kept."""
    size = size if wide else size.astype(np.float32)
    share = min(max(1 - kept, 0), 1)
    place = min(int(size.size * share), size.size - 1)
    return np.asarray(size > np.sort(size.ravel())[place])


def dppa(
    members: list[Weights], nine: list[float], eight: list[float],
    sparsities: tuple[float, float] = (0.9, 0.8), spread: float = 0.08, outlier: float = 5,
    linear: Callable[[str, Array], bool] = is_linear,
) -> Weights:  # fmt: skip
    wide = members[0]["norm.weight"].dtype == np.float64
    total = exact(members[0])
    for tau, a9, a8 in zip(task_vectors(members), nine, eight, strict=True):
        kept = [shares(tau, s, spread, outlier, linear) for s in sparsities]
        for name, change in tau.items():
            masks: list[Any] = [1, 1]
            if name in kept[0]:
                masks = [pruned(np.abs(change), k[name], wide) for k in kept]
            first, second = a9 * change * masks[0], a8 * change * masks[1]
            larger = np.where(np.abs(first) > np.abs(second), first, second)
            total[name] = np.asarray(total[name] + larger)
    return total


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("alphas", [(1.8, 0.0), (2.0, 1.2), (1.0, 1.5)])
def test_one_domain(dtype: str, alphas: tuple[float, float]) -> None:
    members = layered(50, 1, DTYPES[dtype])
    options = {"alpha9": alphas[0], "alpha8": alphas[1]}
    found = dfmerge.merge(members[0], members[1:], "dppa", options=options)
    expected = dppa(members, [alphas[0]], [alphas[1]])
    assert_close(found, expected, DTYPES[dtype])
    # Selections bit by bit: what is pruned is the base.
    for name, value in exact(found).items():
        same = value == exact(members[0])[name]
        np.testing.assert_array_equal(same, expected[name] == exact(members[0])[name])


def test_several_domains_are_added() -> None:
    members = layered(51, 3)
    nine, eight = [1.8, 1.0, 2.2], [0.0, 1.1, 1.3]
    options = {"alpha9": nine, "alpha8": eight}
    found = dfmerge.merge(members[0], members[1:], "dppa", options=options)
    assert_close(found, dppa(members, nine, eight))


def test_other_sparsities_and_scores() -> None:
    members = layered(52, 2)
    options = {"sparsity9": 0.95, "sparsity8": 0.5, "spread": 0.3, "outlier": 2, "alpha8": 1}
    found = dfmerge.merge(members[0], members[1:], "dppa", options=options)
    expected = dppa(members, [1.8] * 2, [1] * 2, (0.95, 0.5), 0.3, 2)
    assert_close(found, expected)


def test_which_weights_are_linear() -> None:
    members = layered(53, 1)
    options = {"linear": ["*.attn.*", "embed.*"], "alpha8": 1}
    found = dfmerge.merge(members[0], members[1:], "dppa", options=options)

    def linear(name: str, value: Array) -> bool:
        return ".attn." in name

    assert_close(found, dppa(members, [1.8], [1], linear=linear))


def test_shares_are_limited() -> None:
    """A share below 0, at which the released code runs off its list, keeps nothing."""
    members = layered(54, 1)
    options = {"sparsity9": 1, "sparsity8": 1, "spread": 0}
    found = dfmerge.merge(members[0], members[1:], "dppa", options=options)
    for name, value in members[0].items():
        assert np.array_equal(found[name], value) == is_linear(name, value) or value.size == 0
    # At the other end the smallest element goes, as its size is the threshold.
    options = {"sparsity9": 0, "sparsity8": 0, "spread": 0}
    found = dfmerge.merge(members[0], members[1:], "dppa", options=options)
    for name, value in members[0].items():
        if is_linear(name, value):
            assert (found[name] == value).sum() == 1


def test_equal_scores_move_nothing() -> None:
    """All changes alike: no outliers, 0/0 in the released code."""
    base = {f"layers.{n}.w": np.zeros((4, 5), np.float32) for n in range(2)}
    model = {n: np.full((4, 5), 0.5, np.float32) for n in base}
    model["layers.1.w"] = np.zeros((4, 5), np.float32)
    found = dfmerge.merge(base, [model], "dppa")
    # Every change equals the threshold.
    for name in base:
        np.testing.assert_array_equal(found[name], 0)


def test_the_search_of_the_guide() -> None:
    """As it is printed."""
    guide = Path(__file__).parents[3] / "docs" / "merging-guide.md"
    program = re.search(r"```python\n(def search_dppa.*?)```", guide.read_text(), re.S)
    assert program
    scope: dict[str, Any] = {"dfmerge": dfmerge}
    exec(program[1], scope)
    base, model = {"w": np.zeros(1)}, {"w": np.ones(1)}
    # Nothing is pruned of a tensor outside the layers: it moves by the larger amplification.
    seen: list[float] = []

    def score(merged: Any) -> float:
        seen.append(float(merged["w"][0]))
        return -abs(seen[-1] - 2.1)

    best, reached = scope["search_dppa"](base, [model], score)
    assert best["alpha9"] == pytest.approx(2.1)
    assert best["alpha8"] == 0
    assert reached == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(seen, [1.8, 1.9, 2.0, 2.1, 2.2, 2.1])


def test_a_larger_lower_sparsity_is_refused() -> None:
    members = layered(55, 1)
    with pytest.raises(dfmerge.ArgumentError, match="sparsity8"):
        dfmerge.merge(members[0], members[1:], "dppa", options={"sparsity8": 0.95})


def test_nan_is_named() -> None:
    members = family(56, 2)
    members[1]["layers.0.attn.weight"][3, 4] = np.nan
    with pytest.raises(dfmerge.NumericalError, match=r"layers\.0\.attn\.weight"):
        dfmerge.merge(members[0], members[1:], "dppa")
