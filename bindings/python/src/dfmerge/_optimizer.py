"""Bayesian optimisation by ask and tell."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, NoReturn, overload

from ._handles import c_path, encoded, made
from ._loader import lib
from ._optimizer_arguments import (
    default_of,
    doubles,
    exceptions,
    integer,
    interval_of_each,
    point_of,
)
from ._optimizer_findings import OptimizerFindings
from ._optimizer_loop import Loop
from ._optimizer_trial import OptimizerTrial, parsed_scores, told_state

_LARGEST_BATCH = 10_000


class Optimizer(OptimizerFindings):
    """Finds parameters that maximise a score which is costly to measure.

    Ask for a trial, evaluate its ``params`` in whatever way and place, tell the score; or let
    :meth:`optimize` do that. The names are Optuna's; scores are **maximised**.

    Parameters
    ----------
    parameters : mapping of str to (low, high), or sequence of str
        The parameters and their intervals; names alone mean [0, 1].
    tasks : sequence of str, optional
        Names of the scores of one evaluation; by default one, "score". Their aggregate (options
        ``aggregate``, ``task_weights``) is maximised.
    journal : path, optional
        Where every step is recorded; the journal of an earlier optimizer with the same parameters
        and options is continued exactly where that stopped.
    resume : bool
        False refuses an existing journal.
    **options
        Every other option of :func:`optimizer_options`: ``preset``, ``trials``, ``initial``,
        ``seed``, ``lease_seconds``, ``target``, ... Defaults live in the library.

    Notes
    -----
    Any number of threads may use one optimizer; its calls are carried out one after the other. It
    belongs to one process: forked children are refused, and it cannot be pickled. Let other
    processes evaluate, and ask and tell in this one.

    Examples
    --------
    >>> optimizer = Optimizer({"x": (-1, 2), "y": (0, 1)}, seed=3, trials=25)
    >>> while not optimizer.should_stop:
    ...     trial = optimizer.ask()
    ...     x, y = trial.params["x"], trial.params["y"]
    ...     optimizer.tell(trial, 1 - (x - 0.4) ** 2 - (y - 0.7) ** 2)
    >>> optimizer.best_value > 0.99
    True
    """

    def __init__(
        self,
        parameters: Mapping[str, Sequence[float]] | Sequence[str],
        *,
        tasks: Sequence[str] | None = None,
        journal: str | os.PathLike[str] | None = None,
        resume: bool = True,
        **options: Any,
    ) -> None:
        self._bounds = interval_of_each(parameters)
        #: Names of the parameters, in order.
        self.parameters = list(self._bounds)
        if isinstance(tasks, str):
            raise TypeError(f"tasks is the text {tasks!r}; pass a list of names, [{tasks!r}]")
        #: Names of the tasks, in order.
        self.tasks = ["score"] if tasks is None else list(tasks)
        self.journal = None if journal is None else os.fspath(journal)
        if self.journal is not None and not resume and os.path.exists(self.journal):
            raise FileExistsError(
                f"the journal {self.journal!r} exists; pass resume=True to continue it, or another "
                "path"
            )
        settings = {name: value for name, value in options.items() if value is not None}
        settings["parameters"] = [
            {"name": name, "low": low, "high": high} for name, (low, high) in self._bounds.items()
        ]
        settings["tasks"] = self.tasks
        path = None if self.journal is None else c_path(self.journal)
        self._handle = made(
            lib.dfm_optimizer_create,
            lib.dfm_optimizer_free,
            encoded(settings),
            path,
            at_exit=True,
        )
        self._closed = False
        self._stopped = False
        self._subset_share = settings.get("subset_share")
        self._total = int(settings.get("trials", default_of("trials")))
        #: Numbers of trials that an earlier life of the journal left running.
        self._left = [trial.number for trial in self.running] if path is not None else []

    # --- asking and telling -------------------------------------------------------------------

    @overload
    def ask(self) -> OptimizerTrial: ...

    @overload
    def ask(self, n: int) -> list[OptimizerTrial]: ...

    def ask(self, n: int | None = None) -> OptimizerTrial | list[OptimizerTrial]:
        """The next trial, or a list of ``n`` to evaluate side by side.

        Each is chosen with all that are out taken as evaluated.
        """
        count = 1 if n is None else integer(n, "n")
        room = min(max(count, 1), _LARGEST_BATCH)
        width = len(self.parameters)
        points, numbers = (ctypes.c_double * (room * width))(), (ctypes.c_int64 * room)()
        self._call(lib.dfm_optimizer_ask, count, points, numbers)
        trials = [
            OptimizerTrial(
                number=numbers[i],
                params=dict(zip(self.parameters, points[i * width : (i + 1) * width], strict=True)),
                _bounds=self._bounds,
            )
            for i in range(count)
        ]
        return trials[0] if n is None else trials

    def tell(
        self,
        trial: OptimizerTrial | int,
        values: Any = None,
        *,
        state: Any = None,
        reason: str | None = None,
    ) -> None:
        """Record what came of a trial.

        Parameters
        ----------
        trial : OptimizerTrial or int
            What :meth:`ask` gave, or its number. A trial that was withdrawn is welcome too.
        values : float, (score, variance), dict or list, optional
            The score, larger is better; with several tasks a dict by task, or a list (not a tuple)
            in their order. Each score may be a (score, variance) pair: give the noise variance
            where measuring again would give another score. None, or a score that is None or not
            finite, means that the evaluation failed: it counts as the lowest score told. Where
            another attempt may succeed, :meth:`withdraw` the trial instead.
        state : str, optional
            "fail" for a failed evaluation, "complete" to refuse a missing score.
        reason : str, optional
            Why it failed, for the record.
        """
        index = self._number(trial)
        complete = told_state(state)
        told = parsed_scores(values, self.tasks, f"the score of trial {index}")
        if complete is False and values is not None:
            raise ValueError(f"trial {index} is told as failed but with values {values!r}")
        if complete is True and told is None:
            raise ValueError(f"trial {index} is told as complete without a score")
        if told is None:
            why = None if reason is None else reason.replace("\0", "").encode()
            self._call(lib.dfm_optimizer_tell_failed, index, why)
            return
        if reason is not None:
            raise ValueError(f"reason is given for trial {index}, which has a score")
        scores, variances = map(doubles, told)
        self._call(lib.dfm_optimizer_tell, index, scores, variances, len(scores))

    def tell_subset(self, trial: OptimizerTrial | int, values: Any) -> bool:
        """Record the scores of a first stage and decide whether the rest is worth its cost.

        Needs the option ``subset_share``: what evaluating on the fixed subset costs, as a share of
        a whole evaluation.

        Parameters
        ----------
        trial : OptimizerTrial or int
            What :meth:`ask` gave, or its number.
        values : float, dict or list
            The scores on the subset, as for :meth:`tell`; variances are not read.

        Returns
        -------
        bool
            True: evaluate the rest and :meth:`tell` the full scores. False: the trial is settled,
            or has failed where a score is None or not finite.
        """
        index = self._number(trial)
        told = parsed_scores(values, self.tasks, f"the first stage of trial {index}")
        if told is None:
            self.tell(index, reason="The first stage failed.")
            return False
        worth = ctypes.c_int32()
        scores = doubles(told[0])
        self._call(lib.dfm_optimizer_tell_subset, index, scores, len(scores), ctypes.byref(worth))
        return worth.value != 0

    def withdraw(self, trial: OptimizerTrial | int) -> None:
        """Take back a trial that is out; it may be suggested again.

        For failures that say nothing about the point: a worker died, or had too little memory.
        """
        self._call(lib.dfm_optimizer_withdraw, self._number(trial))

    def enqueue_trial(self, params: Mapping[str, float], *, repeats: bool = False) -> None:
        """Have a point asked before anything else; several are asked in the order of queueing.

        A point that is told or out already is skipped, unless ``repeats`` says to measure it again.
        """
        point = doubles(point_of(params, self.parameters))
        self._call(lib.dfm_optimizer_enqueue, point, 1, len(point), int(repeats))

    def add_trial(self, params: Mapping[str, float], values: Any) -> int:
        """Add what is known of a point from elsewhere: another run, a baseline.

        Returns
        -------
        int
            The number under which it counts as a trial.
        """
        told = parsed_scores(values, self.tasks, "the score of the added trial")
        if told is None:
            raise ValueError(f"the added trial has no score ({values!r}); leave out what failed")
        point, (scores, variances) = doubles(point_of(params, self.parameters)), map(doubles, told)
        out = ctypes.c_int64()
        self._call(
            lib.dfm_optimizer_observe, point, len(point), scores, variances, len(scores),
            ctypes.byref(out),
        )  # fmt: skip
        return out.value

    # --- running ------------------------------------------------------------------------------

    def optimize(
        self,
        func: Callable[[OptimizerTrial], Any],
        n_trials: int | None = None,
        timeout: float | None = None,
        n_jobs: int = 1,
        catch: type[Exception] | Iterable[type[Exception]] = (),
        callbacks: Iterable[Callable[[Optimizer, OptimizerTrial], None]] | None = None,
        show_progress_bar: bool = True,
        func_subset: Callable[[OptimizerTrial], Any] | None = None,
    ) -> None:
        """Ask, evaluate with ``func`` and tell, until :attr:`should_stop`.

        Trials that an earlier life of the journal left running are evaluated first.

        Parameters
        ----------
        func : callable
            ``func(trial)`` returns what :meth:`tell` takes.
        n_trials : int, optional
            Trials of this call; by default, as many as the option ``trials`` leaves.
        timeout : float, optional
            No new evaluation begins after this many seconds.
        n_jobs : int
            Threads that evaluate at once.
        catch : exception type or iterable of them
            Exceptions of ``func`` that mean a failed trial, which counts as the lowest score: not
            those that another attempt might not raise. Any other withdraws the trial, ends the
            call once the other threads' evaluations are told, and is raised.
        callbacks : iterable of callable, optional
            Called with the optimizer and each told trial.
        show_progress_bar : bool
            Show a bar, where tqdm is installed and standard error is a terminal.
        func_subset : callable, optional
            The first stage, needed with the option ``subset_share`` and only with it:
            ``func_subset(trial)`` returns what :meth:`tell_subset` takes, and ``func`` is called
            only where the rest is worth its cost.

        Raises
        ------
        KeyboardInterrupt
            On Ctrl-C. With several threads, evaluations under way are awaited and told first; a
            second Ctrl-C abandons them.
        """
        if not callable(func):
            raise TypeError(f"func is {func!r}; pass a function of a trial")
        if func_subset is not None and not callable(func_subset):
            raise TypeError(f"func_subset is {func_subset!r}; pass a function of a trial")
        if self._subset_share is not None and func_subset is None:
            raise ValueError(
                f"the optimizer has subset_share {self._subset_share}, but func_subset is not "
                "given; pass the function that evaluates the first stage as func_subset, or make "
                "the optimizer without subset_share"
            )
        if self._subset_share is None and func_subset is not None:
            raise ValueError(
                "func_subset is given, but the optimizer has no subset_share; make it with "
                "subset_share, the first stage's share of the cost, or leave func_subset out"
            )
        self._stopped = False
        Loop(
            self,
            func,
            func_subset,
            n_trials=None if n_trials is None else integer(n_trials, "n_trials"),
            timeout=timeout,
            n_jobs=integer(n_jobs, "n_jobs"),
            catch=exceptions(catch, "catch"),
            callbacks=list(callbacks or []),
            shows_bar=show_progress_bar,
        ).run()

    def stop(self) -> None:
        """End :meth:`optimize` after the evaluations under way; for use in callbacks."""
        self._stopped = True

    # --- life ---------------------------------------------------------------------------------

    def close(self) -> None:
        """Let go of the journal, so that another optimizer may continue it."""
        self._closed = True
        self._handle.close()

    def __enter__(self) -> Optimizer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        if self._closed:
            return f"Optimizer({self.parameters}, closed)"
        counts = self._parsed(lib.dfm_optimizer_trials)
        told, out = len(counts["trials"]), len(counts["running"])
        values = [trial["value"] for trial in counts["trials"] if trial["value"] is not None]
        best = f", best score {max(values):.4g}" if values else ""
        return f"Optimizer({self.parameters}, {told} trials, {out} running{best})"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "an Optimizer belongs to its process and cannot be copied or pickled; send "
            "trial.params to the workers and tell their scores here, or continue its journal "
            "elsewhere once it is closed"
        )

    # --- details ------------------------------------------------------------------------------

    def _take_left(self) -> OptimizerTrial | None:
        """A trial that an earlier life left running, once each."""
        while self._left:
            wanted = self._left.pop(0)
            for trial in self.running:
                if trial.number == wanted:
                    return trial
        return None

    def _number(self, trial: OptimizerTrial | int) -> int:
        if isinstance(trial, OptimizerTrial):
            return trial.number
        return integer(trial, "trial")
