"""Model Breadcrumbs against NumPy, written from the authors' and mergekit's code."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from task_vector_models import (
    DTYPES,
    Vector,
    Weights,
    assert_close,
    case,
    elected,
    exact_task_vectors,
    flat,
    golden,
    numbers,
    task_vectors,
)

import dfmerge


def authors_row(row: Vector, keep: float, remove: float) -> Vector:
    """The mask of one row: the largest are removed, then the largest of the rest kept."""
    order = np.argsort(np.abs(row), kind="stable")
    end = row.size - int(row.size * remove)
    mask = np.zeros(row.size, bool)
    mask[order[max(end - int(row.size * keep), 0) : end]] = True
    return mask


def mergekit_row(row: Vector, density: float, gamma: float) -> Vector:
    """The slice of the sorted magnitudes, `[n_bot:-n_top]` as it is written there."""
    if density >= 1:
        return np.ones(row.size, bool)
    n_top = int(gamma * row.size)
    n_bot = row.size - int(density * row.size) - n_top
    if n_bot < 0:
        n_top, n_bot = n_top + n_bot, 0
    mask = np.zeros(row.size, bool)
    mask[np.argsort(np.abs(row), kind="stable")[n_bot:-n_top]] = True
    return mask


def masks(tau: Weights, rule: Any, scope: str, density: float, gamma: float) -> Weights:
    found: Weights = {}
    for name, value in tau.items():
        if value.ndim == 0 and rule is authors_row:
            found[name] = np.ones((), bool)
        elif scope == "tensor" or value.ndim == 0:
            found[name] = rule(value.ravel(), density, gamma).reshape(value.shape)
        else:
            rows = value.reshape(-1, value.shape[-1])
            parts = [rule(row, density, gamma) for row in rows]
            found[name] = np.reshape(np.asarray(parts, bool), value.shape)
    return found


VARIANTS = {"authors": authors_row, "mergekit": mergekit_row}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("scope", ["row", "tensor"])
def test_the_elements_that_are_kept(dtype: str, variant: str, scope: str) -> None:
    # Of a base of zeros, what is kept is seen bit by bit. Within a tensor equal magnitudes all go
    # one way, so there are none: F16 and BF16 numbers are spread over many exponents.
    for grid in [None, 0.25] if scope == "row" else [None]:
        family = case(3, 1, DTYPES[dtype], grid)
        if scope == "tensor":
            rng = np.random.default_rng(4)
            for value in family[1].values():
                steps = rng.permutation(value.size).reshape(value.shape)
                value[...] = ((-1.0) ** steps * np.exp2(steps / max(value.size, 1) * 8)).astype(
                    value.dtype
                )
        base = {name: np.zeros_like(value) for name, value in family[1].items()}
        for density, gamma in [(0.2, 0.1), (0.5, 0.01), (0.95, 0.1), (1.0, 0.3), (0.0, 0.5)]:
            options = {"density": density, "gamma": gamma, "coefficients": 1, "scope": scope}
            options["variant"] = variant
            found = dfmerge.merge(base, [family[1]], method="breadcrumbs", options=options)
            tau = {name: value.astype(np.float64) for name, value in family[1].items()}
            if scope == "tensor":
                tau = {k: v for k, v in tau.items() if np.unique(np.abs(v)).size == v.size}
                assert len(tau) > 5
            expected = masks(tau, VARIANTS[variant], scope, density, gamma)
            for name, mask in expected.items():
                kept = np.where(mask, tau[name], 0)
                assert np.array_equal(numbers(found[name]), kept), (name, density, gamma)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_sums_of_several_models(dtype: str, variant: str) -> None:
    family = case(5, 3, DTYPES[dtype])
    densities, gammas, coefficients = [0.2, 0.5, 0.9], [0.1, 0.05, 0.3], [0.4, -0.3, 1.0]
    kept = [
        masks(tau, VARIANTS[variant], "row", d, g)
        for tau, d, g in zip(task_vectors(family), densities, gammas, strict=True)
    ]
    expected = {
        name: value.astype(np.float64)
        + sum(
            c * np.where(mask[name], tau[name], 0)
            for c, mask, tau in zip(coefficients, kept, exact_task_vectors(family), strict=True)
        )
        for name, value in family[0].items()
    }
    options = {"density": densities, "gamma": gammas, "coefficients": coefficients}
    options["variant"] = variant  # type: ignore[assignment]
    found = dfmerge.merge(family[0], family[1:], method="breadcrumbs", options=options)
    assert_close(found, expected, DTYPES[dtype])


def test_mergekits_defaults_empty_small_tensors() -> None:
    rng = np.random.default_rng(6)
    base = {"bias": np.zeros(99, np.float32), "weight": np.zeros((10, 10), np.float32)}
    model = {name: rng.normal(size=value.shape).astype("f4") for name, value in base.items()}
    options = {"density": 0.5, "gamma": 0.01, "scope": "tensor", "variant": "mergekit"}
    found = dfmerge.merge(base, [model], method="breadcrumbs", options=options)
    assert not found["bias"].any()
    assert np.count_nonzero(found["weight"]) == 50
    options["density"] = 1
    found = dfmerge.merge(base, [model], method="breadcrumbs", options=options)
    assert np.count_nonzero(found["bias"]) == 99


def test_shares_of_the_whole_model() -> None:
    family = case(7, 2, np.float32)
    options = {"density": 0.25, "gamma": 0.125, "coefficients": 1, "scope": "model"}
    expected = flat(family[0])
    for tau, exact in zip(task_vectors(family), exact_task_vectors(family), strict=True):
        mask = authors_row(flat(tau), 0.25, 0.125)
        expected = expected + np.where(mask, flat(exact), 0)
    found = dfmerge.merge(family[0], family[1:], method="breadcrumbs", options=options)
    assert np.allclose(flat(found), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
def test_breadcrumbs_ties(dtype: str, normalize: bool) -> None:
    family = case(8, 4, DTYPES[dtype], 0.125)
    weights = np.asarray([1.0, 0.5, 2.0, 0.25])
    kept = [masks(tau, authors_row, "row", 0.4, 0.1) for tau in task_vectors(family)]
    exact = exact_task_vectors(family)
    expected = {}
    for name, value in family[0].items():
        rows = [
            w * np.where(mask[name], tau[name], 0)
            for w, mask, tau in zip(weights, kept, exact, strict=True)
        ]
        merged = elected(np.stack(rows), weights, normalize)
        expected[name] = value.astype(np.float64) + 0.75 * merged
    options = {"density": 0.4, "weights": list(weights), "lambda": 0.75}
    options["aggregate"] = "mean" if normalize else "sum"
    found = dfmerge.merge(family[0], family[1:], method="breadcrumbs_ties", options=options)
    assert_close(found, expected, DTYPES[dtype])


def test_tied_votes_go_with_the_majority() -> None:
    # Rows of 4: the largest is removed, the next two kept. Columns 1 and 2 are ties.
    first = np.asarray([[9.0, 2, 3, 1]] * 3, np.float32)
    second = np.asarray([[9.0, -2, -3, 1]] * 3, np.float32)
    third = np.asarray([[9.0, 0, 0, 1]] * 3, np.float32)
    base = {"w": np.zeros((3, 4), np.float32)}
    options = {"density": 0.5, "gamma": 0.25, "aggregate": "sum", "zero_sign": "majority"}
    models = [{"w": first}, {"w": second}, {"w": third}]
    found = dfmerge.merge(base, models, method="breadcrumbs_ties", options=options)["w"]
    # The third model keeps its last column, so that most signs are positive.
    assert np.array_equal(found, np.asarray([[0, 2, 3, 1]] * 3, np.float32))


def test_the_golden_vector() -> None:
    family = golden()
    options = {"density": 0.34, "gamma": 0.34, "coefficients": 1}
    found = dfmerge.merge(family[0], family[1:2], method="breadcrumbs", options=options)["w"]
    # fmt: off
    expected = [0, 0, -0.0306739, 0, 0, 0.0304757, 0, -0.016997, 0, 0, -0.0205649, 0]
    # fmt: on
    assert np.allclose((found - family[0]["w"]).ravel(), expected, rtol=1e-5, atol=1e-8)


def test_nan_is_seen_wherever_it_is() -> None:
    family = case(9, 2, ml_dtypes.bfloat16)
    family[1]["large"][3, 5] = np.nan
    for options in [{}, {"density": 0}, {"scope": "tensor"}]:
        with pytest.raises(dfmerge.NumericalError, match="large"):
            dfmerge.merge(family[0], family[1:], method="breadcrumbs", options=options)
    found = dfmerge.merge(family[0], family[1:], method="breadcrumbs", non_finite="allow")
    assert np.isnan(numbers(found["large"])).sum() == 1


def test_wrong_options_are_refused() -> None:
    family = case(10, 2, np.float32)
    for options in [{"density": 1.5}, {"gamma": -0.1}, {"scope": "block"}, {"lambda": 1}]:
        with pytest.raises(dfmerge.ArgumentError):
            dfmerge.merge(family[0], family[1:], method="breadcrumbs", options=options)
