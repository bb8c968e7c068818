"""Iso-C and Iso-CTS against NumPy, written from the formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matrix_merges import (
    DTYPES,
    Array,
    assert_close,
    family,
    golden_family,
    merged,
    polar,
    svd,
)

import dfmerge


def iso_c(taus: list[Array]) -> Array:
    u, s, vt = svd(np.sum(taus, axis=0))
    return s.mean() * (u @ vt)


def iso_cts(taus: list[Array], common: float) -> Array:
    count = min(taus[0].shape)
    own = min(round((count - int(common * count)) / len(taus)), count // len(taus))
    shared = count - own * len(taus)
    u, s, vt = (part for part in svd(np.sum(taus, axis=0)))
    u, s, vt = u[:, :shared], s[:shared], vt[:shared]
    lefts, values, rights = [], [], []
    for tau in taus:
        left, value, right = svd(tau - u @ (u.T @ tau))
        lefts.append(left[:, :own])
        values.append(value[:own])
        rights.append(right[:own])
    stacked = np.concatenate([*values, s])
    return stacked.mean() * polar(np.hstack([*lefts, u])) @ polar(np.vstack([*rights, vt]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("count", [1, 2, 5])
def test_iso_c(dtype: str, count: int) -> None:
    models = family(3, count, DTYPES[dtype])
    found = dfmerge.merge(models[0], models[1:], method="iso_c", options={"lambda": 0.7})
    limit = 1e-12 if dtype == "f64" else 0
    assert_close(found, merged(models, iso_c, 0.7), DTYPES[dtype], limit)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("count", "common"), [(1, 0.8), (2, 0.8), (5, 0.5), (3, 1), (4, 0)])
def test_iso_cts(dtype: str, count: int, common: float) -> None:
    models = family(4, count, DTYPES[dtype])
    options = {"lambda": 1.3, "common": common}
    found = dfmerge.merge(models[0], models[1:], method="iso_cts", options=options)
    expected = merged(models, lambda taus: iso_cts(taus, common), 1.3)
    limit = 1e-10 if dtype == "f64" else 0
    assert_close(found, expected, DTYPES[dtype], limit)


@pytest.mark.parametrize("method", ["iso_c", "iso_cts"])
def test_the_change_itself_is_exact_to_float(method: str) -> None:
    # With a base of zeros nothing hides the task vector.
    models = family(5, 3)
    models[0] = {name: np.zeros_like(value) for name, value in models[0].items()}
    reference = iso_c if method == "iso_c" else lambda taus: iso_cts(taus, 0.8)
    found = dfmerge.merge(models[0], models[1:], method=method)
    assert_close(found, merged(models, reference), np.float32, 1e-6)


def test_golden_values_of_the_authors_code() -> None:
    base, models = golden_family()
    found = dfmerge.merge(base, models, method="iso_c")
    expected = [
        [-0.0287326, 0.0209838, -0.0546499],
        [-0.0380547, 0.00734045, 0.0480075],
        [0.051216, -0.013642, -0.00014483],
        [-0.0229547, -0.0688724, -0.0115052],
    ]
    np.testing.assert_allclose(found["w"] - base["w"], expected, rtol=1e-5, atol=1e-8)
    bias = [-0.00279154, -0.0153452, -0.0158738, -0.00437727]
    np.testing.assert_allclose(found["b"] - base["b"], bias, rtol=1e-5)


@pytest.mark.parametrize("method", ["iso_c", "iso_cts"])
def test_what_is_excluded_is_averaged(method: str) -> None:
    models = family(6, 3)
    found = dfmerge.merge(models[0], models[1:], method=method, options={"exclude": ["w", "o"]})
    expected = merged(models, iso_c if method == "iso_c" else lambda t: iso_cts(t, 0.8))
    means = merged(models, iso_c, excluded=("",))
    for name in expected:
        if "w" in name or "o" in name:
            expected[name] = means[name]
    assert_close(found, expected, np.float32)
    # Nothing is, with an empty list.
    found = dfmerge.merge(models[0], models[1:], method="iso_c", options={"exclude": []})
    assert_close(found, merged(models, iso_c, excluded=()), np.float32)


def test_models_that_are_the_base_change_nothing() -> None:
    models = family(7, 2)
    for method in ("iso_c", "iso_cts"):
        found = dfmerge.merge(models[0], [models[0]] * 3, method=method)
        for name, value in models[0].items():
            assert np.array_equal(found[name], value), name


def test_all_directions_have_one_strength_where_the_change_has_low_rank() -> None:
    rng = np.random.default_rng(8)
    base = {"w": np.zeros((30, 20))}
    low = rng.normal(size=(30, 2)) @ rng.normal(size=(2, 20))
    for method in ("iso_c", "iso_cts"):
        found = dfmerge.merge(base, [{"w": low}], method=method)
        values = np.linalg.svd(found["w"], compute_uv=False)
        mean = np.linalg.svd(low, compute_uv=False).mean()
        np.testing.assert_allclose(values, mean, rtol=1e-9)


def test_one_model_has_the_same_result_by_both() -> None:
    models = family(9, 1, np.float64)
    one = dfmerge.merge(models[0], models[1:], method="iso_c")
    other = dfmerge.merge(models[0], models[1:], method="iso_cts", options={"common": 0.5})
    for name in one:
        np.testing.assert_allclose(one[name], other[name], rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("method", ["iso_c", "iso_cts"])
def test_threads_memory_and_files_change_no_bit(method: str, tmp_path: Any) -> None:
    models = family(10, 3)
    paths = [str(tmp_path / f"{number}.safetensors") for number in range(4)]
    for path, tensors in zip(paths, models, strict=True):
        dfmerge.save(tensors, path)
    one = dfmerge.merge(models[0], models[1:], method=method, threads=1)
    out = str(tmp_path / "out.safetensors")
    dfmerge.merge(paths[0], paths[1:], method=method, out=out, threads=3, max_memory="60MB")
    other = dfmerge.load(out)
    for name, value in one.items():
        assert np.array_equal(other[name], value), name


def test_a_matrix_with_nan_is_refused_by_name() -> None:
    models = family(11, 2)
    models[1]["tall"][3, 4] = np.nan
    for method in ("iso_c", "iso_cts"):
        with pytest.raises(dfmerge.NumericalError, match="'tall'"):
            dfmerge.merge(models[0], models[1:], method=method)
