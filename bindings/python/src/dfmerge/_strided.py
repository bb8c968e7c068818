"""Row-major copies of strided memory, with the standard library alone."""

from __future__ import annotations

import ctypes
import itertools
import math
from collections.abc import Sequence
from typing import Any

_FORMATS = {1: "B", 2: "H", 4: "I", 8: "Q"}


def is_compact(shape: Sequence[int], strides: Sequence[int], width: int = 1) -> bool:
    """Whether strides (of ``width`` for neighbours) are those of row-major memory."""
    expected = width
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        if size != 1 and stride != expected:
            return size == 0 or 0 in shape
        expected *= size
    return True


class Copy:
    """Row-major memory of this package's own."""

    def __init__(self, nbytes: int) -> None:
        self.memory: Any = (ctypes.c_ubyte * nbytes)()
        self.address = ctypes.addressof(self.memory)


def compacted(address: int, shape: Sequence[int], strides: Sequence[int], width: int) -> Copy:
    """A row-major copy of elements of ``width`` bytes (1, 2, 4 or 8) at strides in bytes.

    Rows are copied in C, the loop over rows runs in Python.
    """
    copy = Copy(math.prod(shape) * width)
    view = memoryview(copy.memory).cast("B")
    # One axis at least, and the longest possible rows.
    sizes, steps = _joined(shape, strides)
    length, step = sizes.pop(), steps.pop()
    row = length * width
    for number, place in enumerate(itertools.product(*map(range, sizes))):
        start = address + sum(i * s for i, s in zip(place, steps, strict=True))
        view[number * row : (number + 1) * row] = _row(start, length, step, width)
    return copy


def _joined(shape: Sequence[int], strides: Sequence[int]) -> tuple[list[int], list[int]]:
    """The same elements with neighbouring axes joined where one goes on from the other."""
    sizes, steps = [1], [0]
    for size, step in zip(shape, strides, strict=True):
        if size == 1:
            continue
        if sizes[-1] == 1 or steps[-1] == step * size:
            sizes[-1] *= size
            steps[-1] = step
        else:
            sizes.append(size)
            steps.append(step)
    return sizes, steps


def _row(start: int, length: int, step: int, width: int) -> bytes:
    """One row's bytes."""
    if step == width or length == 1:
        return ctypes.string_at(start, length * width)
    if step == 0:
        return ctypes.string_at(start, width) * length
    low = min(start, start + (length - 1) * step)
    span = abs(step) * (length - 1) + width
    memory = memoryview((ctypes.c_ubyte * span).from_address(low)).cast("B")
    if step % width:
        first = start - low
        return b"".join(
            bytes(memory[first + i * step : first + i * step + width]) for i in range(length)
        )
    whole: Any = memory
    found: memoryview = whole.cast(_FORMATS[width])[:: abs(step) // width]
    return (found if step > 0 else found[::-1]).tobytes()
