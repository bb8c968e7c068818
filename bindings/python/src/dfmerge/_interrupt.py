"""Ctrl-C during a call into the library: never lost, raised once, and in the user's code.

During a run SIGINT raises only while the user's own code is running inside our ``try``; at any
other moment it raises the run's stop flag and is delivered when the call has returned. What the
handlers of a host raise, and an outer run's for one inside its callbacks, is caught where it
appears (``_calls``) and treated alike.

The end of the interpreter stops runs, too: a daemon thread may be at work inside the library, and
would go on to write into arrays that the interpreter frees.
"""

from __future__ import annotations

import atexit
import os
import signal
import threading
import time
import weakref
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import ClassVar, NoReturn

from ._handles import CancelFlag


class Interruptible:
    """Context of a run; :meth:`user_code` runs a callback's Python side.

    Parameters
    ----------
    cancel : CancelFlag
        What stops the run.
    writes_arrays : bool
        Whether the library works on the host's memory meanwhile, so that the interpreter must not
        end before it has stopped.
    """

    #: The runs under way, in all threads; one that an interrupt kept from leaving drops out.
    _live: ClassVar[weakref.WeakSet[Interruptible]] = weakref.WeakSet()
    #: Whether the end of the interpreter has been hooked, and has come.
    _is_hooked: ClassVar[bool] = False
    _is_over: ClassVar[bool] = False
    #: Work in the library ends within milliseconds of the stop flag, but for what a disk takes.
    _LONGEST_WAIT: ClassVar[float] = 10.0

    def __init__(self, cancel: CancelFlag, writes_arrays: bool = True) -> None:
        self._cancel = cancel
        self._writes_arrays = writes_arrays
        self._installed = False
        self._may_raise = False
        self._thread = threading.get_ident()
        self._in_user_code = False
        self._is_stopped = False
        #: Whether an interrupt is waiting to be delivered.
        self.pending = False
        #: What a callback raised; to be raised again when the call has returned.
        self.error: BaseException | None = None

    def __enter__(self) -> Interruptible:
        if not Interruptible._is_hooked:
            # What is registered last is called first: functions of the host's that were registered
            # before its first run find the library at rest.
            Interruptible._is_hooked = True
            atexit.register(Interruptible._stop_all)
        if self._is_too_late():
            self._freeze()
        if self._writes_arrays:
            Interruptible._live.add(self)
        # Only the main thread may set handlers, and only Python's own default is replaced: a
        # host with a SIGINT handler of its own keeps it.
        on_main = threading.current_thread() is threading.main_thread()
        if on_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, _handler(weakref.ref(self)))
            self._installed = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self._installed = False
        Interruptible._live.discard(self)
        if self._is_too_late():
            self._freeze()

    @classmethod
    def _stop_all(cls) -> None:
        """Stop what daemon threads do inside the library; they never come back from it."""
        cls._is_over = True
        here = threading.get_ident()
        others = [guard for guard in cls._live if guard._thread != here]
        for guard in others:
            guard._is_stopped = True
            guard._cancel.request()
        # One that is in the user's code may be there for hours; back in the library, it stops.
        end = time.monotonic() + cls._LONGEST_WAIT
        while any(guard in cls._live and not guard._in_user_code for guard in others):
            if time.monotonic() > end:
                return
            time.sleep(0.001)

    @classmethod
    def _forget_other_threads(cls) -> None:
        """After a fork, in the child: the other threads are not there."""
        here = threading.get_ident()
        cls._live = weakref.WeakSet(guard for guard in cls._live if guard._thread == here)

    @staticmethod
    def _is_too_late() -> bool:
        """Whether this is a daemon thread that the end of the interpreter has left behind."""
        is_main = threading.current_thread() is threading.main_thread()
        return Interruptible._is_over and not is_main

    @staticmethod
    def _freeze() -> NoReturn:
        """What the interpreter does with daemon threads at its end, a little sooner.

        Going on would raise into code that has nowhere left to report to.
        """
        while True:
            time.sleep(3600)

    @property
    def is_ending(self) -> bool:
        """Whether the run is to stop."""
        return self.pending or self.error is not None or self._is_stopped

    @property
    def is_alone(self) -> bool:
        """Whether the handler of this run is the only one that is Python's."""
        found = [n for n in signal.valid_signals() if callable(signal.getsignal(n))]
        return found == [] or (self._installed and found == [signal.SIGINT])

    def keep(self, error: BaseException) -> None:
        """Stop the run with ``error``, unless something else stopped it before."""
        if self.error is None:
            self.error = error
        self._cancel.request()

    def _handle(self) -> None:
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
                if self.is_ending:
                    return on_error
                self._in_user_code = True
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
        finally:
            self._in_user_code = False

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


def _handler(run: weakref.ref[Interruptible]) -> Callable[[int, FrameType | None], None]:
    """The handler of SIGINT during a run."""

    def handle(number: int, frame: FrameType | None) -> None:
        guard = run()
        if guard is not None:
            guard._handle()
            return
        # What another handler raised kept the run from leaving in order.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.default_int_handler(number, frame)

    return handle


os.register_at_fork(after_in_child=Interruptible._forget_other_threads)
