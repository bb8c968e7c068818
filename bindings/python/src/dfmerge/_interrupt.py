"""Ctrl-C during a call into the library: never lost, never raised where it cannot be caught.

Python runs signal handlers between bytecodes, so ``KeyboardInterrupt`` may appear at the edge of a
ctypes callback, outside every ``try``: ctypes prints it, returns garbage to C, and the interrupt is
lost. So during a run SIGINT raises only while the user's own code is running inside our ``try``; at
any other moment it raises the run's stop flag and is delivered when the call has returned.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

from ._handles import CancelFlag


class Interruptible:
    """Context of a run; :meth:`user_code` runs a callback's Python side."""

    def __init__(self, cancel: CancelFlag) -> None:
        self._cancel = cancel
        self._previous: Any = None
        self._installed = False
        self._may_raise = False
        #: Whether an interrupt is waiting to be delivered.
        self.pending = False
        #: What a callback raised; to be raised again when the call has returned.
        self.error: BaseException | None = None

    def __enter__(self) -> Interruptible:
        # Only the main thread may set handlers, and only Python's own default is replaced: a
        # host with a SIGINT handler of its own keeps it.
        on_main = threading.current_thread() is threading.main_thread()
        if on_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._previous = signal.signal(signal.SIGINT, self._handle)
            self._installed = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, self._previous)
            self._installed = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._may_raise:
            # Once: a second Ctrl-C must not break out of the handling of the first.
            self._may_raise = False
            raise KeyboardInterrupt
        self.pending = True
        self._cancel.request()

    def user_code(self, body: Callable[[], int], on_error: int) -> int:
        """Run ``body`` for a callback: its answer, or ``on_error`` with the exception kept."""
        try:
            try:
                if self.pending or self.error is not None:
                    return on_error
                self._may_raise = self._installed
                answer = body()
                self._may_raise = False
                return answer
            except BaseException as error:
                self._may_raise = False
                if self.error is None:
                    self.error = error
                return on_error
        except BaseException as error:  # an interrupt between the lines above
            self._may_raise = False
            if self.error is None:
                self.error = error
            return on_error

    def raise_kept(self) -> None:
        """Raise what a callback raised, or the interrupt that came outside of one."""
        if self.error is not None:
            error, self.error = self.error, None
            try:
                raise error
            finally:
                # Its traceback holds this frame: a cycle would keep the run's files open.
                del error
        if self.pending:
            self.pending = False
            raise KeyboardInterrupt
