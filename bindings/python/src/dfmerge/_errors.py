"""Exceptions: one class per hundred of the library's status numbers.

A status that this package does not know falls back to its hundred, so a newer library never
surprises an older binding with a bare ``Exception``.
"""

from __future__ import annotations

from . import _ffi


class Error(Exception):
    """Base of everything that the library raises.

    Attributes
    ----------
    code : int
        The status number (``DFM_ERROR_*`` in ``dfmerge.h``).
    """

    def __init__(self, message: str, code: int = _ffi.DFM_ERROR_INTERNAL_ERROR) -> None:
        super().__init__(message)
        self.code = code


class ArgumentError(Error, ValueError):
    """An argument, option, name, shape or dtype that does not fit (1xx)."""


class InputOutputError(Error, OSError):
    """Reading, writing, finding or locking a file failed (2xx)."""

    def __str__(self) -> str:
        # OSError would print "[Errno ...]" or nothing for a single argument in some versions.
        return str(self.args[0]) if self.args else ""


class FormatError(Error, ValueError):
    """A weights file, a journal or a JSON text breaks the rules of its format (3xx)."""


class NumericalError(Error, ArithmeticError):
    """NaN, infinity, or a search in which every trial failed (4xx)."""


class ResourceError(Error, MemoryError):
    """Memory or threads could not be had (5xx)."""


class StoppedError(Error):
    """The run was stopped by the stop flag or by a callback (6xx)."""


class InternalError(Error, RuntimeError):
    """A broken promise inside the library; please report it (9xx)."""


_BY_HUNDRED: dict[int, type[Error]] = {
    1: ArgumentError,
    2: InputOutputError,
    3: FormatError,
    4: NumericalError,
    5: ResourceError,
    6: StoppedError,
    9: InternalError,
}


def from_status(status: int, message: str) -> Error:
    """The exception for a status number."""
    return _BY_HUNDRED.get(status // 100, Error)(message, status)
