"""TIES, DARE and DARE-TIES against NumPy, written from the papers and the published code."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from task_vector_models import (
    DTYPES,
    Vector,
    Weights,
    assert_close,
    case,
    draws,
    flat,
    numbers,
    task_vectors,
    unflat,
)

import dfmerge


def authors_ties(family: list[Weights], density: float, aggregate: str, scale: float) -> Weights:
    """The authors' three steps: top-k mask by kthvalue, resolved signs, disjoint merge."""
    rows = np.stack([flat(tau) for tau in task_vectors(family)])
    count = rows.shape[1]
    k = count - int(count * density)
    thresholds = np.partition(np.abs(rows), k - 1, axis=1)[:, k - 1 : k]
    rows = np.where(np.abs(rows) >= thresholds, rows, 0).astype(np.float64)
    # Sums of positive and of negative terms apart: they cancel exactly or not at all.
    total = np.where(rows > 0, rows, 0).sum(0) + np.where(rows < 0, rows, 0).sum(0)
    signs = np.sign(total)
    signs[signs == 0] = np.sign(signs.sum())
    kept = np.where(np.where(signs > 0, rows > 0, rows < 0), rows, 0)
    if aggregate == "mean":
        merged = kept.sum(0) / np.maximum((kept != 0).sum(0), 1)
    elif aggregate == "sum":
        merged = kept.sum(0)
    else:
        merged = np.abs(kept).max(0) * signs
    return unflat(flat(family[0]).astype(np.float64) + scale * merged, family[0])


def mergekit_ties(
    family: list[Weights], densities: list[float], weights: list[float], normalize: bool
) -> Weights:
    """The other published way: exact shares of each tensor, weights before the vote, ties up."""
    merged = {}
    vectors = task_vectors(family)
    for name, value in family[0].items():
        terms = []
        for tau, density, weight in zip(vectors, densities, weights, strict=True):
            row = tau[name].astype(np.float64).ravel()
            drop = np.argsort(np.abs(row))[: row.size - int(density * row.size)]
            row[drop] = 0
            terms.append(weight * row)
        rows = np.stack(terms)
        sign = np.where(rows.sum(0) >= 0, 1, -1)
        mask = np.sign(rows) == sign
        total = (rows * mask).sum(0)
        if normalize:
            divisor = (np.asarray(weights)[:, None] * mask).sum(0)
            total = total / np.where(divisor == 0, 1, divisor)
        merged[name] = value.astype(np.float64) + total.reshape(value.shape)
    return merged


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("aggregate", ["mean", "sum", "max"])
@pytest.mark.parametrize("density", [0.01, 0.2, 0.7])
def test_ties_as_its_authors_compute_it(dtype: str, aggregate: str, density: float) -> None:
    for grid in [None, 0.125]:
        family = case(7, 3, DTYPES[dtype], grid)
        options = {"density": density, "aggregate": aggregate, "lambda": 0.75}
        found = dfmerge.merge(family[0], family[1:], method="ties", options=options)
        assert_close(found, authors_ties(family, density, aggregate, 0.75), DTYPES[dtype])


@pytest.mark.parametrize("normalize", [True, False])
def test_ties_by_tensor_with_weights(normalize: bool) -> None:
    family = case(8, 4, np.float32)
    densities, weights = [0.3, 0.5, 0.9, 0.05], [1.0, 0.5, 2.0, 0.25]
    options = {
        "density": densities,
        "weights": weights,
        "aggregate": "mean" if normalize else "sum",
        "scope": "tensor",
        "trim": "exact",
        "zero_sign": "positive",
    }
    found = dfmerge.merge(family[0], family[1:], method="ties", options=options)
    assert_close(found, mergekit_ties(family, densities, weights, normalize), np.float32)


@pytest.mark.parametrize("trim", ["authors", "exact"])
def test_exactly_as_many_are_kept_as_the_density_says(trim: str) -> None:
    family = case(9, 1, np.float32)
    count = flat(family[0]).size
    options = {"density": 0.1, "trim": trim}
    found = dfmerge.merge(family[0], family[1:], method="ties", options=options)
    moved = int((flat(found) != flat(family[0])).sum())
    assert moved == int(0.1 * count) + (trim == "authors")


# --- DARE ----------------------------------------------------------------------------------------


def keep(name: str, model: int, count: int, density: float, seed: int) -> Vector:
    """Which elements of a tensor a model keeps."""
    return draws(name, model, count, seed) < np.uint64(round(density * 2**32))


def masked(family: list[Weights], densities: list[float], seed: int) -> list[Weights]:
    """Task vectors after dropping and rescaling."""
    return [
        {
            name: (value.astype(np.float64) - family[0][name].astype(np.float64))
            * keep(name, m, value.size, densities[m], seed).reshape(value.shape)
            / densities[m]
            for name, value in one.items()
        }
        for m, one in enumerate(family[1:])
    ]


@pytest.mark.parametrize("dtype", DTYPES)
def test_dare_drops_the_documented_elements(dtype: str) -> None:
    family = case(11, 3, DTYPES[dtype])
    densities, coefficients = [0.9, 0.5, 0.1], [0.3, -0.5, 1.0]
    terms = masked(family, densities, 2**40 + 5)
    expected = {
        name: value.astype(np.float64)
        + sum(c * tau[name] for c, tau in zip(coefficients, terms, strict=True))
        for name, value in family[0].items()
    }
    options = {"density": densities, "coefficients": coefficients, "seed": 2**40 + 5}
    found = dfmerge.merge(family[0], family[1:], method="dare", options=options)
    assert_close(found, expected, DTYPES[dtype])


@pytest.mark.parametrize("aggregate", ["mean", "sum"])
def test_dare_ties_votes_on_what_is_left(aggregate: str) -> None:
    family = case(12, 4, np.float32)
    densities, weights = [0.9, 0.5, 0.3, 0.7], np.asarray([1.0, 0.5, 2.0, 1.0])
    terms = masked(family, densities, 3)
    expected = {}
    for name, value in family[0].items():
        rows = np.stack([w * tau[name].ravel() for w, tau in zip(weights, terms, strict=True)])
        mask = np.sign(rows) == np.where(rows.sum(0) >= 0, 1, -1)
        total = (rows * mask).sum(0)
        if aggregate == "mean":
            divisor = (weights[:, None] * mask).sum(0)
            total = total / np.where(divisor == 0, 1, divisor)
        expected[name] = value.astype(np.float64) + total.reshape(value.shape)
    options = {"density": densities, "weights": list(weights), "aggregate": aggregate, "seed": 3}
    found = dfmerge.merge(family[0], family[1:], method="dare_ties", options=options)
    assert_close(found, expected, np.float32)


def ones(count: int) -> list[Weights]:
    return [{"w": np.zeros(count, np.float32)}, {"w": np.ones(count, np.float32)}]


@pytest.mark.parametrize("density", [0.05, 0.5, 0.9])
def test_the_mask_has_the_density_and_no_memory(density: float) -> None:
    count = 400_000
    base, model = ones(count)
    options = {"density": density, "coefficients": 1, "rescale": False}
    kept = dfmerge.merge(base, [model], method="dare", options=options)["w"]
    deviation = (count * density * (1 - density)) ** 0.5
    assert abs(kept.sum() - count * density) < 5 * deviation
    # Neighbours, near and a vector or a group of draws away, are uncorrelated.
    centred = kept.astype(np.float64) - density
    for lag in [1, 7, 8, 31, 32, 1024]:
        correlation = (centred[lag:] * centred[:-lag]).mean() / (density * (1 - density))
        assert abs(correlation) < 5 / count**0.5, lag


def test_dare_is_unbiased() -> None:
    base, model = ones(64)
    model["w"] = np.linspace(-1, 1, 64, dtype=np.float32)
    total = np.zeros(64)
    for seed in range(2000):
        options = {"density": 0.4, "coefficients": 1, "seed": seed}
        total += dfmerge.merge(base, [model], method="dare", options=options)["w"]
    # The standard deviation of the mean of 2000 draws of x b / 0.4.
    deviation = np.abs(model["w"]) * (0.6 / 0.4 / 2000) ** 0.5
    assert np.all(np.abs(total / 2000 - model["w"]) <= 5 * deviation + 1e-12)


@pytest.mark.parametrize("method", ["ties", "dare", "dare_ties"])
def test_same_bytes_for_threads_files_and_shards(method: str, tmp_path: Path) -> None:
    family = case(13, 3, ml_dtypes.bfloat16, 0.0625)
    expected = dfmerge.merge(family[0], family[1:], method=method, threads=1)
    paths = [str(tmp_path / f"{number}") for number in range(4)]
    for path, one in zip(paths, family, strict=True):
        dfmerge.save(one, path, shard_size=20_000)
    for threads in [1, 2, 5]:
        found = dfmerge.merge(family[0], family[1:], method=method, threads=threads)
        out = str(tmp_path / f"out{threads}")
        dfmerge.merge(paths[0], paths[1:], method=method, threads=threads, out=out)
        stored = dfmerge.load(out)
        for name, value in expected.items():
            assert np.array_equal(numbers(found[name]), numbers(value)), name
            assert np.array_equal(numbers(stored[name]), numbers(value)), name


def test_a_nan_is_named_before_anything_is_written() -> None:
    family = case(14, 2, np.float32)
    family[2]["large"][100, 3] = np.nan
    with pytest.raises(dfmerge.NumericalError, match="'large' of model"):
        dfmerge.merge(family[0], family[1:], method="ties")


def test_options_of_other_methods_are_refused() -> None:
    family = case(15, 2, np.float32)
    for method, options in [("ties", {"seed": 1}), ("dare", {"lambda": 1}), ("ties", {"k": 20})]:
        with pytest.raises(dfmerge.ArgumentError):
            dfmerge.merge(family[0], family[1:], method=method, options=options)
