"""How far two results are from each other, element by element."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from adapters import AnyInputs
from inputs import Array, Tensors
from safetensors.torch import load_file

#: Rounding of arithmetic in F32, relative to the largest operand: a few units in the last place.
ROUNDING = 1e-6
#: One unit in the last place of the output type, at most, relative to the result.
UNIT = {"F32": 2.0**-22, "BF16": 2.0**-7}
#: What counts as 0 beside another operand.
LEAST = 1e-30


@dataclass(frozen=True)
class Difference:
    """What is between two results."""

    #: Largest difference of an element, relative to the largest of the operands and results there.
    relative: float
    #: Share of elements that are not equal, and of those that differ by more than rounding.
    unequal: float
    beyond: float
    #: Names of tensors with such elements, with the share within them.
    tensors: Mapping[str, float]

    @staticmethod
    def unexplained(names: list[str], patterns: tuple[str, ...]) -> list[str]:
        """Those of the names that no pattern covers."""
        return [n for n in names if not any(fnmatch.fnmatch(n, p) for p in patterns)]


def loaded(path: Path) -> Tensors:
    """A file's tensors in float64."""
    # Through torch: NumPy has no bfloat16.
    return {name: value.double().numpy() for name, value in load_file(path).items()}


def difference(
    ours: Tensors,
    theirs: Tensors,
    inputs: AnyInputs,
    by_tensor: bool,
    tolerance: float,
) -> Difference:
    """Compare results; `by_tensor` takes the largest operand of the tensor, not of the element.

    Every element of a product of matrices, or of a tensor that is scaled by its own length, depends
    on all of the tensor, and its rounding on the largest.
    """
    if set(ours) != set(theirs):
        raise ValueError(f"other tensors: {sorted(set(ours) ^ set(theirs))}")
    largest, unequal, beyond, count = 0.0, 0, 0, 0
    tensors: dict[str, float] = {}
    for name in sorted(ours):
        a, b = ours[name], theirs[name]
        weights = (inputs.base, *inputs.models)
        operands = [np.asarray(w[name]).astype(np.float64) for w in weights if name in w]
        scale = np.maximum.reduce([np.abs(v) for v in (a, b, *operands)]) if a.size else a
        if by_tensor and a.size:
            scale = np.full_like(scale, scale.max())
        gap = np.where(np.isnan(a) & np.isnan(b), 0.0, np.abs(a - b))
        allowed = tolerance * scale + UNIT[inputs.dtype] * np.maximum(np.abs(a), np.abs(b))
        off = ~(gap <= allowed)
        count += a.size
        unequal += int((gap != 0).sum())
        beyond += int(off.sum())
        if off.any():
            tensors[name] = float(off.mean())
        if a.size:
            largest = max(largest, float(np.nanmax(gap / np.maximum(scale, LEAST))))
    return Difference(largest, unequal / count, beyond / count, tensors)


@dataclass(frozen=True)
class Drawn:
    """A randomised merge beside the same merge of everything, on one large tensor."""

    #: Share of elements that moved, and the slope of the change over the change without dropping.
    moved: float
    slope: float


def drawn(result: Array, whole: Array, base: Array) -> Drawn:
    """What can be compared of results whose random draws differ."""
    start = base.astype(np.float64)
    change, full = result.astype(np.float64) - start, whole.astype(np.float64) - start
    return Drawn(float((change != 0).mean()), float((change * full).sum() / (full * full).sum()))
