"""Arrays of torch and numpy as (address, dtype, shape), without importing either."""

from __future__ import annotations

import importlib.util
import math
from typing import Any, NamedTuple

from . import _ffi

_BY_NAME = {
    "float64": _ffi.DFM_DTYPE_F64,
    "float32": _ffi.DFM_DTYPE_F32,
    "float16": _ffi.DFM_DTYPE_F16,
    "bfloat16": _ffi.DFM_DTYPE_BF16,
    "int64": _ffi.DFM_DTYPE_I64,
    "int32": _ffi.DFM_DTYPE_I32,
    "int16": _ffi.DFM_DTYPE_I16,
    "int8": _ffi.DFM_DTYPE_I8,
    "uint64": _ffi.DFM_DTYPE_U64,
    "uint32": _ffi.DFM_DTYPE_U32,
    "uint16": _ffi.DFM_DTYPE_U16,
    "uint8": _ffi.DFM_DTYPE_U8,
    "bool": _ffi.DFM_DTYPE_BOOL,
    "complex64": _ffi.DFM_DTYPE_C64,
    "float8_e4m3fn": _ffi.DFM_DTYPE_F8_E4M3,
    "float8_e5m2": _ffi.DFM_DTYPE_F8_E5M2,
    "float8_e8m0fnu": _ffi.DFM_DTYPE_F8_E8M0,
    "float8_e4m3fnuz": _ffi.DFM_DTYPE_F8_E4M3FNUZ,
    "float8_e5m2fnuz": _ffi.DFM_DTYPE_F8_E5M2FNUZ,
}

#: safetensors names of the types that this package can hand out as arrays.
ARRAY_NAMES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
    "C64": "complex64",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
}


#: Every dtype number of the ABI by its safetensors name.
DTYPE_NUMBERS: dict[str, int] = {
    name.removeprefix("DFM_DTYPE_"): value
    for name, value in vars(_ffi).items()
    if name.startswith("DFM_DTYPE_")
}


class ArrayView(NamedTuple):
    """Where an array's elements are."""

    address: int
    dtype: int
    shape: tuple[int, ...]
    nbytes: int


def is_torch(array: Any) -> bool:
    """Whether ``array`` is a torch tensor (torch is not imported for that)."""
    return any(kind.__module__.split(".")[0] == "torch" for kind in type(array).__mro__)


def view(name: str, array: Any, writable: bool) -> ArrayView:
    """Address, dtype and shape of a torch tensor or numpy array.

    Raises
    ------
    TypeError
        For anything else, a dtype without a safetensors name, a tensor that is not on the CPU or
        not strided.
    ValueError
        For an array that is not contiguous, or read-only where it is to be written.
    """
    if is_torch(array):
        return _torch_view(name, array)
    if hasattr(array, "__array_interface__"):
        return _numpy_view(name, array, writable)
    raise TypeError(
        f"tensor {name!r} is a {type(array).__name__}; pass a torch tensor or a numpy array"
    )


def _dtype(name: str, spelled: str) -> int:
    if spelled not in _BY_NAME:
        raise TypeError(f"tensor {name!r} has dtype {spelled}, which cannot be merged or copied")
    return _BY_NAME[spelled]


def _torch_view(name: str, tensor: Any) -> ArrayView:
    if tensor.device.type != "cpu":
        raise TypeError(
            f"tensor {name!r} is on {tensor.device}; the library works on host memory: "
            "pass tensor.cpu()"
        )
    if str(tensor.layout) != "torch.strided" or tensor.is_quantized:
        raise TypeError(f"tensor {name!r} is {tensor.layout}; pass a dense tensor")
    if not tensor.is_contiguous():
        raise ValueError(f"tensor {name!r} is not contiguous; pass tensor.contiguous()")
    dtype = _dtype(name, str(tensor.dtype).removeprefix("torch."))
    nbytes = tensor.numel() * tensor.element_size()
    return ArrayView(tensor.data_ptr(), dtype, tuple(tensor.shape), nbytes)


def _numpy_view(name: str, array: Any, writable: bool) -> ArrayView:
    if any(
        kind.__module__ == "numpy" and kind.__name__ == "generic" for kind in type(array).__mro__
    ):
        # Its interface points to a copy that is gone when the call returns.
        raise TypeError(f"tensor {name!r} is a numpy scalar; pass numpy.asarray(value)")
    interface = array.__array_interface__
    if interface.get("strides") is not None:
        raise ValueError(f"array {name!r} is not contiguous; pass numpy.ascontiguousarray(array)")
    address, readonly = interface["data"]
    if writable and readonly:
        raise ValueError(f"array {name!r} is read-only but is to be written; pass a copy")
    if not array.dtype.isnative:
        raise TypeError(f"array {name!r} is not in this machine's byte order")
    dtype = _dtype(name, array.dtype.name)
    shape = tuple(int(size) for size in interface["shape"])
    return ArrayView(address, dtype, shape, math.prod(shape) * array.dtype.itemsize)


def empty(spelled: str, shape: tuple[int, ...], like_torch: bool, name: str) -> Any:
    """A new array of the dtype called ``spelled``: torch where asked or needed, else numpy."""
    if like_torch:
        import torch

        return torch.empty(shape, dtype=getattr(torch, spelled))
    import numpy

    if spelled == "bfloat16" or spelled.startswith("float8"):
        if importlib.util.find_spec("torch"):
            return empty(spelled, shape, True, name)
        if importlib.util.find_spec("ml_dtypes"):
            import ml_dtypes

            return numpy.empty(shape, dtype=getattr(ml_dtypes, spelled))
        raise TypeError(
            f"tensor {name!r} is {spelled}, which numpy lacks; install torch or ml_dtypes, "
            "or pass `out`"
        )
    return numpy.empty(shape, dtype=spelled)
