"""Models for methods that factor matrices, and what any of them makes of other tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

Array = np.ndarray[Any, Any]
Weights = dict[str, Array]
DTYPES = {"f64": np.float64, "f32": np.float32, "f16": np.float16, "bf16": ml_dtypes.bfloat16}

#: Matrices of every kind, and tensors that are none.
SHAPES: dict[str, tuple[int, ...]] = {
    "square": (40, 40),
    "tall": (130, 24),
    "wide": (17, 90),
    "odd": (33, 31),
    "row": (1, 12),
    "column": (12, 1),
    "one": (1, 1),
    "small": (2, 3),
    "no_rows": (0, 5),
    "no_columns": (5, 0),
    "visual.text_projection": (20, 20),
    "bias": (37,),
    "scalar": (),
    "empty": (0,),
    "conv": (6, 5, 3, 3),
    "a.b.weight": (64, 48),
}


def family(seed: int, models: int, dtype: Any = np.float32, scale: float = 0.1) -> list[Weights]:
    """A base and fine-tunes of it."""
    rng = np.random.default_rng(seed)
    base = {name: rng.normal(size=shape) for name, shape in SHAPES.items()}
    others = [
        {name: value + scale * rng.normal(size=value.shape) for name, value in base.items()}
        for _ in range(models)
    ]
    return [{name: np.asarray(v, dtype) for name, v in one.items()} for one in [base, *others]]


def task_vectors(family: list[Weights], name: str) -> list[Array]:
    """theta_m - theta0 of a tensor, in float64."""
    base = family[0][name].astype(np.float64)
    return [one[name].astype(np.float64) - base for one in family[1:]]


def merged(
    family: list[Weights],
    matrix: Callable[[list[Array]], Array],
    scale: float = 1,
    excluded: tuple[str, ...] = ("text_projection",),
) -> Weights:
    """theta0 + scale tau: of matrices by `matrix`, of other tensors the mean task vector."""
    result = {}
    for name, base in family[0].items():
        taus = task_vectors(family, name)
        if base.ndim == 2 and not any(text in name for text in excluded):
            tau = matrix(taus) if base.size else np.zeros(base.shape)
        else:
            tau = np.mean(taus, axis=0)
        result[name] = base.astype(np.float64) + scale * tau
    return result


def svd(a: Array) -> tuple[Array, Array, Array]:
    u, s, vt = np.linalg.svd(a, full_matrices=False)
    return u, s, vt


def polar(a: Array) -> Array:
    u, _, vt = svd(a)
    product: Array = u @ vt
    return product


def numbers(value: Any) -> Array:
    """An array of the package, which has BF16 as torch tensors, in float64."""
    if hasattr(value, "detach"):
        value = value.double().numpy()
    return np.asarray(value, np.float64)


def assert_close(found: dict[str, Any], expected: Weights, dtype: Any, limit: float = 0) -> None:
    """Within one rounding to `dtype`, and `limit` of a tensor's largest element."""
    assert set(found) == set(expected)
    unit = float(ml_dtypes.finfo(dtype).eps)
    least = float(ml_dtypes.finfo(dtype).smallest_subnormal)
    for name, value in expected.items():
        error = np.abs(numbers(found[name]) - value)
        room = least + unit * np.abs(value) + limit * np.abs(value).max(initial=0)
        assert np.all(error <= room), (name, error.max(initial=0))


def golden_family() -> tuple[Weights, list[Weights]]:
    """The base and three models given by integers, in float64."""

    def h(m: int, j: Array) -> Array:
        whole = ((j + 1) * (j + 7) * (m + 2) * 7919 + (m + 1) * 104729) % 1009
        return np.asarray(whole / 1009 - 0.5)

    j = np.arange(16)

    def tensors(values: Array) -> Weights:
        return {"b": values[:4].copy(), "w": values[4:].reshape(4, 3).copy()}

    base = h(0, j)
    return tensors(base), [tensors(base + 0.1 * h(m, j)) for m in (1, 2, 3)]
