"""Owners of the library's handles: each is freed once, when its owner goes away."""

from __future__ import annotations

import ctypes
import json
import math
import os
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ._loader import check, lib


class Handle:
    """Owns one handle and frees it with the owner.

    What is left when the interpreter ends is the process's to free, for arrays, and threads inside
    the library, may still use its memory; with ``at_exit`` it is freed then, to close its files.
    """

    def __init__(
        self, value: int | None, free: Callable[[Any], None], at_exit: bool = False
    ) -> None:
        self._value = value
        self._free = weakref.finalize(self, free, value)
        self._free.atexit = at_exit

    @property
    def value(self) -> int | None:
        """The handle for a C call; a freed one is refused by the library."""
        return self._value

    def close(self) -> None:
        """Free the handle now."""
        self._free()


def made(
    create: Callable[..., int],
    free: Callable[[Any], None],
    *arguments: Any,
    at_exit: bool = False,
) -> Handle:
    """Call ``create(*arguments, &out)`` and own what it made; see :class:`Handle`."""
    out = ctypes.c_void_p()
    check(create(*arguments, ctypes.byref(out)))
    return Handle(out.value, free, at_exit)


def text(create: Callable[..., int], *arguments: Any) -> str:
    """Call ``create(*arguments, &text)`` and return the text."""
    out = ctypes.c_void_p()
    check(create(*arguments, ctypes.byref(out)))
    return taken_text(out)


def taken_text(out: ctypes.c_void_p) -> str:
    """The text of a handle that the library gave, which is freed."""
    handle = Handle(out.value, lib.dfm_text_free)
    try:
        size = lib.dfm_text_size(handle.value)
        return ctypes.string_at(lib.dfm_text_data(handle.value), size).decode("utf-8")
    finally:
        handle.close()


def parsed(create: Callable[..., int], *arguments: Any) -> Any:
    """Like :func:`text`, parsed as JSON."""
    return json.loads(text(create, *arguments))


def c_text(value: str, what: str) -> bytes:
    """A name for a C string, which would end at a NUL and mean another one."""
    if "\0" in value:
        raise ValueError(f"{what} {value!r} holds a NUL character; use another")
    return value.encode()


def c_path(path: str | os.PathLike[str]) -> bytes:
    """A path for a C string."""
    encoded_path = os.fsencode(path)
    if b"\0" in encoded_path:
        raise ValueError(f"the path {path!r} holds a NUL character; use another")
    return encoded_path


def encoded(options: Any, what: str = "options") -> bytes | None:
    """Options as JSON bytes; None stays None, which means defaults."""
    if options is None:
        return None
    try:
        return json.dumps(options, allow_nan=False, default=_plain).encode("utf-8")
    except (TypeError, ValueError) as error:
        if found := _not_finite(options, what):
            raise ValueError(f"{found[0]} is {found[1]}; pass finite numbers") from None
        raise TypeError(f"{what} cannot be written as JSON: {error}") from None


def _not_finite(value: Any, place: str) -> tuple[str, float] | None:
    """Where the first number is that JSON has no text for, and the number."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, float) and not math.isfinite(value):
        return place, value
    members: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, Mapping):
        members = value.items()
    elif isinstance(value, (list, tuple)):
        members = enumerate(value)
    for key, member in members:
        if found := _not_finite(member, f"{place}[{key!r}]"):
            return found
    return None


def _plain(value: Any) -> Any:
    """Numbers and arrays of numpy and torch as plain numbers and lists; paths as text."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


class CancelFlag(Handle):
    """A stop flag that any thread, and a signal handler, may raise."""

    def __init__(self) -> None:
        out = ctypes.c_void_p()
        check(lib.dfm_cancel_create(ctypes.byref(out)))
        super().__init__(out.value, lib.dfm_cancel_free)

    def request(self) -> None:
        """Raise the flag."""
        lib.dfm_cancel_request(self.value)

    def reset(self) -> None:
        """Lower the flag."""
        lib.dfm_cancel_reset(self.value)
