"""Arrays of any library as (address, dtype, shape), without importing one."""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import math
from typing import Any, NamedTuple

from ._dtypes import BY_NAME, BY_SPELLED, DType, typestr
from ._tensor import Tensor


class ArrayView(NamedTuple):
    """Where an array's elements are."""

    address: int
    #: The library's number of the type.
    dtype: int
    shape: tuple[int, ...]
    nbytes: int
    #: What must stay alive for as long as the memory is used.
    owner: object


def is_torch(array: Any) -> bool:
    """Whether ``array`` is a torch tensor (torch is not imported for that)."""
    return _kind_of(array) == "torch"


def _kind_of(array: Any) -> str:
    cls: Any = type(array)
    return _kind(cls)


@functools.lru_cache(maxsize=256)
def _kind(cls: Any) -> str:
    """Whose array it is: "torch", "numpy", "numpy scalar", or "" for anybody else's."""
    for kind in cls.__mro__:
        if kind.__module__.split(".")[0] == "torch":
            return "torch"
        if kind.__module__ == "numpy" and kind.__name__ in ("ndarray", "generic"):
            return "numpy" if kind.__name__ == "ndarray" else "numpy scalar"
    return ""


def view(name: str, array: Any, writable: bool) -> ArrayView:
    """Address, dtype and shape of an array.

    Torch tensors and numpy arrays are taken by pointer, others by DLPack, the rest by Python's
    buffer protocol. What is not row-major is copied where it is only read.

    Raises
    ------
    TypeError
        For anything else, a dtype without a safetensors name, memory that is not on the CPU or not
        strided.
    ValueError
        For an array that is to be written but is not contiguous or read-only.
    """
    if isinstance(array, Tensor):
        if writable and array.readonly:
            raise ValueError(f"tensor {name!r} is read-only but is to be written; pass its .copy()")
        return ArrayView(array._address, array._dtype.number, array.shape, array.nbytes, array)
    kind = _kind_of(array)
    if kind == "torch":
        return _torch_view(name, array, writable)
    if kind == "numpy":
        return _numpy_view(name, array, writable)
    if kind:
        # Its memory is that of a copy, which is gone when the call returns.
        raise TypeError(f"tensor {name!r} is a numpy scalar; pass numpy.asarray(value)")
    if hasattr(array, "__dlpack__") and hasattr(array, "__dlpack_device__"):
        from . import _dlpack

        return _found(_dlpack.lent(name, array, writable))
    try:
        buffer = memoryview(array)
    except TypeError:
        raise TypeError(
            f"tensor {name!r} is a {type(array).__name__}; pass a torch tensor, a numpy array, or "
            "anything with DLPack or Python's buffer protocol"
        ) from None
    from . import _buffers

    return _found(_buffers.lent(name, buffer, writable))


def _found(lent: tuple[int, DType, tuple[int, ...], int, object]) -> ArrayView:
    address, dtype, shape, nbytes, owner = lent
    return ArrayView(address, dtype.number, shape, nbytes, owner)


def _dtype(name: str, spelled: str) -> DType:
    if spelled not in BY_SPELLED:
        raise TypeError(f"tensor {name!r} has dtype {spelled}, which cannot be merged or copied")
    return BY_SPELLED[spelled]


def _torch_view(name: str, tensor: Any, writable: bool) -> ArrayView:
    if tensor.device.type == "meta":
        raise TypeError(
            f"tensor {name!r} is on the meta device and has no memory; load the module with its "
            "weights"
        )
    if tensor.device.type != "cpu":
        raise TypeError(
            f"tensor {name!r} is on {tensor.device}; the library works on host memory: "
            "pass tensor.cpu()"
        )
    if tensor.is_quantized:
        raise TypeError(f"tensor {name!r} is quantised ({tensor.dtype}); pass tensor.dequantize()")
    if tensor.is_nested:
        raise TypeError(f"tensor {name!r} is nested; pass the tensors of tensor.unbind() by name")
    if str(tensor.layout) != "torch.strided":
        raise TypeError(f"tensor {name!r} is {tensor.layout}; pass tensor.to_dense()")
    spelled, shape = str(tensor.dtype).removeprefix("torch."), tuple(tensor.shape)
    if spelled == "float4_e2m1fn_x2" and shape:
        # Torch counts the bytes.
        dtype, shape = BY_NAME["F4"], (*shape[:-1], shape[-1] * 2)
    else:
        dtype = _dtype(name, spelled)
    if not tensor.is_contiguous() or tensor.is_conj() or tensor.is_neg():
        if writable:
            raise ValueError(
                f"tensor {name!r} is not contiguous (strides {tuple(tensor.stride())}) but is to "
                "be written; pass tensor.contiguous()"
            )
        tensor = tensor.detach().resolve_conj().resolve_neg().contiguous()
    nbytes = tensor.numel() * tensor.element_size()
    try:
        address = tensor.data_ptr()
    except RuntimeError:
        # Torch's own refusal, of fake and functional tensors.
        address = 0
    if nbytes and not address:
        raise TypeError(
            f"tensor {name!r} has the shape {shape} but no memory: its storage was freed, or it "
            "stands for another tensor (fake, traced); pass one that holds its elements"
        )
    return ArrayView(address, dtype.number, shape, nbytes, tensor)


def _numpy_view(name: str, array: Any, writable: bool) -> ArrayView:
    if hasattr(array, "mask") and hasattr(array, "filled"):
        raise TypeError(
            f"array {name!r} is a masked array, whose mask would be lost; pass array.filled(value)"
        )
    if not array.dtype.isnative:
        raise TypeError(
            f"array {name!r} is not in this machine's byte order; pass "
            'array.astype(array.dtype.newbyteorder("="))'
        )
    dtype = _dtype(name, array.dtype.name)
    interface = array.__array_interface__
    if interface.get("strides") is not None:
        if writable:
            raise ValueError(
                f"array {name!r} is not contiguous (strides {interface['strides']} bytes) but is "
                "to be written; pass numpy.ascontiguousarray(array)"
            )
        array = array.copy(order="C")
        interface = array.__array_interface__
    address, readonly = interface["data"]
    if writable and readonly:
        raise ValueError(f"array {name!r} is read-only but is to be written; pass a copy")
    shape = tuple(int(size) for size in interface["shape"])
    nbytes = math.prod(shape) * array.dtype.itemsize
    return ArrayView(address, dtype.number, shape, nbytes, array)


def copied(name: str, array: Any) -> Any:
    """A copy of an array: of torch's or numpy's own kind, else a :class:`Tensor`."""
    if is_torch(array):
        return array.detach().clone()
    if _kind_of(array) == "numpy":
        return array.copy()
    from ._dtypes import BY_NUMBER

    found = view(name, array, writable=False)
    copy = Tensor.allocated(name, BY_NUMBER[found.dtype], found.shape)
    if found.nbytes:
        ctypes.memmove(copy._address, found.address, found.nbytes)
    return copy


def empty(dtype: DType, shape: tuple[int, ...], like_torch: bool, name: str) -> Any:
    """A new array: torch's where asked, else numpy's, torch's or a :class:`Tensor`.

    Types that numpy lacks (bfloat16, float8) are torch's where torch is installed, then those of
    ``ml_dtypes``.
    """
    kinds = ["torch"] if like_torch else []
    kinds += ["numpy", "torch"] if typestr(dtype) is not None else ["torch", "ml_dtypes"]
    for kind in kinds:
        if dtype.spelled and is_installed(kind):
            made = _made(kind, dtype.spelled, shape)
            if made is not None:
                return made
    return Tensor.allocated(name, dtype, shape)


@functools.cache
def is_installed(library: str) -> bool:
    """Whether a library of arrays can be imported."""
    return importlib.util.find_spec(library) is not None


def _made(kind: str, spelled: str, shape: tuple[int, ...]) -> Any:
    """An array of a library's; None where it has no such type."""
    if kind == "torch":
        import torch

        found = getattr(torch, spelled, None)
        return None if found is None else torch.empty(shape, dtype=found)
    import numpy

    if kind == "numpy":
        return numpy.empty(shape, dtype=spelled)
    import ml_dtypes

    found = getattr(ml_dtypes, spelled, None)
    return None if found is None else numpy.empty(shape, dtype=found)
