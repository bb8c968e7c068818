"""Model Stock against NumPy, written from the formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from method_models import DTYPES, Array, assert_close, exact, family, golden, task_vectors

import dfmerge


def ratio(
    vectors: list[Array], axis: int | None, degrees: bool, clamp: bool, floor: float = 0
) -> Array:
    """t = M cos / (1 + (M - 1) cos)."""
    kept: dict[str, Any] = {"axis": axis if vectors[0].ndim else None, "keepdims": True}
    lengths = [np.sqrt(np.sum(v * v, **kept)) for v in vectors]
    found = []
    for i, first in enumerate(vectors):
        for j in range(i + 1, len(vectors)):
            product = np.maximum(lengths[i] * lengths[j], floor)
            cosine = np.sum(first * vectors[j], **kept) / np.where(product == 0, 1, product)
            found.append(np.clip(cosine, -1, 1))
    if degrees:
        cosine = np.cos(np.deg2rad(np.mean([np.rad2deg(np.arccos(c)) for c in found], axis=0)))
    else:
        cosine = np.mean(found, axis=0)
    if clamp:
        cosine = np.clip(cosine, 0, 1)
    return np.asarray(len(vectors) * cosine / (1 + (len(vectors) - 1) * cosine))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("count", [2, 5])
@pytest.mark.parametrize("scope", ["tensor", "row"])
@pytest.mark.parametrize("degrees", [False, True])
def test_model_stock(dtype: str, count: int, scope: str, degrees: bool) -> None:
    members = family(20, count, DTYPES[dtype], offset=1.5)
    base, vectors = exact(members[0]), task_vectors(members)
    axis = -1 if scope == "row" else None
    for clamp in [True, False]:
        expected = {}
        for name, value in base.items():
            own = [v[name] for v in vectors]
            t = ratio(own, axis, degrees, clamp)
            expected[name] = value + t * np.mean(own, axis=0)
        angle = "degrees" if degrees else "cosine"
        options = {"scope": scope, "angle": angle, "clamp": clamp}
        found = dfmerge.merge(members[0], members[1:], "model_stock", options=options)
        # Where 1 + (M - 1) cos is nearly 0, so are the digits of t.
        kept = {n for n in expected if np.abs(expected[n] - base[n]).max(initial=0) < 20}
        assert_close(
            {n: found[n] for n in kept}, {n: expected[n] for n in kept}, DTYPES[dtype], 5e-6
        )
        assert {"wide", "layers.0.attn.weight"} <= kept


def test_the_ratio_of_published_numbers() -> None:
    members = golden()
    mean = sum(v["w"] for v in task_vectors(members)) / 3
    for angle, t in [("cosine", 0.0828728), ("degrees", 0.0830996)]:
        found = dfmerge.merge(members[0], members[1:], "model_stock", options={"angle": angle})
        moved = np.linalg.norm(found["w"] - members[0]["w"]) / np.linalg.norm(mean)
        assert moved == pytest.approx(t, rel=1e-5)


def test_the_floor_of_the_lengths() -> None:
    """mergekit's, which small changes do not reach."""
    members = family(21, 3, np.float64, step=1e-5, offset=1)
    base, vectors = exact(members[0]), task_vectors(members)
    expected = {
        name: value
        + ratio([v[name] for v in vectors], None, False, True, 1e-6)
        * np.mean([v[name] for v in vectors], axis=0)
        for name, value in base.items()
    }
    found = dfmerge.merge(members[0], members[1:], "model_stock", options={"norm_floor": 1e-6})
    for name, value in expected.items():
        np.testing.assert_allclose(
            found[name] - base[name], value - base[name], rtol=1e-6, atol=1e-13
        )


def test_changes_that_agree_are_kept_and_others_not() -> None:
    base = {"w": np.zeros(4, np.float32)}
    one = {"w": np.array([1, 0, 0, 0], np.float32)}
    across = {"w": np.array([0, 1, 0, 0], np.float32)}
    against = {"w": np.array([-1, 0, 0, 0.5], np.float32)}
    np.testing.assert_array_equal(dfmerge.merge(base, [one, one], "model_stock")["w"], one["w"])
    for other in (across, against, base):
        found = dfmerge.merge(base, [one, other], "model_stock")["w"]
        np.testing.assert_array_equal(found, base["w"])


def test_opposite_changes_without_the_clamp_are_refused() -> None:
    base = {"w": np.zeros(2, np.float32)}
    one, two = {"w": np.array([1, 0], np.float32)}, {"w": np.array([-1, 0], np.float32)}
    with pytest.raises(dfmerge.NumericalError, match=r"'w'.*leave its option clamp on"):
        dfmerge.merge(base, [one, two], "model_stock", options={"clamp": False})


def test_two_models_at_least() -> None:
    base, one = family(22, 1)
    with pytest.raises(dfmerge.ArgumentError, match="2 or more"):
        dfmerge.merge(base, [one], "model_stock")
