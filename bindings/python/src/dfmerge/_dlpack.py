"""Arrays of any library that speaks DLPack, lent without a copy."""

from __future__ import annotations

import weakref
from typing import Any

from . import _capsules
from ._dtypes import DTYPES, DType
from ._strided import compacted, is_compact

#: The library counts bits in 64 of them.
_LARGEST = 2**60 - 1
_LARGEST_RANK = 64
_BY_CODE = {(dtype.code, dtype.bits): dtype for dtype in DTYPES}


class Borrowed:
    """Memory of a producer's; given back, by the deleter, when this goes away."""

    def __init__(self, capsule: Any) -> None:
        self.structure, address = _capsules.taken(capsule)
        # Not at exit: whoever still uses the memory then may be a thread that goes on.
        weakref.finalize(self, _capsules.delete, self.structure.deleter, address).atexit = False


def lent(
    name: str, producer: Any, writable: bool
) -> tuple[int, DType, tuple[int, ...], int, object]:
    """Address, dtype, shape, bytes and owner of what a producer's ``__dlpack__`` gives.

    Raises
    ------
    TypeError
        For what the library cannot use, or a structure that breaks DLPack's rules.
    ValueError
        For memory that is to be written but is read-only, a copy, or not row-major.
    """
    device = producer.__dlpack_device__()
    _check_device(name, *device)
    return _read(name, Borrowed(_capsule(name, producer, writable)), writable)


def _capsule(name: str, producer: Any, writable: bool) -> Any:
    wishes: dict[str, Any] = {"max_version": _capsules.VERSION}
    if writable:
        wishes["copy"] = False
    try:
        try:
            return producer.__dlpack__(**wishes)
        except TypeError:
            # A producer from before version 1.0 knows no wishes.
            return producer.__dlpack__()
    except BufferError as error:
        raise TypeError(f"tensor {name!r} cannot be lent by DLPack: {error}") from error


def _check_device(name: str, kind: Any, number: Any) -> None:
    if int(kind) not in (_capsules.HOST, _capsules.CUDA_HOST):
        raise TypeError(
            f"tensor {name!r} is on DLPack device ({int(kind)}, {number}); the library works on "
            "host memory: copy it to the CPU"
        )


def _read(
    name: str, owner: Borrowed, writable: bool
) -> tuple[int, DType, tuple[int, ...], int, object]:
    structure, flags = owner.structure, 0
    if isinstance(structure, _capsules.Versioned):
        if structure.major != _capsules.VERSION[0]:
            # Nothing else may be read then.
            raise TypeError(
                f"tensor {name!r} comes as DLPack {structure.major}.{structure.minor}; this "
                "package reads 1.x and the form before it"
            )
        flags = structure.flags
    tensor = structure.tensor
    _check_device(name, tensor.device.type, tensor.device.id)
    if not 0 <= tensor.ndim <= _LARGEST_RANK:
        raise TypeError(f"tensor {name!r} has {tensor.ndim} axes; the most is {_LARGEST_RANK}")
    if tensor.ndim and not tensor.shape:
        raise TypeError(f"tensor {name!r} has {tensor.ndim} axes but no shape")
    shape = tuple(tensor.shape[: tensor.ndim])
    dtype = _dtype(name, tensor.dtype, flags)
    address, nbytes = _extent(name, tensor, shape, dtype)
    strides = tuple(tensor.strides[: tensor.ndim]) if tensor.ndim and tensor.strides else None
    if writable and flags & _capsules.READ_ONLY:
        raise ValueError(f"tensor {name!r} is read-only but is to be written; pass a copy")
    if writable and flags & _capsules.IS_COPIED:
        raise ValueError(
            f"tensor {name!r} is to be written, but its library lent a copy that nobody would see; "
            "pass an array in host memory"
        )
    if strides is not None and nbytes and not is_compact(shape, strides):
        if writable or dtype.bits < 8:
            raise ValueError(
                f"tensor {name!r} is not contiguous (shape {shape}, strides {strides}); pass a "
                "contiguous one"
            )
        width = dtype.bits // 8
        copy = compacted(address, shape, tuple(step * width for step in strides), width)
        return copy.address, dtype, shape, nbytes, copy
    if tensor.dtype.lanes == 2:
        shape = (*shape[:-1], shape[-1] * 2)
    return address, dtype, shape, nbytes, owner


def _dtype(name: str, given: _capsules.Type, flags: int) -> DType:
    dtype = _BY_CODE.get((given.code, given.bits))
    # Two 4-bit numbers in a byte are one element with two lanes to some libraries.
    is_pair = given.lanes == 2 and given.bits == 4
    if dtype is None or (given.lanes != 1 and not is_pair):
        raise TypeError(
            f"tensor {name!r} has DLPack type (code {given.code}, {given.bits} bits, {given.lanes} "
            "lanes), which cannot be merged or copied"
        )
    if dtype.bits < 8 and flags & _capsules.SUBBYTE_PADDED:
        raise TypeError(f"tensor {name!r} is {dtype.name} padded to bytes; pass a packed one")
    return dtype


def _extent(
    name: str, tensor: _capsules.Description, shape: tuple[int, ...], dtype: DType
) -> tuple[int, int]:
    """Address and size in bytes."""
    if any(size < 0 for size in shape):
        raise TypeError(f"tensor {name!r} has the shape {shape} with a negative size")
    if tensor.dtype.lanes == 2 and not shape:
        raise TypeError(f"tensor {name!r} has pairs of elements but no axis")
    elements = tensor.dtype.lanes
    for size in shape:
        elements *= size
    nbytes = dtype.byte_count(elements)
    address = (tensor.data or 0) + tensor.byte_offset
    if nbytes > _LARGEST or address + nbytes >= 2**64:
        raise TypeError(f"tensor {name!r} has the shape {shape}, which no memory holds")
    if nbytes and not tensor.data:
        raise TypeError(f"tensor {name!r} has the shape {shape} but no memory (NULL)")
    return address, nbytes
