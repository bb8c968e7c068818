"""Capsules that a consumer refuses: its own exception arrives, and nothing leaks."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dfmerge
from dfmerge._dtypes import BY_NAME

TYPES = ("BF16", "F8_E4M3", "F4")


def resident() -> int:
    """Bytes of memory that this process has."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096


def filled(dtype: str) -> dfmerge.Tensor:
    """A tensor of 4 MB that is in memory."""
    bits = BY_NAME[dtype].bits
    tensor = dfmerge.Tensor.allocated("w", BY_NAME[dtype], (4_000_000 * 8 // bits,))
    np.asarray(tensor.memoryview().cast("B"))[:] = 1
    return tensor


def refused_by_numpy(tensor: dfmerge.Tensor) -> None:
    with pytest.raises((RuntimeError, BufferError), match="dtype"):
        np.from_dlpack(tensor)


def refused_as_number(tensor: dfmerge.Tensor) -> None:
    with pytest.raises(TypeError, match="PyCapsule"):
        int(tensor.__dlpack__(max_version=(1, 0)))


def refused_as_copy(tensor: dfmerge.Tensor) -> None:
    with pytest.raises(TypeError, match="PyCapsule"):
        int(tensor.__dlpack__(max_version=(1, 0), copy=True))


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("refused", [refused_by_numpy, refused_as_number, refused_as_copy])
def test_the_consumers_exception_arrives_and_nothing_leaks(
    dtype: str, refused: Callable[[dfmerge.Tensor], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    unraisable: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    refused(filled(dtype))
    before = resident()
    for _ in range(60):
        refused(filled(dtype))
    kept = filled(dtype)
    for _ in range(60):
        refused(kept)
    # 120 leaks would be 480 MB.
    assert resident() - before < 60_000_000
    assert not unraisable


def test_a_capsule_that_outlives_its_tensor_does_not_leak() -> None:
    def leave() -> None:
        # The tensor is gone when the capsule is refused, which then dies with that exception.
        with pytest.raises((SystemError, TypeError)):
            int(filled("BF16").__dlpack__(max_version=(1, 0)))

    leave()
    before = resident()
    for _ in range(60):
        leave()
    assert resident() - before < 60_000_000


def test_a_tensor_holds_only_the_capsules_that_somebody_has() -> None:
    tensor = filled("BF16")
    kept = [tensor.__dlpack__(max_version=(1, 0)) for _ in range(3)]
    for _ in range(10):
        tensor.__dlpack__(max_version=(1, 0))
    assert tensor._held is not None
    assert len(tensor._held._capsules) == len(kept) + 1
