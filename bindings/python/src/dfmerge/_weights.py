"""Named tensors for the library: files, folders, state dicts, modules' parameters."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, TypeAlias

from . import _arrays, _ffi, _hub
from ._calls import called
from ._dtypes import BY_NAME
from ._errors import Error
from ._handles import Handle, c_path, c_text, encoded, made, parsed
from ._loader import check, lib
from ._memory import ReadOnlyMemory
from ._tensor import Tensor


class HasStateDict(Protocol):
    """A module: of torch, or whatever else gives its tensors by name."""

    def state_dict(self) -> Any:
        """The tensors by name."""


#: What can be passed where weights are read: a path, a state dict, a module, or opened weights.
WeightsLike: TypeAlias = "str | os.PathLike[str] | Mapping[str, Any] | HasStateDict | Weights"


def _opened(path: str) -> Handle:
    return made(lib.dfm_weights_open, lib.dfm_weights_free, c_path(path))


class Weights(Mapping[str, Any]):
    """A checkpoint on disk, mapped into memory, as a mapping from tensor names to arrays.

    Open one with :func:`dfmerge.load`; that reads headers only. Indexing copies one tensor into a
    new numpy array; types that numpy lacks (bfloat16, float8) come as torch tensors where torch is
    installed, else as ``ml_dtypes`` arrays. What none of the three can hold, and everything where
    none is installed, comes as a :class:`dfmerge.Tensor`. :meth:`tensor` copies nothing.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        missing: Error | None = None
        try:
            self._handle = _opened(self.path)
        except Error as error:
            if error.code != _ffi.DFM_ERROR_FILE_NOT_FOUND or not _hub.is_id(self.path):
                raise
            missing = error
        if missing is not None:
            self.path = _hub.snapshot(self.path, missing)
            self._handle = _opened(self.path)
        listing = parsed(lib.dfm_weights_describe, self._handle.value)
        self._entries = {entry["name"]: entry for entry in listing}

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __contains__(self, name: object) -> bool:
        # Mapping's would copy the tensor to find out.
        return name in self._entries

    def __reduce__(self) -> tuple[type[Weights], tuple[str]]:
        # A copy, here or in another process, opens the file itself: a handle belongs to one owner.
        return Weights, (os.path.abspath(self.path),)

    def __repr__(self) -> str:
        return f"Weights({self.path!r}, {len(self)} tensors)"

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor."""
        return tuple(self._entries[name]["shape"])

    def dtype(self, name: str) -> str:
        """The safetensors name of a tensor's dtype, such as ``"BF16"``."""
        return str(self._entries[name]["dtype"])

    def __getitem__(self, name: str) -> Any:
        source = self.tensor(name)
        array = _arrays.empty(source._dtype, source.shape, False, name)
        if source.nbytes:
            destination = _arrays.view(name, array, writable=True)
            ctypes.memmove(destination.address, source._address, source.nbytes)
        return array

    def tensor(self, name: str) -> Tensor:
        """A tensor as it lies in the mapped file: read-only, nothing is read or copied.

        The file stays mapped for as long as the tensor, or whatever was made from it by DLPack, is
        there. It must not change meanwhile.
        """
        entry = self._entries[name]
        return Tensor.of_weights(
            self._handle, name, BY_NAME[entry["dtype"]], tuple(entry["shape"]), readonly=True
        )


class Lent:
    """Tensors of the host's behind a handle; keeps them alive for as long as the handle."""

    def __init__(self, tensors: Mapping[str, Any], label: str, writable: bool = False) -> None:
        # Detached, a tensor keeps its memory also when `.data = ...` or `.half()` gives the
        # parameter that it came from another.
        self.tensors = {
            name: tensor.detach() if _arrays.is_torch(tensor) else tensor
            for name, tensor in tensors.items()
        }
        #: Where they are; the views' owners keep that memory, or the copy that was made, alive.
        self.views: dict[str, _arrays.ArrayView] = {}
        self.handle: Handle = made(
            lib.dfm_weights_create, lib.dfm_weights_free, c_text(label, "the name")
        )
        # Torch does not know it: tensors made of a mapped file by DLPack or from numpy's arrays.
        read_only = ReadOnlyMemory() if writable else None
        for name, tensor in self.tensors.items():
            if not isinstance(name, str):
                raise TypeError(f"{label} has the key {name!r}; names must be strings")
            if not name:
                raise ValueError(f"{label} has a tensor with the empty name ''; give it a name")
            array = self.views[name] = labelled_view(label, name, tensor, writable)
            if read_only is not None and read_only.touches(array.address, array.nbytes):
                raise ValueError(
                    f"{label}: tensor {name!r} lies in memory that cannot be written, such as a "
                    "file mapped for reading, but is to be written; pass a copy"
                )
            shape = (ctypes.c_int64 * len(array.shape))(*array.shape)
            check(
                lib.dfm_weights_add(
                    self.handle.value,
                    c_text(name, "the tensor name"),
                    array.dtype,
                    shape,
                    len(array.shape),
                    array.address or None,
                    array.nbytes,
                    int(writable),
                )
            )

    def save(self, path: str, options: Mapping[str, Any]) -> None:
        """Write the tensors to a file or folder; Ctrl-C leaves what was there."""
        called(lib.dfm_weights_save, self.handle.value, c_path(path), encoded(dict(options)))


def labelled_view(label: str, name: str, array: Any, writable: bool) -> _arrays.ArrayView:
    """:func:`_arrays.view`, whose errors also say whose tensor it is."""
    try:
        return _arrays.view(name, array, writable)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        remedy = ""
        if isinstance(array, Mapping):
            remedy = f". For the entry of a training checkpoint, pass checkpoint[{name!r}]"
        elif array is None or isinstance(array, (int, float, str, list, tuple)):
            remedy = '. Of a training checkpoint pass its tensors only, checkpoint["state_dict"]'
        raise kind(f"{label}: {error}{remedy}") from error


class Labelled:
    """Opened weights under another name, for messages and options per model.

    ``renamed`` maps further names to the tensors of this file that also stand under them.
    """

    def __init__(
        self, weights: Weights, label: str, renamed: Mapping[str, str] | None = None
    ) -> None:
        self.weights = weights
        self.handle = made(lib.dfm_weights_create, lib.dfm_weights_free, c_text(label, "the name"))
        for shown, name in [*((name, name) for name in weights), *(renamed or {}).items()]:
            data, size = ctypes.c_void_p(), ctypes.c_int64()
            check(
                lib.dfm_weights_data(
                    weights._handle.value, name.encode(), ctypes.byref(data), ctypes.byref(size)
                )
            )
            sizes = weights.shape(name)
            check(
                lib.dfm_weights_add(
                    self.handle.value,
                    shown.encode(),
                    BY_NAME[weights.dtype(name)].number,
                    (ctypes.c_int64 * len(sizes))(*sizes),
                    len(sizes),
                    data.value,
                    size.value,
                    0,
                )
            )


class Opened:
    """A checkpoint on disk under a label of its own."""

    def __init__(self, weights: Weights, label: str | None) -> None:
        self.handle = made(
            lib.dfm_weights_share,
            lib.dfm_weights_free,
            weights._handle.value,
            c_text(label or weights.path, "the name"),
        )


def is_path(source: Any) -> bool:
    """Whether weights are given by where they lie on disk."""
    return isinstance(source, (str, os.PathLike, Weights))


def read(source: WeightsLike, label: str | None, aliases: Mapping[str, str] | None = None) -> Any:
    """A handle owner for weights that one merge reads; without a label, a path is called by it.

    For ``aliases`` see :func:`lend`.
    """
    if isinstance(source, (str, os.PathLike)):
        source = Weights(source)
    if isinstance(source, Weights) and not _renamed(source, aliases):
        return Opened(source, label)
    return lend(source, label or str(getattr(source, "path", "weights")), aliases)


def lend(source: WeightsLike, label: str, aliases: Mapping[str, str] | None = None) -> Any:
    """A handle owner for weights that are to be read.

    ``aliases`` maps names of tied tensors to the one that is kept: a source that has only the alias
    is read under the kept name.
    """
    if isinstance(source, (str, os.PathLike)):
        source = Weights(source)
    if hasattr(source, "state_dict"):
        source = source.state_dict()
    if not isinstance(source, Mapping):
        raise TypeError(
            f"{label} is a {type(source).__name__}; pass a path, a state dict or a module"
        )
    renamed = _renamed(source, aliases)
    if isinstance(source, Weights):
        return Labelled(source, label, renamed)
    tensors = without_extra_state(source)
    tensors.update({kept: tensors[alias] for kept, alias in renamed.items()})
    return Lent(tensors, label)


def _renamed(source: Mapping[str, Any], aliases: Mapping[str, str] | None) -> dict[str, str]:
    """The names that are kept and missing -> the source's own.

    Which of a tied tensor's names a file has is up to the program that wrote it.
    """
    return {
        kept: alias
        for alias, kept in (aliases or {}).items()
        if kept not in source and alias in source
    }


def without_extra_state(state: Mapping[str, Any]) -> dict[str, Any]:
    """A state dict less what ``get_extra_state`` of torch's modules put in beside the tensors."""
    return {
        name: value
        for name, value in state.items()
        if not str(name).endswith("_extra_state") or hasattr(value, "shape")
    }
