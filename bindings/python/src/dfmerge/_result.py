"""What a search found."""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from ._search import Search


class Result:
    """The best candidate and every trial of a search.

    Attributes
    ----------
    coefficients : dict
        The chosen coefficient of each model; with the option ``groups`` a dict of one per group. In
        a greedy soup its weight in the average: 1/k for each of the k models, 0 for the others.
    soup : list of str or None
        The models of a greedy soup, in the order in which they joined; None for other searches.
    decisions : list of dict or None
        What came of each model of a greedy soup, in that order, the best model first: model, alone
        (its score, None where that failed), number (of the trial that decided), value (its score),
        accepted.
    options : dict or None
        Of a search of another method's options, and of a greedy soup: what a merge by that method
        takes to give the chosen candidate again. None for DF-Merge, and where groups have values of
        their own.
    exponent : float
        The chosen power of the Fisher weights: 1 is the paper, 0 task arithmetic.
    best_number : int
        Number of the chosen trial.
    value : float
        The aggregate score of the chosen trial, on the data that ``evaluate`` scores. By default
        the trial with the best expected score is chosen, which allows for lucky ones; the option
        ``best_by="observed"`` takes the highest score.
    scores : dict of str to float
        Its score per task.
    interval : tuple of two floats or None
        95 % interval of the noise-free score there under the model of the scores.
    feasible : bool
        Whether it keeps all ``floors``; False only where no complete trial does.
    ended : str or None
        Why the run ended: "trials", "time", "target", "improvement", or "complete" for a greedy
        soup that has tried every model; None for one that was stopped.
    margin : dict
        How far the chosen trial is above plain averaging (``"average"``) and above the best of the
        merges without a search that were evaluated (``"baseline"``; of a greedy soup the best
        model alone): name, number, value,
        difference of the expected scores (in a greedy soup, of the scores), and its 95 % interval;
        None where there is none.
    pareto : list of int or None
        Numbers of the trials that no other beats on all tasks; None for a single task.
    importance : dict of str to float
        Each coordinate's share of how much the expected score varies; they sum to 1. Empty for a
        greedy soup, as is every finding of a model of the scores.
    trials : list of dict
        Every trial: number, origin, coefficients, exponent, value, scores, state ("complete",
        "subset" or "failed"), seconds.
    warnings : list of str
        What happened that one should know (a repaired journal, ...).
    """

    def __init__(
        self, data: dict[str, Any], search: Search | None = None, mark: object = None
    ) -> None:
        self._data = data
        self._search = search
        #: Tells the target's memory that it holds this result's best candidate.
        self._mark = mark or object()
        best = data["best"]
        # JSON objects have no order; the models do.
        names = data["parameters"]
        self.coefficients = {name: _ordered(best, name, data["groups"]) for name in names}
        self.exponent: float = best["exponent"]
        self.options: dict[str, Any] | None = best["options"]
        soup = data["soup"] or {}
        self.soup: list[str] | None = soup.get("models")
        self.decisions: list[dict[str, Any]] | None = soup.get("decisions")
        self.best_number: int = best["number"]
        self.value: float = best["value"]
        self.scores = {task: float(best["scores"][task]) for task in data["tasks"]}
        self.interval = None if best["interval"] is None else tuple(best["interval"])
        self.feasible: bool = best["feasible"]
        self.ended: str | None = data["ended"]
        self.margin: dict[str, Any] = data["margin"]
        self.pareto: list[int] | None = data["pareto"]
        self.importance: dict[str, float] = data["importance"]
        self.trials: list[dict[str, Any]] = data["trials"]
        self.warnings: list[str] = data["warnings"]

    def __repr__(self) -> str:
        if self.soup is not None:
            return f"Result(value {self.value:.4f}, soup of {', '.join(self.soup)})"
        shown = ", ".join(f"{name} {_shown(value)}" for name, value in self.coefficients.items())
        return f"Result(value {self.value:.4f}, {shown}, exponent {self.exponent:.3f})"

    @property
    def journal(self) -> str | None:
        """Path of the journal."""
        return self._search.journal if self._search else None

    @property
    def outside_share(self) -> float:
        """Share of the run's wall time that was not spent in the callbacks."""
        return float(self._data["time"]["outside_share"])

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a Result belongs to its search and cannot be copied or pickled; send "
            "result.to_dict(), or save the merged weights with result.save(path)"
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data (what ``report`` reads)."""
        return self._data

    def apply(self) -> None:
        """Write the best candidate into the target again."""
        if self._search is None:
            raise ValueError("this result has no search; apply its coefficients with a new one")
        self._search.apply(self.coefficients, self.exponent)
        self._search._target.mark(self._mark)

    def save(self, path: str | os.PathLike[str], **options: Any) -> None:
        """Write the merged checkpoint: the target's tensors, with the best candidate in them.

        After an interrupt, or where another search has written to the same memory since, the best
        candidate is brought back first (:meth:`apply`). What your own code changed in the target
        since is saved as it stands.

        A path that ends in ``.safetensors`` is a file, any other a folder; for a folder, the other
        files of a base that was given as a folder (config, tokenizer) are copied. A module is saved
        with its buffers, tied tensors once: the dropped names are in the file's metadata, which
        ``safetensors.torch.load_model`` and ``from_pretrained`` cope with; for ``load_state_dict``
        pass ``strict=False``.

        Parameters
        ----------
        path : path
            File or folder.
        **options
            ``metadata``, ``shard_size``, ``copy_files_from``; see :func:`dfmerge.save`.
        """
        if self._search is None:
            raise ValueError("this result has no search whose target could be saved")
        from ._merge import save

        if not self._search._target.holds(self._mark):
            self.apply()
        tensors, aliases = self._search._target.tensors_to_save()
        settings = dict(options)
        settings["metadata"] = {**aliases, **options.get("metadata", {})}
        path = os.fspath(path)
        base = self._search._base_path
        if not path.endswith(".safetensors") and base is not None and os.path.isdir(base):
            settings.setdefault("copy_files_from", os.fspath(base))
        save(tensors, path, **settings)

    def report(self, path: str | os.PathLike[str]) -> None:
        """Write one self-contained HTML page; needs the extra ``plots`` (matplotlib)."""
        from ._report import report

        report(self._data, os.fspath(path))

    def plot(self) -> Any:
        """A matplotlib figure: best so far, coefficients, scores per task, slices of the model."""
        from ._plots import plot

        return plot(self._data)


class Found:
    """What a search keeps of its result.

    Not the result itself, which holds the search: the two would keep models and target alive until
    the garbage collector comes by.
    """

    def __init__(self, data: dict[str, Any]) -> None:
        self._data = data
        self._mark = object()
        self._made: weakref.ref[Result] | None = None

    def result(self, search: Search) -> Result:
        """The result; the same object for as long as somebody has it."""
        made = self._made() if self._made is not None else None
        if made is None:
            made = Result(self._data, search, self._mark)
            self._made = weakref.ref(made)
        return made


def _ordered(best: dict[str, Any], model: str, groups: list[dict[str, Any]] | None) -> Any:
    """A model's coefficient, or its coefficients in the order of the groups."""
    value = best["coefficients"][model]
    if groups is None:
        return float(value)
    return {group["name"]: float(value[group["name"]]) for group in groups}


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "[" + " ".join(f"{number:.3f}" for number in value.values()) + "]"
    return f"{value:.3f}"
