"""DELLA against NumPy, written from the authors' and mergekit's code, with the documented draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from task_vector_models import (
    DTYPES,
    Vector,
    Weights,
    assert_close,
    case,
    draws,
    elected,
    exact_task_vectors,
    golden,
    numbers,
    task_vectors,
)

import dfmerge


def probabilities(tau: Vector, density: float, epsilon: float, scope: str = "row") -> Vector:
    """The probability with which each element is kept, from its rank in its row."""
    if density >= 1:
        return np.ones(tau.shape)
    length = tau.size if scope == "tensor" or tau.ndim == 0 else tau.shape[-1]
    if length <= 1:
        return np.full(tau.shape, density)
    rows = np.abs(tau).reshape(-1, length)
    ranks = np.argsort(np.argsort(rows, axis=1, kind="stable"), axis=1, kind="stable")
    return np.asarray(density - epsilon + 2 * epsilon * ranks / (length - 1)).reshape(tau.shape)


def dropped(
    family: list[Weights],
    densities: list[float],
    epsilons: list[float],
    *,
    rescale: Any = True,
    seed: int = 0,
    scope: str = "row",
) -> list[Weights]:
    """The task vectors that are left."""
    left = []
    pairs = zip(task_vectors(family), exact_task_vectors(family), strict=True)
    for m, (tau, exact) in enumerate(pairs):
        own = {}
        for name, value in exact.items():
            q = probabilities(tau[name], densities[m], epsilons[m], scope)
            kept = draws(name, m, value.size, seed).reshape(value.shape) < np.rint(q * 2.0**32)
            terms = np.where(kept, value, 0)
            if rescale == "l1":
                before, after = np.abs(value).sum(), np.abs(terms).sum()
                terms = terms * (before / after if min(before, after) >= 1e-7 else 1)
            elif rescale:
                terms = np.divide(terms, q, out=np.zeros_like(q), where=kept)
            own[name] = terms
        left.append(own)
    return left


RESCALES = [True, False, "l1"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rescale", RESCALES)
@pytest.mark.parametrize("normalize", [True, False])
def test_della(dtype: str, rescale: Any, normalize: bool) -> None:
    family = case(21, 3, DTYPES[dtype], 0.03125 if normalize else None)
    densities, epsilons, weights = [0.7, 0.5, 1.0], [0.07, 0.3, 0.5], np.asarray([1.0, 2.0, 0.5])
    left = dropped(family, densities, epsilons, rescale=rescale, seed=2**40 + 7)
    expected = {}
    for name, value in family[0].items():
        rows = np.stack([w * one[name] for w, one in zip(weights, left, strict=True)])
        expected[name] = value.astype(np.float64) + 0.6 * elected(rows, weights, normalize)
    options = {"density": densities, "epsilon": epsilons, "weights": list(weights), "lambda": 0.6}
    options |= {"rescale": rescale, "seed": 2**40 + 7}
    options["aggregate"] = "mean" if normalize else "sum"
    found = dfmerge.merge(family[0], family[1:], method="della", options=options)
    assert_close(found, expected, DTYPES[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rescale", RESCALES)
@pytest.mark.parametrize("scope", ["row", "tensor"])
def test_della_linear(dtype: str, rescale: Any, scope: str) -> None:
    family = case(22, 3, DTYPES[dtype])
    densities, epsilons, coefficients = [0.7, 0.2, 0.5], [0.07, 0.2, 0.5], [0.3, -1.0, 1.0]
    left = dropped(family, densities, epsilons, rescale=rescale, seed=3, scope=scope)
    expected = {
        name: value.astype(np.float64)
        + sum(c * one[name] for c, one in zip(coefficients, left, strict=True))
        for name, value in family[0].items()
    }
    options = {"density": densities, "epsilon": epsilons, "coefficients": coefficients}
    options |= {"rescale": rescale, "seed": 3, "scope": scope}
    found = dfmerge.merge(family[0], family[1:], method="della_linear", options=options)
    assert_close(found, expected, DTYPES[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_elements_that_are_kept(dtype: str) -> None:
    """Bit by bit, where equal magnitudes rank by their place; rows of every way of sorting."""
    rng = np.random.default_rng(23)
    lengths = [1, 2, 47, 48, 49, 300, 1023, 1024, 5000, 70_000]
    family: list[Weights] = [{}, {}]
    for length in lengths:
        values = np.round(rng.normal(size=(max(3000 // length, 2), length)) * 16) / 16 + 4
        family[1][f"w{length}"] = values.astype(DTYPES[dtype])
        family[0][f"w{length}"] = np.zeros(values.shape, DTYPES[dtype])
    options = {"density": 0.5, "epsilon": 0.4, "coefficients": 1, "rescale": False, "seed": 9}
    found = dfmerge.merge(family[0], family[1:], method="della_linear", options=options)
    for name, expected in dropped(family, [0.5], [0.4], rescale=False, seed=9)[0].items():
        assert np.array_equal(numbers(found[name]), expected), name


def test_the_golden_probabilities() -> None:
    family = golden()
    tau = family[1]["w"] - family[0]["w"]
    # fmt: off
    expected = [.4, .6, .5, .4, .6, .5, .4, .5, .6, .6, .5, .4]
    # fmt: on
    assert np.allclose(probabilities(tau, 0.5, 0.1).ravel(), expected)
    # Many copies of the rows have draws of their own.
    base = {"w": np.tile(family[0]["w"], (5000, 1))}
    model = {"w": np.tile(family[1]["w"], (5000, 1))}
    options = {"density": 0.5, "epsilon": 0.1, "coefficients": 1, "rescale": False}
    merged = dfmerge.merge(base, [model], method="della_linear", options=options)["w"]
    moved = (merged != base["w"]).reshape(5000, 12).mean(0)
    assert np.all(np.abs(moved - expected) < 5 * (0.25 / 5000) ** 0.5)


def test_tied_votes_go_with_the_majority() -> None:
    # Nothing is dropped of these, so that the votes are known: 2 ties, 1 positive, 0 negative.
    base = {"w": np.zeros((1, 3), np.float32)}
    models = [{"w": np.asarray([[1.0, 2, 3]], "f4")}, {"w": np.asarray([[-1.0, -2, 3]], "f4")}]
    options = {"density": 1, "aggregate": "sum", "zero_sign": "majority"}
    found = dfmerge.merge(base, models, method="della", options=options)["w"]
    assert np.array_equal(found, np.asarray([[1, 2, 6]], np.float32))


def test_probabilities_beyond_0_and_1_are_refused() -> None:
    family = case(24, 2, np.float32)
    for density, epsilon in [(0.9, 0.2), (0.1, 0.2), (0.0, 0.01)]:
        options = {"density": [0.5, density], "epsilon": [0.1, epsilon]}
        with pytest.raises(dfmerge.ArgumentError, match=r"epsilon.*model number 1") as refused:
            dfmerge.merge(family[0], family[1:], method="della", options=options)
        assert "probabilities from" in str(refused.value)
    # At density 1 there are no probabilities.
    options = {"density": 1, "epsilon": 0.5, "coefficients": 1}
    found = dfmerge.merge(family[0], family[1:2], method="della_linear", options=options)
    for name, value in family[1].items():
        assert np.allclose(found[name], value, rtol=1e-6, atol=1e-7)


def test_della_is_unbiased() -> None:
    row = np.linspace(-1, 1, 64, dtype=np.float32)
    base, model = {"w": np.zeros((5000, 64), np.float32)}, {"w": np.tile(row, (5000, 1))}
    q = probabilities(row.reshape(1, 64), 0.4, 0.2).ravel()
    options = {"density": 0.4, "epsilon": 0.2, "coefficients": 1}
    found = dfmerge.merge(base, [model], method="della_linear", options=options)["w"]
    deviation = np.abs(row) * ((1 - q) / q / 5000) ** 0.5
    assert np.all(np.abs(found.mean(0) - row) <= 5 * deviation + 1e-12)
