"""SLERP, NuSLERP, Multi-SLERP and the Karcher mean against NumPy, written from the formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from method_models import (
    DTYPES,
    Array,
    Weights,
    assert_close,
    exact,
    family,
    golden_vectors,
    numbers,
    task_vectors,
)

import dfmerge


def slerp(t: float, a: Array, b: Array, threshold: float = 0.9995) -> Array:
    """Two tensors as vectors: the angle of the normalised ones, the sum of the raw ones."""

    def direction(v: Array) -> Array:
        length = np.linalg.norm(v)
        return v / length if length > 1e-8 else v

    cosine = float(np.sum(direction(a) * direction(b)))
    if abs(cosine) > threshold:
        return (1 - t) * a + t * b
    phi = np.arccos(np.clip(cosine, -1, 1))
    if np.sin(phi) == 0:
        return (1 - t) * a + t * b
    return np.asarray((np.sin((1 - t) * phi) * a + np.sin(t * phi) * b) / np.sin(phi))


def pairs(models: list[Weights]) -> dict[str, tuple[Array, Array]]:
    first, second = exact(models[0]), exact(models[1])
    return {name: (first[name], second[name]) for name in first}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("t", [0, 0.25, 0.5, 1, 1.5])
@pytest.mark.parametrize("step", [1.0, 0.01])
def test_slerp(dtype: str, t: float, step: float) -> None:
    """Far models go along the arc, near ones along the line."""
    _, *models = family(1, 2, DTYPES[dtype], step)
    expected = {name: slerp(t, *pair) for name, pair in pairs(models).items()}
    found = dfmerge.merge(None, models, "slerp", options={"t": t})
    assert_close(found, expected, DTYPES[dtype])


def test_slerp_at_its_ends_is_a_model_bit_for_bit() -> None:
    _, *models = family(2, 2, step=1)
    for t, model in enumerate(models):
        found = dfmerge.merge(None, models, "slerp", options={"t": t})
        for name, value in model.items():
            np.testing.assert_array_equal(found[name], value)


def test_slerp_of_published_numbers() -> None:
    models = golden_vectors(2)
    found = dfmerge.merge(None, models, "slerp", options={"t": 0.25})
    wanted = numbers(
        "-0.0106443 0.0374776 -0.0382798 0.0107586 -0.0286172 0.0213377 0.0183436 -0.0196574 "
        "-0.021735 -0.0233544 -0.0245155 0.0102469"
    )
    np.testing.assert_allclose(found["w"].ravel(), wanted, rtol=1e-5)


def test_slerp_by_layer_and_threshold() -> None:
    _, *models = family(3, 2, step=0.1)
    for threshold in [0.9995, 0.5, 1.0]:
        expected = {
            name: slerp(0.2 if name.startswith("layers.0") else 0.9, *pair, threshold)
            for name, pair in pairs(models).items()
        }
        t = [{"filter": "layers.0", "value": 0.2}, {"value": 0.9}]
        found = dfmerge.merge(None, models, "slerp", options={"t": t, "threshold": threshold})
        assert_close(found, expected)


def test_slerp_with_one_angle_for_the_model() -> None:
    _, *models = family(4, 2, step=1)
    everything = [
        np.concatenate([v.ravel() for v in exact(m).values()]) for m in models
    ]  # fmt: skip
    a, b = everything
    phi = np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    weights = np.sin([0.7 * phi, 0.3 * phi]) / np.sin(phi)
    expected = {name: weights[0] * x + weights[1] * y for name, (x, y) in pairs(models).items()}
    found = dfmerge.merge(None, models, "slerp", options={"t": 0.3, "scope": "model"})
    assert_close(found, expected)


def test_a_scope_may_differ_by_tensor() -> None:
    """The angle of the model is then that of the tensors that share it."""
    _, *models = family(5, 2, step=1)
    scope = [{"filter": "layers", "value": "tensor"}, {"value": "model"}]
    found = dfmerge.merge(None, models, "slerp", options={"t": 0.3, "scope": scope})
    for part, chosen in (("layers", "tensor"), ("", "model")):
        names = [n for n in models[0] if n.startswith("layers") == bool(part)]
        some = [{n: m[n] for n in names} for m in models]
        alone = dfmerge.merge(None, some, "slerp", options={"t": 0.3, "scope": chosen})
        for name in names:
            np.testing.assert_array_equal(found[name], alone[name])


# --- NuSLERP -------------------------------------------------------------------------------------


def nuslerp(t: float, a: Array, b: Array, axis: int | None) -> Array:
    """Vectors along `axis`, or all elements."""
    kept = {"axis": axis, "keepdims": True}
    if axis is None or a.ndim == 0:
        kept = {"axis": None, "keepdims": True}
    lengths = [np.maximum(np.sqrt(np.sum(v * v, **kept)), 1e-7) for v in (a, b)]
    cosine = np.sum(a * b, **kept) / lengths[0] / lengths[1]
    phi = np.arccos(np.clip(cosine, -1, 1))
    sine = np.sin(phi)
    in_line = np.abs(sine) < 1e-8
    sine = np.where(in_line, 1, sine)
    arc = (np.sin((1 - t) * phi) * a + np.sin(t * phi) * b) / sine
    return np.asarray(np.where(in_line, (1 - t) * a + t * b, arc))


AXES: dict[str, int | None] = {"tensor": None, "row": -1, "column": 0}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scope", AXES)
@pytest.mark.parametrize("has_base", [False, True])
def test_nuslerp(dtype: str, scope: str, has_base: bool) -> None:
    members = family(6, 2, DTYPES[dtype], step=1)
    vectors = task_vectors(members) if has_base else [exact(m) for m in members[1:]]
    origin = exact(members[0]) if has_base else {name: 0 for name in members[0]}
    expected = {
        name: np.asarray(
            origin[name] + nuslerp(0.75, vectors[0][name], vectors[1][name], AXES[scope])
        )
        for name in members[0]
    }
    base = members[0] if has_base else None
    options = {"weights": [0.5, 1.5], "scope": scope}
    found = dfmerge.merge(base, members[1:], "nuslerp", options=options)
    # A cosine near 1 has an angle with half of its digits.
    assert_close(found, expected, DTYPES[dtype], tolerance=1e-6)


def test_nuslerp_of_vectors_in_one_line_is_linear() -> None:
    one = {"w": np.array([[1, 2, 3], [0, 0, 0], [1, -1, 2]], np.float32)}
    two = {"w": np.array([[2, 4, 6], [3, 1, 2], [-1, 1, -2]], np.float32)}
    for scope in ["row", "column", "tensor"]:
        found = dfmerge.merge(None, [one, one], "nuslerp", options={"scope": scope})
        np.testing.assert_allclose(found["w"], one["w"], rtol=1e-6)
    found = dfmerge.merge(None, [one, two], "nuslerp", options={"scope": "row"})["w"]
    np.testing.assert_allclose(found[0], [1.5, 3, 4.5], rtol=1e-6)
    np.testing.assert_allclose(found[2], [0, 0, 0], atol=1e-6)
    # A row of zeros is at right angles to everything.
    np.testing.assert_allclose(found[1], np.array([3, 1, 2]) * np.sqrt(0.5), rtol=1e-6)


def test_nuslerp_of_weights_that_cancel_is_half_way() -> None:
    _, *models = family(7, 2, step=1)
    found = dfmerge.merge(None, models, "nuslerp", options={"weights": [1, -1]})
    half = dfmerge.merge(None, models, "nuslerp")
    for name in found:
        np.testing.assert_array_equal(found[name], half[name])


# --- Multi-SLERP ---------------------------------------------------------------------------------


def multislerp(vectors: list[Array], weights: Array, eps: float) -> Array:
    """With the step into the tangent space and back, as it is published."""
    rows = np.stack([v.ravel() for v in vectors])
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    directions = rows / (lengths + eps)
    mean = weights @ directions
    if np.linalg.norm(mean) < eps:
        return np.asarray((weights @ rows).reshape(vectors[0].shape))
    mean /= np.linalg.norm(mean)
    tangents = directions - (directions @ mean)[:, None] * mean
    step = weights @ tangents
    length = np.linalg.norm(step) + eps
    moved = mean * np.cos(length) + step * np.sin(length) / length
    return np.asarray((moved * (weights @ lengths)).reshape(vectors[0].shape))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("has_base", [False, True])
@pytest.mark.parametrize("normalize", [False, True])
def test_multislerp(dtype: str, has_base: bool, normalize: bool) -> None:
    members = family(8, 4, DTYPES[dtype], step=1)
    given = np.array([1, 0.5, 2, 0.25])
    weights = given / given.sum() if normalize else given
    vectors = task_vectors(members) if has_base else [exact(m) for m in members[1:]]
    expected = {
        name: multislerp([v[name] for v in vectors], weights, 1e-8)
        + (exact(members[0])[name] if has_base else 0)
        for name in members[0]
    }
    options = {"weights": list(given), "normalize": normalize}
    base = members[0] if has_base else None
    found = dfmerge.merge(base, members[1:], "multislerp", options=options)
    assert_close(found, expected, DTYPES[dtype])


def test_multislerp_of_directions_that_cancel_is_linear() -> None:
    up = np.array([1.0, 2, 3], np.float32)
    models = [{"w": up, "z": 0 * up}, {"w": -2 * up, "z": 0 * up}]
    found = dfmerge.merge(None, models, "multislerp")
    np.testing.assert_allclose(found["w"], -0.5 * up, rtol=1e-6)
    np.testing.assert_array_equal(found["z"], 0)
    thrice = [*models, models[0], models[1]]
    np.testing.assert_allclose(dfmerge.merge(None, thrice, "multislerp")["w"], -0.5 * up, rtol=1e-6)


def test_weights_that_cancel_are_refused() -> None:
    _, *models = family(9, 2)
    for method in ["multislerp", "karcher"]:
        weights: Any = [1, -1] if method == "multislerp" else [0, 0]
        with pytest.raises(dfmerge.ArgumentError, match="sum to 0"):
            dfmerge.merge(None, models, method, options={"weights": weights})


# --- Karcher mean --------------------------------------------------------------------------------


def karcher(vectors: list[Array], weights: Array, steps: int, tolerance: float) -> Array:
    """Fixed-point iteration on the vectors themselves."""
    rows = np.stack([v.ravel() for v in vectors])
    lengths = np.linalg.norm(rows, axis=1)
    valid = lengths > tolerance
    if not valid.any():
        return np.zeros(vectors[0].shape)
    units = rows[valid] / lengths[valid][:, None]
    shares = weights[valid] / weights[valid].sum()
    mean = shares @ units
    length = np.linalg.norm(mean)
    mean = units[0] if length < tolerance else mean / length
    for _ in range(steps):
        tangent = np.zeros_like(mean)
        for share, unit in zip(shares, units, strict=True):
            cosine = np.clip(unit @ mean, -1, 1)
            angle = np.arccos(cosine)
            # To the opposite of a point there is no one way.
            if angle >= tolerance and np.sin(angle) >= 1e-6:
                tangent += share * angle / np.sin(angle) * (unit - cosine * mean)
        length = np.linalg.norm(tangent)
        if length < tolerance:
            break
        mean = np.cos(length) * mean + np.sin(length) * tangent / length
        mean /= np.linalg.norm(mean)
    return np.asarray((mean * (weights @ lengths)).reshape(vectors[0].shape))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("step", [0.2, 3.0])
@pytest.mark.parametrize("count", [2, 5])
def test_karcher(dtype: str, step: float, count: int) -> None:
    _, *models = family(10, count, DTYPES[dtype], step)
    given = np.arange(1, count + 1)
    expected = {
        name: karcher([exact(m)[name] for m in models], given / given.sum(), 10, 1e-5)
        for name in models[0]
    }
    options = {"weights": [int(w) for w in given]}
    found = dfmerge.merge(None, models, "karcher", options=options)
    assert_close(found, expected, DTYPES[dtype], tolerance=2e-6)


def test_karcher_ends_where_the_angles_balance() -> None:
    """Its condition: the steps to the models, each along its arc, cancel."""
    _, *models = family(11, 3, np.float64, step=1)
    found = dfmerge.merge(None, models, "karcher", options={"max_iter": 1000, "tol": 1e-9})
    for name in ["wide", "bias", "conv"]:
        mean = found[name].ravel() / np.linalg.norm(found[name])
        total = np.zeros_like(mean)
        for model in models:
            unit = model[name].ravel() / np.linalg.norm(model[name])
            angle = np.arccos(unit @ mean)
            total += angle / np.sin(angle) * (unit - np.cos(angle) * mean)
        assert np.linalg.norm(total) < 1e-7


def test_karcher_of_two_models_is_half_way_on_the_arc() -> None:
    _, *models = family(12, 2, np.float64, step=1)
    units = [
        {n: np.asarray(v / max(np.linalg.norm(v), 1e-300)) for n, v in m.items()} for m in models
    ]
    half = dfmerge.merge(None, units, "slerp", options={"threshold": 1})
    found = dfmerge.merge(None, units, "karcher", options={"tol": 1e-12, "max_iter": 100})
    for name in ["wide", "conv", "layers.0.mlp.weight"]:
        np.testing.assert_allclose(found[name], half[name], rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("method", ["multislerp", "karcher"])
def test_one_model_is_returned_bit_for_bit(method: str) -> None:
    _, model = family(13, 1)
    found = dfmerge.merge(None, [model], method)
    for name, value in model.items():
        np.testing.assert_array_equal(found[name], value)


@pytest.mark.parametrize("method", ["slerp", "nuslerp"])
@pytest.mark.parametrize("count", [1, 3])
def test_two_models_are_wanted(method: str, count: int) -> None:
    _, *models = family(14, count)
    with pytest.raises(dfmerge.ArgumentError, match="it merges 2"):
        dfmerge.merge(None, models, method)


def test_passthrough() -> None:
    _, model = family(15, 1)
    for name, value in dfmerge.merge(None, [model], "passthrough").items():
        np.testing.assert_array_equal(value, model[name])
    scale = [{"filter": "mlp", "value": 0.5}, {"value": 1}]
    found = dfmerge.merge(None, [model], "passthrough", options={"scale": scale})
    for name, value in model.items():
        np.testing.assert_array_equal(found[name], value * (0.5 if "mlp" in name else 1))
