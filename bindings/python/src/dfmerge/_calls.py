"""Calls into the library that last, where the handlers of signals may raise what they like.

Python runs handlers on the main thread, between any two bytecodes: also at the edge of a ctypes
callback, outside every ``try`` in it, where an exception is printed and lost and C gets an
arbitrary number for an answer. So where one may raise, the main thread makes no such call. Another
thread does, on which no handler ever runs; the main thread waits for it and runs the user's code
that callbacks ask for.
"""

from __future__ import annotations

import _thread
import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from . import _ffi
from ._handles import CancelFlag
from ._interrupt import Interruptible
from ._loader import check_with, lib

_FORKED = (
    b"this process was forked by a callback of the run, which goes on in the parent; leave the "
    b"callback with an exception or end the child with os._exit"
)


def called(function: Callable[..., int], *arguments: Any) -> None:
    """Call ``function(*arguments, stop flag)`` and raise for its status.

    What handlers of signals raise stops the call and is raised when it has returned: the arrays are
    in use until then.
    """
    cancel = CancelFlag()
    with Interruptible(cancel) as guard:
        call = Call(guard)
        call.make(lambda: function(*arguments, cancel.value))
    guard.raise_kept()
    check_with(call.status, call.message)


class _Request:
    """User code that a callback wants to be run, and its answer."""

    def __init__(self, body: Callable[[], int], on_error: int) -> None:
        self.body: Callable[[], int] | None = body
        self.on_error = on_error
        self.answer = on_error
        self.is_answered = False
        self.reply: SimpleQueue[None] = SimpleQueue()


class Call:
    """One call into the library; its callbacks come to :meth:`answer`."""

    #: Loops around the waiting, each of which catches what is raised at the edges of the next.
    _LEVELS = 3

    def __init__(self, guard: Interruptible, calls_back: bool = False) -> None:
        #: What the library returned, and its message, which belongs to the thread that called.
        self.status = 0
        self.message: bytes | None = None
        self._guard = guard
        self._process = os.getpid()
        # From thread to thread a callback takes longer. Where a run has many, and no handler but
        # the guard's own can raise, which knows when it may, they stay on this thread.
        on_main = threading.current_thread() is threading.main_thread()
        self._is_away = on_main and not (calls_back and guard.is_alone)
        self._turn = _thread.allocate_lock()
        self._is_started = False
        self._is_over = False
        self._request: _Request | None = None
        # A queue, because its operations are whole: an Event's can be left half way.
        self._bell: SimpleQueue[None] = SimpleQueue()

    def make(self, function: Callable[[], int]) -> None:
        """Make the call; returns when it has returned, whatever is raised meanwhile."""
        if not self._is_away:
            self._work(function)
            return
        self._attend(function, self._LEVELS)

    def answer(self, body: Callable[[], int], on_error: int) -> int:
        """For callbacks: run ``body`` on the thread that made the call."""
        if not self._is_away:
            return self._guard.user_code(body, on_error)
        request = self._request = _Request(body, on_error)
        self._bell.put(None)
        request.reply.get()
        return request.answer

    def _work(self, function: Callable[[], int]) -> None:
        """Be in the library; a second thread, started in doubt, has nothing to do."""
        if not self._turn.acquire(blocking=False):
            return
        try:
            self.status = function()
            self.message = lib.dfm_last_error_message() if self.status else None
        except BaseException as error:
            self._guard.keep(error)
        finally:
            self._is_over = True
            self._bell.put(None)

    def _attend(self, function: Callable[[], int], level: int) -> None:
        """Serve the call until it is over; what is raised meanwhile is kept and stops it."""
        while not self._is_over:
            try:
                if level > 1:
                    self._attend(function, level - 1)
                else:
                    self._serve(function)
            except BaseException as error:
                self._guard.keep(error)

    def _serve(self, function: Callable[[], int]) -> None:
        """One step; what it leaves half done when a handler raises, the next one completes."""
        if not self._is_started:
            try:
                _thread.start_new_thread(self._work, (function,))
            except RuntimeError:
                # None can be had: at a limit of the system, or at the interpreter's end.
                self._is_away = False
                self._work(function)
            self._is_started = True
        request = self._request
        if request is None or request.is_answered:
            self._bell.get()
            return
        body, request.body = request.body, None
        if body is not None:
            request.answer = self._guard.user_code(body, request.on_error)
        if os.getpid() != self._process:
            # The thread that is in the library did not come along.
            self.status, self.message = _ffi.DFM_ERROR_INVALID_STATE, _FORKED
            self._is_over = True
            return
        request.reply.put(None)
        request.is_answered = True
