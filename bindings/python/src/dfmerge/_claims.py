"""Which memory runs are writing: two that share some would spoil each other unseen."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from . import _ffi
from ._arrays import ArrayView
from ._errors import ArgumentError


class _Token:
    """Stands for one run; where a signal's handler kept it from leaving in order, it dies."""


class _Claims:
    """The memory that is claimed, as ranges of addresses, by the one that claimed it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.ranges: weakref.WeakKeyDictionary[_Token, tuple[object, list[tuple[int, int]]]]
        self.ranges = weakref.WeakKeyDictionary()


_claims = _Claims()


@contextmanager
def claimed(owner: object, views: Iterable[ArrayView], what: str) -> Iterator[None]:
    """Claim the memory of ``views`` for ``owner``; refused where a run is writing any of it."""
    ranges = sorted((view.address, view.address + view.nbytes) for view in views if view.nbytes)
    claims, token = _claims, _Token()
    try:
        with claims.lock:
            for other, taken in claims.ranges.values():
                if other is owner:
                    raise ArgumentError(
                        "The search is running; this call is not for use inside its callbacks, nor "
                        "from another thread meanwhile.",
                        _ffi.DFM_ERROR_INVALID_STATE,
                    )
                if _overlap(ranges, taken):
                    raise ArgumentError(
                        f"{what} is memory that another search or merge is writing; give each run "
                        "arrays or a module of its own, or start it when the other has ended.",
                        _ffi.DFM_ERROR_INVALID_STATE,
                    )
            claims.ranges[token] = owner, ranges
        yield
    finally:
        claims.ranges.pop(token, None)


def _overlap(first: list[tuple[int, int]], second: list[tuple[int, int]]) -> bool:
    """Whether any range of one sorted list meets one of the other."""
    i = j = 0
    while i < len(first) and j < len(second):
        if max(first[i][0], second[j][0]) < min(first[i][1], second[j][1]):
            return True
        if first[i][1] < second[j][1]:
            i += 1
        else:
            j += 1
    return False


def _forget() -> None:
    """After a fork, in the child, whose memory is a copy that no run writes."""
    global _claims
    _claims = _Claims()


os.register_at_fork(after_in_child=_forget)
