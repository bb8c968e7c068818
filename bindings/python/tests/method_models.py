"""Families of small models for the tests of merging methods, and how near a merge must come."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ml_dtypes
import numpy as np

Array = np.ndarray[Any, Any]
Weights = dict[str, Array]
DTYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16}

#: Odd sizes: scalar, empty, one element, fewer than a step of the loops, more than a block of work.
SHAPES: dict[str, tuple[int, ...]] = {
    "scalar": (),
    "empty": (0, 3),
    "one": (1,),
    "bias": (7,),
    "conv": (3, 2, 3, 3),
    "layers.0.attn.weight": (33, 17),
    "layers.0.mlp.weight": (5, 40),
    "layers.1.attn.weight": (33, 17),
    "layers.1.mlp.weight": (5, 40),
    "wide": (3, 22_000),
}


def family(
    seed: int, models: int, dtype: Any = np.float32, step: float = 0.1, offset: float = 0.0
) -> list[Weights]:
    """A base and fine-tunes of it, `offset` apart in the same direction."""
    rng = np.random.default_rng(seed)
    base = {name: rng.normal(size=shape) for name, shape in SHAPES.items()}
    found = [base] + [
        {name: v + step * (rng.normal(size=v.shape) + offset) for name, v in base.items()}
        for _ in range(models)
    ]
    return [{name: np.asarray(v, dtype) for name, v in one.items()} for one in found]


def exact(weights: Mapping[str, Any]) -> Weights:
    """In float64, whatever arrays they are."""
    found = {}
    for name, value in weights.items():
        array = value.double().numpy() if hasattr(value, "detach") else value
        found[name] = np.asarray(array, np.float64)
    return found


def task_vectors(members: list[Weights]) -> list[Weights]:
    """theta_m - theta0 in float64."""
    base = exact(members[0])
    return [{name: v - base[name] for name, v in exact(one).items()} for one in members[1:]]


def assert_close(
    found: Mapping[str, Any], expected: Mapping[str, Array], dtype: Any = np.float32,
    tolerance: float = 1e-6,
) -> None:  # fmt: skip
    """Within `tolerance` of the largest element of a tensor, and one rounding to `dtype`."""
    assert set(found) == set(expected)
    unit = float(ml_dtypes.finfo(dtype).eps) if dtype in DTYPES.values() else 0.0
    for name, value in exact(found).items():
        assert value.shape == expected[name].shape, name
        scale = np.abs(expected[name]).max(initial=1e-3)
        error = np.abs(value - expected[name])
        bound = unit * np.abs(expected[name]) + tolerance * scale
        assert np.all(error <= bound), (name, error.max(initial=0), scale)


# --- The model family of the published numbers ---------------------------------------------------


def drawn(model: int, element: int) -> float:
    """A number between -1/2 and 1/2 that integers decide."""
    product = (element + 1) * (element + 7) * (model + 2) * 7919
    return ((product + (model + 1) * 104_729) % 1009) / 1009 - 0.5


def golden(models: int = 3) -> list[Weights]:
    """Base and models of 16 elements in F64: tensors b of 4 elements and w of 4 x 3."""

    def tensors(value: Callable[[int], float]) -> Weights:
        numbers = np.array([value(j) for j in range(16)])
        return {"b": numbers[:4], "w": numbers[4:].reshape(4, 3)}

    def fine_tune(model: int) -> Weights:
        return tensors(lambda j: drawn(0, j) + 0.1 * drawn(model, j))

    return [tensors(lambda j: drawn(0, j)), *(fine_tune(m) for m in range(1, models + 1))]


def golden_vectors(models: int = 3) -> list[Weights]:
    """The task vectors of that family, as models of their own."""
    return task_vectors(golden(models))


def numbers(text: str) -> Array:
    """Numbers as they are printed."""
    return np.array([float(word) for word in text.split()])
