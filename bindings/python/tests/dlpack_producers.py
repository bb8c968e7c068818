"""DLPack producers built by hand: what they lend, with any field broken, and what became of it."""

from __future__ import annotations

import ctypes
from typing import Any

from dfmerge import _capsules

api = ctypes.pythonapi
new_capsule = ctypes.PYFUNCTYPE(
    ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p
)(("PyCapsule_New", api))
DELETER = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class Producer:
    """Lends ``data`` (a ctypes array) as ``shape`` of a DLPack type, float32 by default.

    ``changes`` are fields of the structures to set: ``code``, ``bits``, ``lanes``, ``device``,
    ``ndim``, ``shape``, ``strides``, ``byte_offset``, ``data``, ``flags``, ``major``.
    """

    def __init__(
        self, data: Any, shape: tuple[int, ...], /, *, versioned: bool = True, old: bool = False,
        announced: tuple[int, int] = (1, 0), name: bytes | None = None, **changes: Any,
    ) -> None:  # fmt: skip
        self.deleted = 0
        self.asked: list[dict[str, Any]] = []
        self.announced = announced
        self._old = old
        self._name = name or (b"dltensor_versioned" if versioned else b"dltensor")
        layout = _capsules.Versioned if versioned else _capsules.Legacy
        self.structure = layout()
        tensor = self.structure.tensor
        sizes = changes.get("shape", shape)
        self._kept = [data]
        tensor.data = changes.get("data", ctypes.addressof(data))
        tensor.device.type = changes.get("device", 1)
        tensor.ndim = changes.get("ndim", len(shape))
        tensor.dtype.code = changes.get("code", 2)
        tensor.dtype.bits = changes.get("bits", 32)
        tensor.dtype.lanes = changes.get("lanes", 1)
        tensor.byte_offset = changes.get("byte_offset", 0)
        if sizes is not None:
            tensor.shape = self._numbers(sizes)
        if changes.get("strides") is not None:
            tensor.strides = self._numbers(changes["strides"])
        if versioned:
            self.structure.major = changes.get("major", 1)
            self.structure.flags = changes.get("flags", 0)
        self._deleter = DELETER(self._delete)
        self.structure.deleter = ctypes.cast(self._deleter, ctypes.c_void_p).value

    def _numbers(self, values: Any) -> Any:
        array = (ctypes.c_int64 * max(len(values), 1))(*values)
        self._kept.append(array)
        return ctypes.cast(array, ctypes.POINTER(ctypes.c_int64))

    def _delete(self, address: int) -> None:
        assert address == ctypes.addressof(self.structure)
        self.deleted += 1

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.announced

    def __dlpack__(self, **wishes: Any) -> Any:
        if self._old and wishes:
            raise TypeError("__dlpack__() got an unexpected keyword argument")
        self.asked.append(wishes)
        return new_capsule(ctypes.addressof(self.structure), self._name, None)


def floats(*values: float) -> Any:
    """A ctypes array of float32."""
    return (ctypes.c_float * len(values))(*values)
