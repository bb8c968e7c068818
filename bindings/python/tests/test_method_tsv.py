"""TSV-M against NumPy, written from the formula."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matrix_merges import DTYPES, Array, assert_close, family, golden_family, merged, polar, svd

import dfmerge


def tsv_m(taus: list[Array], rank: float | None = None) -> Array:
    count = min(taus[0].shape)
    kept = count // len(taus) if rank is None else int(rank * count)
    if kept == 0:
        return np.zeros(taus[0].shape)
    parts = [svd(tau) for tau in taus]
    u = np.hstack([left[:, :kept] for left, _, _ in parts])
    s = np.concatenate([values[:kept] for _, values, _ in parts])
    vt = np.vstack([right[:kept] for _, _, right in parts])
    return (polar(u) * s) @ polar(vt)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("count", [1, 2, 5])
def test_equal_shares(dtype: str, count: int) -> None:
    models = family(3, count, DTYPES[dtype])
    found = dfmerge.merge(models[0], models[1:], method="tsv_m", options={"lambda": 0.7})
    limit = 1e-10 if dtype == "f64" else 0
    assert_close(found, merged(models, tsv_m, 0.7), DTYPES[dtype], limit)


@pytest.mark.parametrize("rank", [0, 0.1, 0.4, 1])
def test_shares_that_are_given(rank: float) -> None:
    # 1 is the lossless variant, whose stacked vectors are more than a matrix has directions.
    models = family(4, 3)
    found = dfmerge.merge(models[0], models[1:], method="tsv_m", options={"rank": rank})
    assert_close(found, merged(models, lambda taus: tsv_m(taus, rank)), np.float32)


def test_the_change_itself_is_exact_to_float() -> None:
    models = family(5, 3)
    models[0] = {name: np.zeros_like(value) for name, value in models[0].items()}
    found = dfmerge.merge(models[0], models[1:], method="tsv_m")
    assert_close(found, merged(models, tsv_m), np.float32, 1e-6)


def test_golden_values_of_the_authors_code() -> None:
    base, models = golden_family()
    found = dfmerge.merge(base, models, method="tsv_m")
    expected = [
        [-0.0318591, 0.0304915, -0.0457413],
        [-0.0520365, -0.0175456, 0.0357497],
        [0.0325663, 0.0406026, 0.0473793],
        [0.0403305, -0.0417782, -0.0170142],
    ]
    np.testing.assert_allclose(found["w"] - base["w"], expected, rtol=2e-5)


def test_one_model_comes_back() -> None:
    models = family(6, 1)
    found = dfmerge.merge(models[0], models[1:], method="tsv_m")
    assert_close(found, merged(models, lambda taus: taus[0]), np.float32)


def test_what_models_share_counts_once() -> None:
    models = family(7, 1, np.float64)
    one = dfmerge.merge(models[0], models[1:], method="tsv_m", options={"rank": 0.5})
    three = dfmerge.merge(models[0], models[1:] * 3, method="tsv_m", options={"rank": 0.5})
    for name in one:
        np.testing.assert_allclose(one[name], three[name], rtol=1e-9, atol=1e-10)


def test_exclusion_and_no_change() -> None:
    models = family(8, 2)
    found = dfmerge.merge(models[0], models[1:], method="tsv_m", options={"exclude": []})
    assert_close(found, merged(models, tsv_m, excluded=()), np.float32)
    found = dfmerge.merge(models[0], [models[0]] * 2, method="tsv_m")
    for name, value in models[0].items():
        assert np.array_equal(found[name], value), name


def test_threads_memory_and_files_change_no_bit(tmp_path: Any) -> None:
    models = family(10, 3)
    paths = [str(tmp_path / f"{number}.safetensors") for number in range(4)]
    for path, tensors in zip(paths, models, strict=True):
        dfmerge.save(tensors, path)
    one = dfmerge.merge(models[0], models[1:], method="tsv_m", threads=1)
    out = str(tmp_path / "out.safetensors")
    dfmerge.merge(paths[0], paths[1:], method="tsv_m", out=out, threads=3, max_memory="60MB")
    other = dfmerge.load(out)
    for name, value in one.items():
        assert np.array_equal(other[name], value), name


def test_values_that_are_refused() -> None:
    models = family(11, 2)
    with pytest.raises(dfmerge.ArgumentError, match="rank"):
        dfmerge.merge(models[0], models[1:], method="tsv_m", options={"rank": 1.5})
    models[2]["wide"][3, 4] = np.inf
    with pytest.raises(dfmerge.NumericalError, match="'wide'"):
        dfmerge.merge(models[0], models[1:], method="tsv_m")
