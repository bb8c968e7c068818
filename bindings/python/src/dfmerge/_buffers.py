"""Arrays of the standard library: whatever has Python's buffer protocol."""

from __future__ import annotations

import ctypes
import sys

from ._dtypes import BY_NAME, DType
from ._strided import Copy

_KINDS = {
    **dict.fromkeys("bhilqn", "I"),
    **dict.fromkeys("BHILQN", "U"),
    **dict.fromkeys("efd", "F"),
    "?": "BOOL",
    "Zf": "C64",
}


class _Buffer(ctypes.Structure):
    """Py_buffer."""

    _fields_ = (
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.c_void_p),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("suboffsets", ctypes.c_void_p),
        ("internal", ctypes.c_void_p),
    )


_get = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.POINTER(_Buffer), ctypes.c_int)(
    ("PyObject_GetBuffer", ctypes.pythonapi)
)
_release = ctypes.PYFUNCTYPE(None, ctypes.POINTER(_Buffer))(("PyBuffer_Release", ctypes.pythonapi))


def lent(
    name: str, view: memoryview, writable: bool
) -> tuple[int, DType, tuple[int, ...], int, object]:
    """Address, dtype, shape, bytes and owner of a buffer.

    The owner is the memoryview, or a copy where the elements are not row-major: while it is there,
    the exporter cannot be resized.

    Raises
    ------
    TypeError
        For elements that have no safetensors name, or are not in this machine's byte order.
    ValueError
        For memory that is to be written but is read-only or not row-major.
    """
    dtype = _dtype(name, view.format, view.itemsize)
    shape = tuple(view.shape or ())
    if writable and view.readonly:
        raise ValueError(f"tensor {name!r} is read-only but is to be written; pass a copy")
    if view.c_contiguous:
        return _address(view), dtype, shape, view.nbytes, view
    if writable:
        raise ValueError(
            f"tensor {name!r} is not contiguous (shape {shape}, strides {view.strides} bytes); "
            "pass a contiguous one"
        )
    copy = Copy(view.nbytes)
    memoryview(copy.memory).cast("B")[:] = view.tobytes()
    return copy.address, dtype, shape, view.nbytes, copy


def _dtype(name: str, spelled: str, width: int) -> DType:
    order, code = spelled[:1], spelled[1:]
    if order not in ("@", "=", "<", ">", "!"):
        order, code = "@", spelled
    kind = _KINDS.get(code)
    found = None if kind is None else BY_NAME.get(f"{kind}{width * 8}" if len(kind) == 1 else kind)
    if found is None:
        raise TypeError(
            f"tensor {name!r} is a buffer of format {spelled!r}, which cannot be merged or copied"
        )
    is_foreign = order in ((">", "!") if sys.byteorder == "little" else ("<",))
    if is_foreign and width > 1:
        raise TypeError(f"tensor {name!r} is not in this machine's byte order; pass a copy that is")
    return found


def _address(view: memoryview) -> int:
    """Where a contiguous view's bytes are."""
    buffer = _Buffer()
    _get(view, ctypes.byref(buffer), 0)
    # The view itself goes on to hold its exporter's memory.
    _release(ctypes.byref(buffer))
    return buffer.buf or 0
