"""The loop of :meth:`Optimizer.optimize`: one thread or several, and Ctrl-C."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ._errors import ArgumentError
from ._handles import CancelFlag
from ._interrupt import Interruptible
from ._optimizer_trial import OptimizerTrial
from ._progress import Progress

if TYPE_CHECKING:
    from ._optimizer import Optimizer

_POLL_SECONDS = 0.05
#: Runs a body of the user's and returns what it raised.
Caller = Callable[[Callable[[], object]], BaseException | None]


class Loop:
    """One call of ``optimize``."""

    def __init__(
        self,
        optimizer: Optimizer,
        func: Callable[[OptimizerTrial], Any],
        func_subset: Callable[[OptimizerTrial], Any] | None,
        *,
        n_trials: int | None,
        timeout: float | None,
        n_jobs: int,
        catch: tuple[type[Exception], ...],
        callbacks: Sequence[Callable[[Optimizer, OptimizerTrial], None]],
        shows_bar: bool,
    ) -> None:
        if n_jobs < 1:
            raise ValueError(f"n_jobs is {n_jobs}; pass the number of threads, 1 or more")
        if n_trials is not None and n_trials < 0:
            raise ValueError(f"n_trials is {n_trials}; pass 0 or more")
        self._optimizer = optimizer
        self._func = func
        self._func_subset = func_subset
        self._jobs = n_jobs
        self._catch = catch
        self._callbacks = callbacks
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._own_budget = n_trials
        #: Trials begun and told by this loop.
        self._begun = 0
        self._told = 0
        self._bar = Progress(shows_bar, n_trials or optimizer._total, "optimising")
        self._error: BaseException | None = None
        self._ends = False
        self._lock = threading.Lock()

    def run(self) -> None:
        """Run to the end; raises what ``func`` raised, or the interrupt."""
        try:
            with Interruptible(CancelFlag(), writes_arrays=False) as guard:
                if self._jobs == 1:
                    self._work(guard, self._guarded(guard))
                else:
                    self._work_in_threads(guard)
        finally:
            self._bar.close()
        error, self._error = self._error, None
        if error is not None:
            try:
                raise error
            finally:
                # Its traceback holds this frame: a cycle would keep the journal open.
                del error
        guard.raise_kept()

    @staticmethod
    def _guarded(guard: Interruptible) -> Caller:
        """User code on the main thread: an interrupt is raised inside it and nowhere else."""

        def call(body: Callable[[], object]) -> BaseException | None:
            def answered() -> int:
                body()
                return 0

            guard.user_code(answered, -1)
            error, guard.error = guard.error, None
            return error

        return call

    def _work_in_threads(self, guard: Interruptible) -> None:
        def call(body: Callable[[], object]) -> BaseException | None:
            try:
                body()
            except BaseException as error:
                return error
            return None

        # Daemons: a second Ctrl-C leaves them to themselves.
        threads = [
            threading.Thread(target=self._work, args=(guard, call), daemon=True)
            for _ in range(self._jobs)
        ]
        for thread in threads:
            thread.start()
        interrupts = 0
        try:
            while interrupts < 2 and any(thread.is_alive() for thread in threads):
                for thread in threads:
                    thread.join(_POLL_SECONDS)
                if guard.pending:
                    guard.pending = False
                    interrupts += 1
                    self._ends = True
        finally:
            # Also where a handler of the host's raises here.
            self._ends = True
        guard.pending = interrupts > 0

    def _work(self, guard: Interruptible, call: Caller) -> None:
        """Evaluate trials until there is nothing more to do."""
        try:
            while not guard.pending:
                trial = self._next()
                if trial is None:
                    return
                error = self._evaluate(trial, call)
                if error is not None:
                    self._fail(error)
        except BaseException as error:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            self._ends = True
            if self._error is None:
                self._error = error

    def _next(self) -> OptimizerTrial | None:
        """The next trial; None to end."""
        optimizer = self._optimizer
        with self._lock:
            late = self._deadline is not None and time.monotonic() >= self._deadline
            if self._ends or late or optimizer._stopped or self._has_enough():
                return None
            self._begun += 1
            trial = optimizer._take_left()
        return optimizer.ask() if trial is None else trial

    def _has_enough(self) -> bool:
        reason = self._optimizer.should_stop
        if self._own_budget is not None:
            return reason not in (None, "trials") or self._begun >= self._own_budget
        # What the other threads have under way will be told, too.
        out = self._begun - self._told
        return reason is not None or self._optimizer.cost + out >= self._optimizer._total

    def _evaluate(self, trial: OptimizerTrial, call: Caller) -> BaseException | None:
        """Evaluate and tell; what ends the loop is returned."""
        optimizer = self._optimizer
        error, goes_on = None, True
        # One that an earlier life left after its first stage goes straight on.
        if self._func_subset is not None and not trial.subset:
            error, goes_on = self._stage(trial, call, self._func_subset, optimizer.tell_subset)
        if goes_on:
            error, _ = self._stage(trial, call, self._func, optimizer.tell)
        if error is not None:
            return error
        with self._lock:
            self._told += 1
            self._show()
        if self._callbacks:
            told = next(t for t in optimizer.trials if t.number == trial.number)
            for callback in self._callbacks:
                error = error or call(lambda callback=callback: callback(optimizer, told))  # type: ignore[misc]
        return error

    def _stage(
        self,
        trial: OptimizerTrial,
        call: Caller,
        func: Callable[[OptimizerTrial], Any],
        tell: Callable[[OptimizerTrial, Any], bool | None],
    ) -> tuple[BaseException | None, bool]:
        """Evaluate and tell one stage: what ends the loop, and whether the trial goes on."""
        answers: list[Any] = []
        error = call(lambda: answers.append(func(trial)))
        if answers:
            # An answer that came just before an interrupt is not thrown away.
            try:
                return None, bool(tell(trial, answers[0]))
            except BaseException as refused:
                self._release(trial)
                return refused, False
        if isinstance(error, self._catch):
            reason = f"{type(error).__name__}: {error}"
            self._optimizer.tell(trial, state="fail", reason=reason)
            return None, False
        self._release(trial)
        return error, False

    def _release(self, trial: OptimizerTrial) -> None:
        try:
            self._optimizer.withdraw(trial)
        except ArgumentError:
            return  # its lease had run out

    def _show(self) -> None:
        if self._bar.is_shown:
            told = [t for t in self._optimizer.trials if t.state not in ("running", "withdrawn")]
            done = len(told) if self._own_budget is None else self._told
            values = [trial.value for trial in told if trial.value is not None]
            self._bar.update("trial", done, max(values, default=math.nan))
