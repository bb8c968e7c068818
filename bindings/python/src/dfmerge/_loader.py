"""Finds and loads ``libdfmerge``, and checks that it speaks this package's ABI."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
from pathlib import Path

from . import _ffi
from ._errors import from_status

_NAME = "libdfmerge.so"


def _candidates() -> list[Path]:
    """Where the library may be, first choice first."""
    if chosen := os.environ.get("DFMERGE_LIBRARY"):
        # An explicit choice is the only one: a fallback would hide a wrong path.
        return [Path(chosen)]
    package = Path(__file__).resolve().parent
    places = [package / "lib" / _NAME]
    # A checkout: bindings/python/src/dfmerge -> build/lib.
    if len(package.parents) > 3:
        places.append(package.parents[3] / "build" / "lib" / _NAME)
    if system := ctypes.util.find_library("dfmerge"):
        places.append(Path(system))
    return places


def _load() -> ctypes.CDLL:
    tried = []
    for path in _candidates():
        # A bare name is for the system's own search.
        if path.parent != Path() and not path.exists():
            tried.append(f"{path} (not there)")
            continue
        try:
            library = ctypes.CDLL(str(path))
        except OSError as error:
            tried.append(f"{path} ({error})")
            continue
        library.dfm_abi_version.restype = ctypes.c_int32
        found = library.dfm_abi_version()
        if found != _ffi.DFM_ABI_VERSION:
            raise ImportError(
                f"{path} has ABI version {found}, this package needs {_ffi.DFM_ABI_VERSION}; "
                "install matching versions of the two."
            )
        _ffi.bind(library)
        return library
    raise ImportError(
        "libdfmerge was not found; tried: "
        + "; ".join(tried)
        + ". Set DFMERGE_LIBRARY to its path, or run 'make lib' in a checkout."
    )


lib = _load()


def check(status: int) -> None:
    """Raise the exception for a status other than 0."""
    if status != 0:
        message = lib.dfm_last_error_message().decode("utf-8", "replace")
        raise from_status(status, message)


def check_with(status: int, message: bytes | None) -> None:
    """Raise for a status whose message was fetched when it was fresh."""
    if status != 0:
        raise from_status(status, (message or b"").decode("utf-8", "replace"))
