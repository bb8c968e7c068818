"""Tensors that the library hands out, for any framework to take without a copy."""

from __future__ import annotations

import builtins
import ctypes
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from ._dtypes import DType, typestr
from ._handles import Handle, made
from ._loader import check, lib

if TYPE_CHECKING:
    from . import _capsules

_WRITABLE = 1


class Tensor:
    """Elements in memory of the library's: of an opened checkpoint, a Fisher buffer, a result.

    ``numpy.asarray``, ``numpy.from_dlpack``, ``torch.from_dlpack`` and whatever else speaks DLPack,
    numpy's array interface or Python's buffer protocol take it without a copy, and keep the memory
    alive for as long as they use it. Made by :meth:`dfmerge.Weights.tensor`, by the buffers of a
    :class:`dfmerge.FisherRequest`, and by :func:`dfmerge.merge` where there is neither numpy nor
    torch.

    Attributes
    ----------
    name : str
        The tensor's name.
    shape : tuple of int
        Sizes, outermost axis first.
    nbytes : int
        Size in bytes.
    readonly : bool
        Whether the memory is to be read only (a mapped file): writing to it ends the process.
    """

    def __init__(
        self,
        name: str,
        dtype: DType,
        shape: tuple[int, ...],
        address: int,
        readonly: bool,
        owner: object,
        export: Callable[[int], int],
    ) -> None:
        self.name = name
        self.shape = shape
        self.readonly = readonly
        self.nbytes = dtype.byte_count(math.prod(shape))
        self._dtype = dtype
        self._address = address
        self._owner = owner
        self._export = export
        self._held: _capsules.Held | None = None

    @classmethod
    def allocated(cls, name: str, dtype: DType, shape: tuple[int, ...]) -> Tensor:
        """A writable tensor of zeros."""
        handle = made(lib.dfm_weights_create, lib.dfm_weights_free, b"a tensor")
        sizes = (ctypes.c_int64 * len(shape))(*shape)
        check(lib.dfm_weights_allocate(handle.value, b"", dtype.number, sizes, len(shape)))
        return cls.of_weights(handle, name, dtype, shape, readonly=False, stored=b"")

    @classmethod
    def of_weights(
        cls,
        handle: Handle,
        name: str,
        dtype: DType,
        shape: tuple[int, ...],
        readonly: bool,
        stored: bytes | None = None,
    ) -> Tensor:
        """A tensor of a set of weights, by the name ``stored`` there."""
        key = name.encode() if stored is None else stored

        def export(major: int) -> int:
            out = ctypes.c_void_p()
            check(lib.dfm_weights_dlpack(handle.value, key, major, ctypes.byref(out)))
            return out.value or 0

        data, size = ctypes.c_void_p(), ctypes.c_int64()
        check(lib.dfm_weights_data(handle.value, key, ctypes.byref(data), ctypes.byref(size)))
        return cls(name, dtype, shape, data.value or 0, readonly, handle, export)

    @property
    def dtype(self) -> str:
        """The safetensors name of the element type, such as ``"BF16"``."""
        return self._dtype.name

    def __repr__(self) -> str:
        access = ", read-only" if self.readonly else ""
        return f"Tensor({self.name!r}, {self.dtype}, {list(self.shape)}{access})"

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError(f"tensor {self.name!r} has no axis; its only element has no length")
        return self.shape[0]

    def copy(self) -> Tensor:
        """A writable copy in memory of its own."""
        copy = Tensor.allocated(self.name, self._dtype, self.shape)
        if self.nbytes:
            ctypes.memmove(copy._address, self._address, self.nbytes)
        return copy

    def __copy__(self) -> Tensor:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        return self.copy()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"tensor {self.name!r} is memory of this process and cannot be pickled; send "
            "tensor.numpy() or tensor.torch(), or save it and open the file there"
        )

    # --- protocols ----------------------------------------------------------------------------

    def __dlpack_device__(self) -> tuple[int, int]:
        """Host memory: ``(kDLCPU, 0)``."""
        return (1, 0)

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """A DLPack capsule.

        Parameters
        ----------
        stream : None
            Host memory has none.
        max_version : tuple of two ints, optional
            From (1, 0) on the capsule is versioned and says whether the memory is read-only. Before
            that, read-only memory is refused unless ``copy=True``.
        dl_device : tuple of two ints, optional
            Only the host, (1, 0).
        copy : bool, optional
            True: always in memory of its own. False: never. None: only where frameworks could not
            use it as it lies, at an address that is no multiple of the element's size.

        Raises
        ------
        BufferError
            What is asked for cannot be had.
        """
        if stream is not None:
            raise BufferError(f"stream is {stream!r}; host memory has none: pass None")
        if dl_device is not None and tuple(dl_device) != (1, 0):
            raise BufferError(f"dl_device is {dl_device}; the memory is on the host, (1, 0)")
        versioned = max_version is not None and max_version[0] >= 1
        misaligned = self._address % self._dtype.alignment != 0
        if copy is False and misaligned:
            raise BufferError(
                f"tensor {self.name!r} lies at an address that is no multiple of "
                f"{self._dtype.alignment}; pass copy=True"
            )
        if copy or misaligned:
            return self._capsule(versioned, self.copy()._export)
        if self.readonly and not versioned:
            raise BufferError(
                f"tensor {self.name!r} is read-only, which DLPack says since version 1.0 only; "
                "pass max_version=(1, 0), or copy=True"
            )
        return self._capsule(versioned)

    def _capsule(self, versioned: bool, copied: Callable[[int], int] | None = None) -> Any:
        from . import _capsules

        address = (copied or self._export)(int(versioned))
        if copied and versioned:
            _capsules.Versioned.from_address(address).flags |= _capsules.IS_COPIED
        if self._held is None:
            self._held = _capsules.Held()
        capsule = _capsules.wrapped(address, versioned)
        self._held.add(capsule)
        return capsule

    @property
    def __array_interface__(self) -> dict[str, Any]:
        """Numpy's array interface, for the types that numpy has."""
        kind = typestr(self._dtype)
        if kind is None:
            raise AttributeError(f"numpy has no {self.dtype}")
        return {
            "version": 3,
            "typestr": kind,
            "shape": self.shape,
            "data": (self._address, self.readonly),
            "strides": None,
        }

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        """For numpy, where it lacks the type: as :meth:`numpy`, or that method's error.

        Without this numpy would make an array of one object.
        """
        import numpy

        found = self.numpy()
        if dtype is not None and found.dtype != numpy.dtype(dtype):
            if copy is False:
                raise ValueError(f"tensor {self.name!r} is {self.dtype}; {dtype} needs a copy")
            return found.astype(dtype)
        return found.copy() if copy else found

    def memoryview(self) -> builtins.memoryview:
        """The elements as a memoryview of this shape, in which they can be read and written.

        For types that memoryviews lack (F16, BF16, ...) it is of their bytes, and flat; without
        elements it is flat, too, for a memoryview has no size of 0 among several.
        """
        view: Any = memoryview(self._memory()).cast("B")
        if self._dtype.format and self.nbytes:
            view = view.cast(self._dtype.format, shape=self.shape)
        elif self._dtype.format:
            view = view.cast(self._dtype.format)
        found: builtins.memoryview = view.toreadonly() if self.readonly else view
        return found

    def __buffer__(self, flags: int) -> builtins.memoryview:
        """Python's buffer protocol, from Python 3.12 on."""
        if not self._dtype.format or (not self.nbytes and len(self.shape) != 1):
            # Consumers that look for a buffer first then go on to the other protocols.
            raise BufferError(f"Python's buffers have no {self.dtype} of shape {self.shape}")
        if flags & _WRITABLE and self.readonly:
            raise BufferError(f"tensor {self.name!r} is read-only; pass its .copy()")
        return self.memoryview()

    def numpy(self) -> Any:
        """The elements as a numpy array, without a copy; bfloat16 and float8 need ``ml_dtypes``."""
        import numpy

        if typestr(self._dtype) is not None:
            return numpy.asarray(self)
        if not self._dtype.spelled:
            raise TypeError(f"tensor {self.name!r} is {self.dtype}, which numpy has no type for")
        try:
            import ml_dtypes
        except ImportError:
            raise TypeError(
                f"tensor {self.name!r} is {self.dtype}, which numpy lacks; install ml_dtypes, or "
                "use .torch()"
            ) from None
        flat = numpy.asarray(self.memoryview())
        return flat.view(getattr(ml_dtypes, self._dtype.spelled)).reshape(self.shape)

    def torch(self, copy: bool | None = None) -> Any:
        """The elements as a torch tensor.

        Parameters
        ----------
        copy : bool, optional
            By default read-only memory is copied, for torch has no read-only tensors. False never
            copies; what is read-only must then not be written: that ends the process.
        """
        import torch

        spelled = self._dtype.spelled
        if not hasattr(torch, spelled or "no type"):
            raise TypeError(f"tensor {self.name!r} is {self.dtype}, which torch has no type for")
        if not self.nbytes:
            return torch.empty(self.shape, dtype=getattr(torch, spelled))
        source = self.copy() if copy or (copy is None and self.readonly) else self
        return torch.frombuffer(source._memory(), dtype=getattr(torch, spelled)).view(self.shape)

    def _memory(self) -> Any:
        """The bytes as a ctypes array, which keeps this tensor alive."""
        memory: Any = (ctypes.c_ubyte * self.nbytes).from_address(self._address or 1)
        memory.owner = self
        return memory
