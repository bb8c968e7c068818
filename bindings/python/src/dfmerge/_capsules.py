"""DLPack's structures and the capsules that they travel in, by ctypes.

Whatever a capsule may point to after this module is gone (names, the destructor) is never freed:
interpreters that shut down drop modules before the last objects.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any, Final

HOST: Final = 1
CUDA_HOST: Final = 3
READ_ONLY: Final = 1
IS_COPIED: Final = 2
SUBBYTE_PADDED: Final = 4
#: What is asked for, and the only major version that can be read.
VERSION: Final = (1, 0)


class Device(ctypes.Structure):
    """DLDevice."""

    _fields_ = (("type", ctypes.c_int32), ("id", ctypes.c_int32))


class Type(ctypes.Structure):
    """DLDataType."""

    _fields_ = (("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16))


class Description(ctypes.Structure):
    """DLTensor."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device", Device),
        ("ndim", ctypes.c_int32),
        ("dtype", Type),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


class Legacy(ctypes.Structure):
    """DLManagedTensor, from before version 1.0."""

    _fields_ = (
        ("tensor", Description),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
    )


class Versioned(ctypes.Structure):
    """DLManagedTensorVersioned."""

    _fields_ = (
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
        ("flags", ctypes.c_uint64),
        ("tensor", Description),
    )


def _immortal(thing: Any) -> Any:
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))
    return thing


def _python(name: str, result: Any, *parameters: Any) -> Any:
    # A function object of its own: the prototypes of ctypes.pythonapi's belong to everybody.
    return _immortal(ctypes.PYFUNCTYPE(result, *parameters)((name, ctypes.pythonapi)))


_get_name: Final = _python("PyCapsule_GetName", ctypes.c_char_p, ctypes.py_object)
_get_pointer: Final = _python(
    "PyCapsule_GetPointer", ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p
)
_set_name: Final = _python("PyCapsule_SetName", ctypes.c_int, ctypes.py_object, ctypes.c_void_p)
_new: Final = _python(
    "PyCapsule_New", ctypes.py_object, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p
)
_delete: Final = _immortal(ctypes.PYFUNCTYPE(None, ctypes.c_void_p))
_is_capsule: Final = type(_new(1, None, None))

_LAYOUTS: Final = {b"dltensor": Legacy, b"dltensor_versioned": Versioned}
# A capsule keeps the address of its name.
_NAMES: Final = {
    name: _immortal(ctypes.create_string_buffer(name))
    for name in (*_LAYOUTS, *(b"used_" + name for name in _LAYOUTS))
}


def _make_destructor() -> Any:
    """A capsule that nobody took frees what it holds.

    Everything that it needs is bound here, for modules may be gone when it runs. The capsule comes
    as an address: a reference to an object that is being freed would free it again.

    It cannot be called with an exception pending and keep that exception, for ctypes lets none out
    of a callback; :class:`Held` sees to it that capsules do not die then. Should one all the same,
    the exception is cleared before anything else, and at least the memory does not leak.
    """
    clear = _python("PyErr_Clear", None)
    is_valid = _python("PyCapsule_IsValid", ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)
    pointer_of = _python("PyCapsule_GetPointer", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)
    layouts, call = tuple(_LAYOUTS.items()), delete

    def destroy(capsule: int) -> None:
        clear()
        for name, layout in layouts:
            if is_valid(capsule, name):
                address = pointer_of(capsule, name)
                call(layout.from_address(address).deleter, address)

    return _immortal(ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(_immortal(destroy)))


def delete(deleter: int | None, address: int, prototype: Any = _delete) -> None:
    """Call a structure's deleter, where it has one."""
    if deleter:
        prototype(deleter)(address)


_destructor: Final = _make_destructor()


def wrapped(address: int, versioned: bool) -> Any:
    """A capsule for a structure that the library made."""
    name = _NAMES[b"dltensor_versioned" if versioned else b"dltensor"]
    return _new(address, ctypes.addressof(name), ctypes.cast(_destructor, ctypes.c_void_p))


class Held:
    """References to the capsules that a tensor has given out.

    A consumer that refuses a capsule drops it with its exception pending, when the destructor could
    not run. With this reference it dies later, when there is none: at the next export, or with the
    tensor, for Python puts exceptions aside while it runs ``__del__``.
    """

    def __init__(self) -> None:
        self._capsules: list[Any] = []

    def add(self, capsule: Any) -> None:
        """Hold a new capsule, and let go of those that nobody else has."""
        # The list's, the loop variable's and the argument's references.
        self._capsules = [old for old in self._capsules if sys.getrefcount(old) > 3]
        self._capsules.append(capsule)

    def __del__(self) -> None:
        self._capsules.clear()


def taken(capsule: Any) -> tuple[Legacy | Versioned, int]:
    """The structure of a capsule and its address; its deleter is the caller's duty from now on.

    Raises
    ------
    TypeError
        For what is no DLPack capsule, or one that was taken already.
    """
    if type(capsule) is not _is_capsule:
        raise TypeError(f"__dlpack__ gave a {type(capsule).__name__} and no capsule")
    name = _get_name(capsule)
    layout: Any = _LAYOUTS.get(name)
    if layout is None:
        raise TypeError(f"__dlpack__ gave a capsule called {name!r}, which cannot be taken")
    address = _get_pointer(capsule, name)
    _set_name(capsule, ctypes.addressof(_NAMES[b"used_" + name]))
    structure: Legacy | Versioned = layout.from_address(address)
    return structure, address
