"""The DF-Merge search."""

from __future__ import annotations

import ctypes
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from . import _ffi
from ._callbacks import Callbacks, FisherRequest, Trial
from ._calls import Call
from ._candidates import candidates, flat, group_list, observed
from ._claims import claimed
from ._errors import InternalError, StoppedError
from ._handles import CancelFlag, Handle, c_path, encoded, made, parsed
from ._interrupt import Interruptible
from ._loader import check, check_with, lib
from ._progress import Progress
from ._result import Found, Result
from ._target import Target
from ._weights import WeightsLike, lend


def search_options() -> list[dict[str, Any]]:
    """Every option of a search: name, type, range, default and meaning."""
    listing: list[dict[str, Any]] = parsed(lib.dfm_search_options_describe)
    return listing


class Search:
    """Finds the coefficients of a merge by Bayesian optimisation; candidates are merged in place.

    With ``strategy="greedy_soup"`` it finds out which models to average instead.

    Parameters
    ----------
    target : torch.nn.Module or mapping of str to writable arrays
        The memory that every candidate is written into, on the CPU: a module's own parameters
        (tied ones once), or arrays by name. A module's buffers are left as they are: give it the
        base's, and let ``evaluate`` measure BatchNorm's statistics anew. To score on a GPU, keep a
        second module there and copy with ``load_state_dict(target.state_dict())``.
    base : path, state dict or module, optional
        The pretrained model. By default a copy of what the target holds now.
    models : mapping of str to path, state dict or module
        The fine-tuned models by name.
    evaluate : callable
        ``evaluate(trial)`` scores the weights that stand in the target, on validation data, larger
        is better: a dict with a score (or a ``(score, variance)`` pair) per task, a number for a
        single task, or None (or a score that is None or NaN) for a failed trial. Give a variance
        only where measuring the same candidate again would give another score (sampled data or
        decoding): on a fixed validation set it would not.
    fisher : callable, optional
        ``fisher(request)`` adds the diagonal Fisher of ``request.model`` to ``request.buffers``;
        :class:`dfmerge.torch.Fisher` is one. Not needed with ``fisher_mode="none"``.
    strategy : str, optional
        "bayesian", or "greedy_soup" (arXiv 2203.05482): each model is scored alone; then, from the
        best to the worst, each joins the average of those before it where that scores strictly
        higher. Up to 2 M - 1 evaluations of M models, or ``trials`` where that is less. Options
        that only Bayesian optimisation has are refused.
    tasks : sequence of str, optional
        Names of the tasks that ``evaluate`` scores. By default one per model, by the models' names;
        of a greedy soup, whose models are mostly of one task, a single one, "score".
    evaluate_subset : callable, optional
        Like ``evaluate``, on a fixed part of the data that costs ``subset_share`` of it. It scores
        every candidate first; ``evaluate``, whose scores are of all the data, follows only where
        the search finds that worth its cost.
    enqueue : sequence, optional
        Candidates to evaluate before anything else: dicts of coefficients by model, with
        ``"exponent"`` where it is searched, or results of other searches (their best).
    observations : Result, path of a journal, or sequence of dicts, optional
        What another search of the same models and tasks has found: its complete trials teach the
        model of the scores, and count towards ``initial``. They are no trials of this search and
        never its best; ``enqueue`` a candidate to have it evaluated here. Give it only scores that
        mean the same: another data set or metric would mislead.
    journal : path, optional
        Where every step is recorded; an existing journal of the same search is continued with
        exactly the trials of an uninterrupted run, also to a larger number of ``trials``. Other
        options or weights are refused; that ``evaluate`` and ``fisher`` still do the same is up to
        you.
    resume : bool
        False refuses an existing journal.
    progress : bool
        Show a progress bar, where tqdm is installed and standard error is a terminal.
    fisher_mode : str, optional
        The option ``fisher``: "dynamic", "static", "interpolated" or "none".
    target_score : float, optional
        The option ``target``: the search ends when a trial reaches this score.
    **options
        Every other option of :func:`search_options`: ``preset``, ``trials``, ``initial``, ``seed``,
        ``bounds``, ``groups``, ``exponent``, ``aggregate``, ``floors``, ``max_seconds``,
        ``stop_improvement``, ``subset_share``, ``threads``, ... Defaults live in the library; None
        is the default.

    Notes
    -----
    The callbacks run on the thread that calls :meth:`run`. While it runs, every other call that
    writes to the target's memory is refused; only :meth:`stop` is for other threads.
    """

    def __init__(
        self,
        target: Any,
        base: WeightsLike | None = None,
        models: Mapping[str, WeightsLike] | None = None,
        evaluate: Callable[[Trial], Any] | None = None,
        fisher: Callable[[FisherRequest], None] | None = None,
        *,
        strategy: str | None = None,
        tasks: Sequence[str] | None = None,
        evaluate_subset: Callable[[Trial], Any] | None = None,
        enqueue: Sequence[Any] | None = None,
        observations: Any = None,
        journal: str | os.PathLike[str] | None = None,
        resume: bool = True,
        progress: bool = True,
        fisher_mode: str | None = None,
        target_score: float | None = None,
        **options: Any,
    ) -> None:
        if not models:
            raise ValueError("Search needs models: a dict of name -> path, state dict or module")
        if not isinstance(models, Mapping):
            raise TypeError(
                f"models is a {type(models).__name__}; pass a dict of name -> path, state dict or "
                "module"
            )
        for name in models:
            if not isinstance(name, str) or "\0" in name:
                raise TypeError(f"models has the name {name!r}; names are texts without NUL")
        if evaluate is None:
            raise ValueError("Search needs evaluate: a function that scores a trial")
        if isinstance(tasks, str):
            raise TypeError(f"tasks is the text {tasks!r}; pass a list of names, [{tasks!r}]")
        if fisher is not None and not callable(fisher):
            raise TypeError(
                f"fisher is {fisher!r}, which cannot be called; pass a function or a "
                "dfmerge.torch.Fisher. The option of that name is called fisher_mode here."
            )
        is_soup = strategy == "greedy_soup"
        is_own = not is_soup and options.get("method") in (None, "df_merge")
        if fisher is not None and not is_own:
            taker = f"strategy {strategy!r}" if is_soup else f"method {options['method']!r}"
            raise TypeError(f"{taker} takes no Fisher values; leave fisher out")
        if fisher is None and is_own and fisher_mode != "none" and options.get("exponent") != 0:
            raise TypeError(
                "this search needs Fisher values: pass fisher=..., or fisher_mode='none'"
            )
        options = {name: value for name, value in options.items() if value is not None}
        if (evaluate_subset is None) != ("subset_share" not in options):
            raise TypeError(
                "evaluate_subset and subset_share belong together: the function that scores a "
                "candidate on a part of the data, and what that costs as a share of evaluate"
            )
        self.models = list(models)
        usual = ["score"] if is_soup else self.models
        self.tasks = list(usual if tasks is None else tasks)
        self.journal = None if journal is None else os.fspath(journal)
        self._found: Found | None = None
        self._resume = resume
        self._shown = progress
        self._evaluate = evaluate
        self._evaluate_subset = evaluate_subset
        self._fisher = fisher
        self._cancel = CancelFlag()
        self._stopped = False
        self._target = Target(target)
        self._base_path = base if isinstance(base, (str, os.PathLike)) else None
        if fisher is not None and "dfmerge.torch" in sys.modules:
            from .torch import Fisher

            if isinstance(fisher, Fisher):
                fisher.check(self._target.merged, self.models)
        source = self._target.snapshot() if base is None else base
        self._base = lend(source, "base", self._target.aliases)
        self._sources = [lend(model, name, self._target.aliases) for name, model in models.items()]
        settings = dict(options, tasks=self.tasks)
        if strategy is not None:
            settings["strategy"] = strategy
        if fisher_mode is not None:
            settings["fisher"] = fisher_mode
        if target_score is not None:
            settings["target"] = target_score
        if enqueue is not None:
            settings["enqueue"] = candidates(enqueue)
        if observations is not None:
            settings["observations"] = observed(observations, self.models, self.tasks)
        if "groups" in settings:
            settings["groups"] = group_list(settings["groups"])
        self._settings = encoded(settings)
        self._handle = self._made()
        description = parsed(lib.dfm_search_describe, self._handle.value)
        #: Names of the groups of tensors; ["all"] where they share their coefficients.
        self.groups = [str(group["name"]) for group in description["groups"]]
        #: Names of what is searched: the models, or the options of another method.
        self.parameters = [str(name) for name in description["parameters"]]
        for text in description["warnings"]:
            warnings.warn(text, stacklevel=2)
        self._has_run = False
        self._total = int(description["options"]["trials"])
        self._title = "greedy soup" if is_soup else "DF-Merge"

    def _made(self) -> Handle:
        handles = [owner.handle.value for owner in self._sources]
        return made(
            lib.dfm_search_create,
            lib.dfm_search_free,
            self._settings,
            self._base.handle.value,
            (ctypes.c_void_p * len(handles))(*handles),
            len(handles),
            self._target.lent.handle.value,
            self._cancel.value,
        )

    def run(self) -> Result:
        """Run until the budget is used up or another option ends it; the best is in the target.

        Called again after an interrupt or an exception, it goes on where it stopped.

        Raises
        ------
        KeyboardInterrupt
            On Ctrl-C, once the library has stopped: ``search.result`` has the best so far (None
            before the first trial), and the same journal continues the search.
        Exception
            Whatever a callback raised, with its own traceback.
        dfmerge.Error
            A journal of another search, damaged files, every trial failed, ...
        """
        with claimed(self, self._target.lent.views.values(), "the target"):
            return self._run()

    def _run(self) -> Result:
        """Run, with the target's memory claimed."""
        self._stopped = False
        if self.journal is not None and self._has_run:
            # The journal knows all that this search has done, and takes a search without trials.
            self._handle = self._made()
        elif self.journal is not None and not self._resume and os.path.exists(self.journal):
            raise FileExistsError(
                f"the journal {self.journal!r} exists; pass resume=True to continue it, or "
                f"another path"
            )
        self._has_run = True
        try:
            self._call(lib.dfm_search_run, None if self.journal is None else c_path(self.journal))
        except StoppedError:
            self._found = self._current()
            if not self._stopped or self.result is None:
                raise
            self._stopped = False
            self._write(self.result.coefficients, self.result.exponent)
        except BaseException:
            self._found = self._current()
            raise
        else:
            self._found = self._current()
        result = self.result
        if result is None:
            raise InternalError("the search has ended without a result; please report it")
        self._target.mark(result._mark)
        return result

    def stop(self) -> None:
        """End :meth:`run` after the step under way, from any thread or a callback.

        An evaluation under way is awaited, and counts. ``run`` then returns the best so far, which
        is in the target, and its ``ended`` is None; before the first complete trial it raises
        :class:`dfmerge.StoppedError`. Called again, ``run`` goes on. Where no run is under way,
        nothing happens.
        """
        self._stopped = True

    @property
    def result(self) -> Result | None:
        """The result of the last run; after an interrupt, the best so far."""
        return None if self._found is None else self._found.result(self)

    def apply(self, coefficients: Mapping[str, Any], exponent: float = 1.0) -> None:
        """Write a candidate into the target, measuring Fisher values where they are needed.

        Parameters
        ----------
        coefficients : mapping
            A number for each model, or a mapping from group to number. In a greedy soup the weights
            of an average, which are divided by their sum.
        exponent : float
            Power of the Fisher weights.
        """
        with claimed(self, self._target.lent.views.values(), "the target"):
            self._stopped = False
            self._write(coefficients, exponent)

    def _write(self, coefficients: Mapping[str, Any], exponent: float) -> None:
        """Apply, with the target's memory claimed."""
        numbers = flat(coefficients, self.parameters, self.groups)
        values = (ctypes.c_double * len(numbers))(*numbers)
        self._call(lib.dfm_search_apply, values, len(values), exponent)

    def _call(self, function: Any, *arguments: Any) -> None:
        """Call into the library with the callbacks in place."""
        self._target.check()
        self._target.mark(None)
        bar = Progress(self._shown and function is lib.dfm_search_run, self._total, self._title)
        self._cancel.reset()
        with Interruptible(self._cancel) as guard:
            call = Call(guard, calls_back=True)
            callbacks = Callbacks(
                call,
                self.parameters,
                self.groups,
                self.tasks,
                self._target,
                self._evaluate,
                self._evaluate_subset,
                self._fisher,
                bar,
                self._handle,
                lambda: self._stopped,
            )
            handle = self._handle.value
            check(lib.dfm_search_set_evaluate(handle, callbacks.evaluate, None))
            if callbacks.evaluate_subset is not None:
                check(lib.dfm_search_set_evaluate_subset(handle, callbacks.evaluate_subset, None))
            check(lib.dfm_search_set_fisher(handle, callbacks.fisher, None))
            check(lib.dfm_search_set_progress(handle, callbacks.progress, None))
            call.make(lambda: function(handle, *arguments))
        bar.close()
        guard.raise_kept()
        if call.status in (_ffi.DFM_ERROR_CANCELLED, _ffi.DFM_ERROR_CALLBACK_FAILED):
            raise StoppedError((call.message or b"").decode("utf-8", "replace"), call.status)
        check_with(call.status, call.message)
        self._target.check()  # the last callback may have moved what was written after it

    def _current(self) -> Found | None:
        """The result so far; None without a complete trial."""
        out = ctypes.c_void_p()
        if lib.dfm_search_result(self._handle.value, ctypes.byref(out)) != 0:
            return None
        lib.dfm_text_free(out.value)
        return Found(parsed(lib.dfm_search_result, self._handle.value))

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a Search belongs to its process and target and cannot be copied or pickled; make "
            "another one, or continue its journal elsewhere"
        )
