"""SCE against NumPy, written from the authors' and mergekit's code."""

from __future__ import annotations

import numpy as np
import pytest
from task_vector_models import (
    DTYPES,
    Vector,
    Weights,
    assert_close,
    case,
    exact_task_vectors,
    golden,
    numbers,
)

import dfmerge


def selected(tau: Vector, share: float, is_wide: bool) -> Vector:
    """The elements with the largest variance over the models, those that equal the last one too."""
    if share >= 1:
        return np.ones(tau.shape[1:], bool)
    shifted = tau - tau[0]
    variance = ((shifted - shifted.mean(0)) ** 2).mean(0)
    if not is_wide:
        variance = variance.astype(np.float32).astype(np.float64)
    count = int(share * np.count_nonzero(variance))
    if count == 0:
        return np.zeros(variance.shape, bool)
    return np.asarray(variance >= np.sort(variance, axis=None)[-count])


def sce(family: list[Weights], share: float, mergekit: bool) -> Weights:
    merged = {}
    is_wide = next(iter(family[0].values())).dtype == np.float64
    for name, value in family[0].items():
        tau = np.stack([one[name] for one in exact_task_vectors(family)])
        mask = selected(tau, share, is_wide)
        axes = tuple(range(1, tau.ndim))
        if value.size == 0:
            merged[name] = value.astype(np.float64)
            continue
        weights = (np.where(mask, tau, 0) ** 2).mean(axis=axes)
        total = weights.sum()
        if total == 0 or (mergekit and total < 1e-6):
            weights = np.full(len(tau), 1 / len(tau))
        else:
            weights = weights / total
        if mergekit:
            tau = np.where(mask, tau, 0)
        vote = np.where(tau > 0, tau, 0).sum(0) + np.where(tau < 0, tau, 0).sum(0)
        kept = weights.reshape(-1, *[1] * value.ndim) * (np.sign(tau) == np.where(vote >= 0, 1, -1))
        divisor = kept.sum(0)
        divisor = np.maximum(divisor, 1e-6) if mergekit else np.where(divisor == 0, 1, divisor)
        merged[name] = value.astype(np.float64) + (kept * tau).sum(0) / divisor
    return merged


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("variant", ["authors", "mergekit"])
@pytest.mark.parametrize("share", [1.0, 0.5, 0.1, 0.0])
def test_sce(dtype: str, variant: str, share: float) -> None:
    # On a grid in F64, elements with the same variance may differ in its last bit.
    for grid in [None] if dtype == "f64" else [None, 0.03125]:
        family = case(31, 3, DTYPES[dtype], grid)
        options = {"select_topk": share, "variant": variant}
        found = dfmerge.merge(family[0], family[1:], method="sce", options=options)
        assert_close(found, sce(family, share, variant == "mergekit"), DTYPES[dtype])


@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_the_elements_that_are_selected(dtype: str) -> None:
    # What moves in mergekit's variant is what was selected, but for elements that nobody moves.
    family = case(32, 4, DTYPES[dtype])
    options = {"select_topk": 0.3, "variant": "mergekit"}
    found = dfmerge.merge(family[0], family[1:], method="sce", options=options)
    for name, value in family[0].items():
        tau = np.stack([one[name] for one in exact_task_vectors(family)])
        moved = numbers(found[name]) != numbers(value)
        assert np.array_equal(moved, selected(tau, 0.3, dtype == "f64")), name


def test_models_that_agree_are_not_selected() -> None:
    rng = np.random.default_rng(33)
    base = {"w": rng.normal(size=(40, 5)).astype(np.float32)}
    models = [{"w": base["w"] + np.float32(0.5)} for _ in range(3)]
    # Ten elements differ: a share of 0.5 selects five of these.
    for number, model in enumerate(models):
        model["w"].ravel()[:10] += np.float32(number) * rng.normal(size=10).astype(np.float32)
    options = {"select_topk": 0.5, "variant": "mergekit"}
    found = dfmerge.merge(base, models, method="sce", options=options)
    assert np.count_nonzero(found["w"] != base["w"]) == 5
    # One model: no variance, nothing selected.
    alone = dfmerge.merge(base, models[:1], method="sce", options=options)
    assert np.array_equal(alone["w"], base["w"])
    alone = dfmerge.merge(base, models[:1], method="sce", options={"select_topk": 0.5})
    assert np.allclose(alone["w"], models[0]["w"], rtol=1e-6)


def test_small_changes_turn_mergekits_weights_off() -> None:
    rng = np.random.default_rng(34)
    base = {"w": rng.normal(size=100)}
    models = [{"w": base["w"] + size * rng.uniform(1, 2, 100)} for size in (1e-4, 3e-4)]
    family = [base, *models]
    for variant in ["authors", "mergekit"]:
        found = dfmerge.merge(base, models, method="sce", options={"variant": variant})
        expected = sce(family, 1.0, variant == "mergekit")
        assert np.allclose(found["w"] - base["w"], expected["w"] - base["w"], rtol=1e-9)
    # All positive: the mean, here.
    mean = (models[0]["w"] + models[1]["w"]) / 2
    assert np.allclose(found["w"], mean, rtol=1e-12)


def test_the_golden_vectors() -> None:
    family = [{"w": one["w"]} for one in golden()]
    # fmt: off
    authors = [-0.0272549, 0.0194189, -0.0311329, -0.0131963, 0.0145875, 0.0347381, 0.0325454,
               -0.0121778, 0.0220775, 0.0203152, -0.0171226, 0.0382061]
    mergekit = [-0.0272549, 0, 0, 0, 0.0145875, 0, 0.0325454, 0, 0.0220775, 0.0203152, 0, 0.0382061]
    # fmt: on
    for variant, expected in [("authors", authors), ("mergekit", mergekit)]:
        options = {"select_topk": 0.5, "variant": variant}
        found = dfmerge.merge(family[0], family[1:], method="sce", options=options)["w"]
        assert np.allclose((found - family[0]["w"]).ravel(), expected, rtol=1e-5, atol=1e-8)


def test_the_golden_weights() -> None:
    family = [{"w": one["w"]} for one in golden()]
    tau = np.stack([one["w"] for one in exact_task_vectors(family)])
    weights = np.array([0.19907, 0.444091, 0.356838]).reshape(-1, 1, 1)
    kept = weights * (np.sign(tau) == np.where(tau.sum(0) >= 0, 1, -1))
    options = {"select_topk": 0.5, "variant": "authors"}
    found = dfmerge.merge(family[0], family[1:], method="sce", options=options)["w"]
    expected = (kept * tau).sum(0) / kept.sum(0)
    assert np.allclose(found - family[0]["w"], expected, rtol=1e-5, atol=1e-8)


def test_nan_and_wrong_options() -> None:
    family = case(35, 2, np.float32)
    for options in [{"select_topk": 1.5}, {"variant": "paper"}, {"density": 1}]:
        with pytest.raises(dfmerge.ArgumentError):
            dfmerge.merge(family[0], family[1:], method="sce", options=options)
    family[1]["large"][3, 5] = np.nan
    for share in [1, 0.5]:
        with pytest.raises(dfmerge.NumericalError, match="large"):
            dfmerge.merge(family[0], family[1:], method="sce", options={"select_topk": share})
    found = dfmerge.merge(
        family[0], family[1:], method="sce", options={"select_topk": 0.5}, non_finite="allow"
    )
    assert np.isnan(found["large"][3, 5])
