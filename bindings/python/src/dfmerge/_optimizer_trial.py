"""Trials of an optimizer, and what one tells about them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: What Optuna and we call the states in which a trial can be told, in lower case.
_TOLD = {"complete": True, "fail": False, "failed": False}


@dataclass(frozen=True)
class OptimizerTrial:
    """A point to evaluate, or one that has been.

    Attributes
    ----------
    number : int
        Counts from 0.
    params : dict of str to float
        The parameters' values.
    origin : str or None
        "initial" (the space-filling start), "informed" (queued or known to be good), "search", or
        "observation" (:meth:`Optimizer.add_trial`). None in what :meth:`Optimizer.ask` returns.
    state : str
        "running", "complete", "subset" (ended after its first stage), "failed" or "withdrawn".
    value, variance : float or None
        The aggregate of the scores and its noise variance, where known.
    scores : dict of str to float
        One per task; empty unless the trial is complete.
    variances : dict of str to float
        Those that were given.
    subset : dict of str to float
        The scores of its first stage, where there was one.
    reason : str or None
        Why it failed or was withdrawn.
    interval : tuple of two floats or None
        Of :attr:`Optimizer.best_trial`: 95 % interval of the noise-free value under the model.
    """

    number: int
    params: dict[str, float]
    origin: str | None = None
    state: str = "running"
    value: float | None = None
    variance: float | None = None
    scores: dict[str, float] = field(default_factory=dict)
    variances: dict[str, float] = field(default_factory=dict)
    subset: dict[str, float] = field(default_factory=dict)
    reason: str | None = None
    interval: tuple[float, float] | None = None
    _bounds: Mapping[str, tuple[float, float]] = field(
        default_factory=dict, repr=False, compare=False
    )

    def suggest_float(
        self, name: str, low: float | None = None, high: float | None = None
    ) -> float:
        """The value of a parameter, as Optuna's trials give it.

        The space was given to the optimizer; ``low`` and ``high``, where given, are checked
        against it.
        """
        if name not in self.params:
            raise ValueError(
                f"there is no parameter {name!r}; this optimizer has {list(self.params)} "
                "(a fixed space, given when it was made)"
            )
        bounds = self._bounds.get(name)
        for what, given, index in (("low", low, 0), ("high", high, 1)):
            if given is not None and bounds is not None and float(given) != bounds[index]:
                raise ValueError(
                    f"{what} of {name!r} is {given}, but the optimizer was made with {bounds}; "
                    "leave it out or give the same"
                )
        return self.params[name]

    @classmethod
    def from_json(
        cls, data: Mapping[str, Any], bounds: Mapping[str, tuple[float, float]]
    ) -> OptimizerTrial:
        """From the library's JSON, the parameters in their order."""
        interval = data.get("interval")
        return cls(
            number=data["number"],
            params={name: float(data["params"][name]) for name in bounds},
            origin=data["origin"],
            state=data["state"],
            value=_optional(data["value"]),
            variance=_optional(data["variance"]),
            scores={k: float(v) for k, v in (data["scores"] or {}).items()},
            variances={k: float(v) for k, v in (data["variances"] or {}).items() if v is not None},
            subset={k: float(v) for k, v in (data["subset"] or {}).items()},
            reason=data["reason"],
            interval=None if interval is None else (float(interval[0]), float(interval[1])),
            _bounds=bounds,
        )


def _optional(value: Any) -> float | None:
    return None if value is None else float(value)


def told_state(state: Any) -> bool | None:
    """Whether a state means that there are scores; None where no state is given.

    Takes Optuna's ``TrialState`` members and their names too.
    """
    if state is None:
        return None
    name = str(getattr(state, "name", state)).lower()
    if name not in _TOLD:
        raise ValueError(f"state is {state!r}; a trial is told 'complete' or 'fail'")
    return _TOLD[name]


def parsed_scores(
    values: Any, tasks: Sequence[str], what: str
) -> tuple[list[float], list[float]] | None:
    """Scores and variances (NaN: not known) in the tasks' order; None for a failed evaluation."""
    if values is None:
        return None
    pairs = [
        _pair(value, f"{what}, task {task!r}") for task, value in _by_task(values, tasks, what)
    ]
    if any(score is None for score, _ in pairs):
        return None
    return [float(score) for score, _ in pairs if score is not None], [v for _, v in pairs]


def _by_task(values: Any, tasks: Sequence[str], what: str) -> list[tuple[str, Any]]:
    if isinstance(values, Mapping):
        if set(values) != set(tasks):
            raise ValueError(
                f"{what} has scores for {sorted(map(str, values))}; the tasks are {sorted(tasks)}"
            )
        return [(task, values[task]) for task in tasks]
    if hasattr(values, "tolist"):
        values = values.tolist()
    if isinstance(values, list) and len(values) == len(tasks):
        return list(zip(tasks, values, strict=True))
    if len(tasks) == 1 and not isinstance(values, list):
        return [(tasks[0], values)]
    if len(tasks) == 1:
        raise TypeError(
            f"{what} is the list {values!r}, but there is one task, {tasks[0]!r}; give one score, "
            "or the tuple (score, variance)"
        )
    raise TypeError(
        f"{what} is {values!r}; give one score for each of the tasks {list(tasks)}: a dict, or a "
        "list in this order (a tuple is the (score, variance) of one task)"
    )


def _pair(value: Any, what: str) -> tuple[float | None, float]:
    """A score and its variance; None for no score, NaN for an unknown variance."""
    variance: Any = None
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise TypeError(f"{what} is {value!r}; give a number or a (score, variance) pair")
        value, variance = value
    score = None if value is None else number(value, what)
    spread = math.nan if variance is None else number(variance, f"the variance of {what}")
    return score, spread


def number(value: Any, what: str) -> float:
    """A number, or one in an array or tensor, as a float."""
    if isinstance(value, (str, bytes)):
        raise TypeError(f"{what} is {value!r}; give a number")
    try:
        return float(value.item() if hasattr(value, "item") else value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{what} is {value!r}: {error}; give a number") from error
