"""Named tensors for the library: files, folders, state dicts, modules' parameters."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from . import _arrays, _ffi
from ._errors import Error, from_status
from ._handles import CancelFlag, Handle, c_path, c_text, encoded, made, parsed
from ._loader import check, lib

#: What can be passed where weights are read: a path, a state dict, or opened weights.
WeightsLike: TypeAlias = "str | os.PathLike[str] | Mapping[str, Any] | Weights"


_HUB = (
    "A model of the Hugging Face hub must be on this machine: "
    "pass the folder that huggingface_hub.snapshot_download(id) returns."
)


def _may_be_hub_id(path: str | bytes) -> bool:
    """Whether a path that leads nowhere reads like `owner/name`, with no such owner's folder."""
    owner, slash, name = os.fsdecode(path).partition("/")
    return bool(slash and owner and name) and "/" not in name and not os.path.exists(owner)


class Weights(Mapping[str, Any]):
    """A checkpoint on disk, mapped into memory, as a mapping from tensor names to arrays.

    Open one with :func:`dfmerge.load`; that reads headers only. Indexing copies one tensor into a
    new numpy array; types that numpy lacks (bfloat16, float8) come as torch tensors where torch is
    installed, else as ``ml_dtypes`` arrays.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        try:
            self._handle = made(lib.dfm_weights_open, lib.dfm_weights_free, c_path(self.path))
        except Error as error:
            if error.code == _ffi.DFM_ERROR_FILE_NOT_FOUND and _may_be_hub_id(self.path):
                raise from_status(error.code, f"{error} {_HUB}") from None
            raise
        listing = parsed(lib.dfm_weights_describe, self._handle.value)
        self._entries = {entry["name"]: entry for entry in listing}

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __repr__(self) -> str:
        return f"Weights({self.path!r}, {len(self)} tensors)"

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor."""
        return tuple(self._entries[name]["shape"])

    def dtype(self, name: str) -> str:
        """The safetensors name of a tensor's dtype, such as ``"BF16"``."""
        return str(self._entries[name]["dtype"])

    def __getitem__(self, name: str) -> Any:
        entry = self._entries[name]
        spelled = _arrays.ARRAY_NAMES.get(entry["dtype"])
        if spelled is None:
            raise TypeError(f"tensor {name!r} is {entry['dtype']}, which no array type holds")
        array = _arrays.empty(spelled, tuple(entry["shape"]), False, name)
        data, size = ctypes.c_void_p(), ctypes.c_int64()
        check(
            lib.dfm_weights_data(
                self._handle.value, name.encode(), ctypes.byref(data), ctypes.byref(size)
            )
        )
        if size.value:
            destination = _arrays.view(name, array, writable=True)
            ctypes.memmove(destination.address, data.value or 0, size.value)
        return array


class Lent:
    """Tensors of the host's behind a handle; keeps them alive for as long as the handle."""

    def __init__(self, tensors: Mapping[str, Any], label: str, writable: bool = False) -> None:
        # Detached, a tensor keeps its memory also when `.data = ...` or `.half()` gives the
        # parameter that it came from another.
        self.tensors = {
            name: tensor.detach() if _arrays.is_torch(tensor) else tensor
            for name, tensor in tensors.items()
        }
        self.handle: Handle = made(
            lib.dfm_weights_create, lib.dfm_weights_free, c_text(label, "the name")
        )
        for name, tensor in self.tensors.items():
            if not isinstance(name, str):
                raise TypeError(f"{label} has the key {name!r}; names must be strings")
            array = _arrays.view(name, tensor, writable)
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

    def save(self, path: str, options: Mapping[str, Any], cancel: CancelFlag | None = None) -> None:
        """Write the tensors to a file or folder."""
        check(
            lib.dfm_weights_save(
                self.handle.value,
                c_path(path),
                encoded(dict(options)),
                cancel.value if cancel else None,
            )
        )


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
                    _arrays.DTYPE_NUMBERS[weights.dtype(name)],
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


def read(source: WeightsLike, label: str | None) -> Any:
    """A handle owner for weights that one merge reads; without a label, a path is called by it."""
    if isinstance(source, (str, os.PathLike)):
        source = Weights(source)
    if isinstance(source, Weights):
        return Opened(source, label)
    return lend(source, label or "weights")


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
    # Which of a tied tensor's names a file has is up to the program that wrote it.
    renamed = {
        kept: alias
        for alias, kept in (aliases or {}).items()
        if kept not in source and alias in source
    }
    if isinstance(source, Weights):
        return Labelled(source, label, renamed)
    tensors = without_extra_state(source)
    tensors.update({kept: tensors[alias] for kept, alias in renamed.items()})
    return Lent(tensors, label)


def without_extra_state(state: Mapping[str, Any]) -> dict[str, Any]:
    """A state dict less what ``get_extra_state`` of torch's modules put in beside the tensors."""
    return {
        name: value
        for name, value in state.items()
        if hasattr(value, "shape") or not str(name).endswith("_extra_state")
    }
