"""PCB-Merging against NumPy, written from the authors' four programs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from task_vector_models import (
    DTYPES,
    Vector,
    assert_close,
    case,
    exact_task_vectors,
    flat,
    golden,
    task_vectors,
    unflat,
)

import dfmerge


def clamp(x: Vector, low: float, high: float) -> Vector:
    """To its own order statistics, as the authors index them."""
    d = x.shape[1]
    ordered = np.sort(x, axis=1)
    least, most = ordered[:, int(d * low)], ordered[:, int(d * (1 - high) - 1)]
    return np.asarray(np.minimum(np.maximum(x, least[:, None]), most[:, None]))


def normalize(x: Vector) -> Vector:
    """From 0 to 1; 0 where there is no range."""
    low, high = x.min(1, keepdims=True), x.max(1, keepdims=True)
    return np.divide(x - low, high - low, out=np.zeros_like(x), where=high > low)


def scales(tau: Vector, ratio: float, variant: str, clip: float, is_wide: bool) -> Any:
    """Clipped task vectors and their scales, a row per model."""
    size = clamp(np.abs(tau), clip, clip)
    share = normalize(size)
    signed = np.sign(tau) * share
    if variant == "vision":
        inter = np.tanh(tau * signed.sum(0))
    elif variant == "vision_es":
        inter = np.stack([np.tanh(row * signed).sum(0) for row in signed])
    else:
        inter = np.tanh(tau * tau.sum(0))
    balance = np.exp(len(tau) * share**2) * inter
    if not is_wide:
        # As balances are ranked.
        balance = balance.astype(np.float32).astype(np.float64)
    return np.sign(tau) * size, normalize(clamp(balance, 1 - ratio, 0))


def pcb(
    tau: Vector, ratio: float, variant: str, coefficients: Vector, clip: float, is_wide: bool
) -> Vector:
    clipped, scale = scales(tau, ratio, variant, clip, is_wide)
    total = (clipped * scale * coefficients[:, None]).sum(0)
    return np.asarray(total / np.maximum(scale.sum(0), 1e-12))


CLIPS = {"root": 1e-4, "nlp": 0.01, "vision": 0.01, "vision_es": 0.01}
COEFFICIENTS = np.asarray([1.2, 0.8, 1.0])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("variant", CLIPS)
def test_pcb(dtype: str, variant: str) -> None:
    family = case(41, 3, DTYPES[dtype])
    rows = np.stack([flat(tau) for tau in exact_task_vectors(family)])
    for ratio in [0.05, 0.5, 1.0]:
        merged = pcb(rows, ratio, variant, COEFFICIENTS, CLIPS[variant], dtype == "f64")
        expected = unflat(flat(family[0]) + merged, family[0])
        options = {"ratio": ratio, "variant": variant, "coefficients": list(COEFFICIENTS)}
        found = dfmerge.merge(family[0], family[1:], method="pcb", options=options)
        assert_close(found, expected, DTYPES[dtype])


@pytest.mark.parametrize("variant", CLIPS)
def test_pcb_within_each_tensor(variant: str) -> None:
    family = case(42, 3, np.float64)
    options = {"ratio": 0.3, "variant": variant, "clip": 0.05, "scope": "tensor"}
    found = dfmerge.merge(family[0], family[1:], method="pcb", options=options)
    tau = exact_task_vectors(family)
    for name, value in family[0].items():
        if value.size == 0:
            continue
        rows = np.stack([one[name].ravel() for one in tau])
        merged = pcb(rows, 0.3, variant, np.full(3, 1.2), 0.05, True).reshape(value.shape)
        assert np.allclose(found[name], value + merged, rtol=1e-9, atol=1e-12), name


def test_the_share_that_takes_part() -> None:
    family = case(43, 3, np.float64)
    _, scale = scales(
        np.stack([flat(tau) for tau in task_vectors(family)]), 0.05, "root", 1e-4, True
    )
    moved = (scale > 0).any(0)
    found = dfmerge.merge(family[0], family[1:], method="pcb")
    assert np.array_equal(flat(found) != flat(family[0]), moved)
    # The element at the threshold has no share itself.
    count = scale.shape[1]
    assert (scale > 0).sum(1).tolist() == [count - int(count * 0.95) - 1] * 3


def test_the_golden_vectors() -> None:
    family = golden()
    # fmt: off
    root = [-0.0358988, -0.0399569, -0.0460785, -0.0367428, -0.0475223, 0.0315499, -0.0309228,
            -0.0236373, 0, 0.0338185, 0.0461348, -0.0154767, 0.0409812, 0.038999, -0.018931,
            0.0382061]
    vision = [-0.0361249, -0.0399411, -0.0462159, -0.0369111, -0.0475223, 0.0314864, -0.0309243,
              -0.0236373, -0.0322597, 0.0338068, 0.0461348, -0.0154069, 0.0409812, 0.038999,
              -0.0188966, 0.0382061]
    pairs = [-0.0361249, -0.0398673, -0.0461298, -0.0368776, -0.0475223, 0.0312642, -0.0309552,
             -0.0236373, -0.0322597, 0.0340904, 0.0461348, -0.0151207, 0.0409812, 0.038999,
             -0.018711, 0.0382061]
    # fmt: on
    for variant, expected in [
        ("root", root), ("nlp", root), ("vision", vision), ("vision_es", pairs),
    ]:  # fmt: skip
        options = {"ratio": 0.6, "coefficients": 1, "variant": variant}
        found = dfmerge.merge(family[0], family[1:], method="pcb", options=options)
        assert np.allclose(flat(found) - flat(family[0]), expected, rtol=1e-5, atol=1e-8), variant


@pytest.mark.parametrize("variant", CLIPS)
def test_a_model_that_is_the_base_takes_no_part(variant: str) -> None:
    family = case(44, 2, np.float64)
    options = {"variant": variant, "ratio": 0.5}
    with_base = [family[1], family[0], family[2]]
    found = dfmerge.merge(family[0], with_base, method="pcb", options=options)
    rows = np.stack([flat(tau) for tau in exact_task_vectors([family[0], *with_base])])
    merged = pcb(rows, 0.5, variant, np.full(3, 1.2), CLIPS[variant], True)
    assert np.allclose(flat(found), flat(family[0]) + merged, rtol=1e-9, atol=1e-12)
    # Nothing but the base changes nothing.
    same = dfmerge.merge(family[0], [family[0]], method="pcb", options=options)
    assert np.array_equal(flat(same), flat(family[0]))


def test_many_models_overflow_nothing() -> None:
    rng = np.random.default_rng(45)
    base = {"w": np.zeros(500, np.float32)}
    models = [{"w": rng.normal(size=500).astype(np.float32)} for _ in range(120)]
    found = dfmerge.merge(base, models, method="pcb", options={"coefficients": 1})["w"]
    assert np.all(np.isfinite(found))
    assert np.count_nonzero(found) > 100


def test_nan_and_wrong_options() -> None:
    family = case(46, 2, np.float32)
    for options in [{"ratio": 0}, {"variant": "paper"}, {"clip": 0.5}, {"clip": "authors"}]:
        with pytest.raises(dfmerge.ArgumentError):
            dfmerge.merge(family[0], family[1:], method="pcb", options=options)
    family[1]["large"][3, 5] = np.nan
    with pytest.raises(dfmerge.NumericalError, match="large"):
        dfmerge.merge(family[0], family[1:], method="pcb")
    found = dfmerge.merge(family[0], family[1:], method="pcb", non_finite="allow")
    assert np.isnan(found["large"][3, 5])
