"""DFMerge's optimiser as a sampler of Optuna; needs the extra ``optuna``.

>>> import optuna
>>> from dfmerge.optuna import Sampler
>>> study = optuna.create_study(direction="maximize", sampler=Sampler(seed=1))
>>> study.optimize(lambda trial: -((trial.suggest_float("x", 0, 1) - 0.3) ** 2), n_trials=20)
>>> abs(study.best_params["x"] - 0.3) < 0.02
True
"""

from __future__ import annotations

import json
import math
import random
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

try:
    import optuna
except ImportError as error:
    raise ImportError(
        "dfmerge.optuna needs Optuna, which is not installed; pip install 'dfmerge[optuna]'"
    ) from error
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from ._optimizer import Optimizer
from ._optuna_space import Space

__all__ = ["Sampler"]

#: System attribute with a running trial's values, for the other workers.
_PARAMS_KEY = "dfmerge:params"
#: Workers that may be between asking and having values; more are taken for dead ones.
_MOST_UNSEEN = 16
#: Combinations of choices that are compared.
_MOST_CHOICES = 64
#: Points that are drawn where all that are near are known.
_MOST_DRAWN = 256
#: Tries to find a point of a discrete space that is not known yet.
_MOST_REPEATS = 8


class Sampler(BaseSampler):
    """Suggests parameters by DFMerge's Bayesian optimisation.

    It keeps nothing between trials: every suggestion is made from the study's own trials, so that
    storages, several processes and resumed studies work as with Optuna's samplers. Running trials
    of other workers count as pending. Failed trials count as the worst value, pruned ones as their
    last one, but no better than the median. Constraints set with ``trial.set_constraint`` are
    modelled and kept.

    The search space is what all completed trials have in common, so the first trial is drawn at
    random. Floats and ints, with ``log`` or ``step``, are coordinates; a categorical parameter has
    one per choice.

    Parameters
    ----------
    seed : int, optional
        Makes a study without concurrency repeatable.
    n_startup_trials : int
        Trials before the first model.
    independent_sampler : optuna.samplers.BaseSampler, optional
        For the first trial and parameters that not all trials have; random by default.
    **options
        Other options of :func:`dfmerge.optimizer_options` that concern a suggestion:
        ``acquisition``, ``preset``, ...

    Raises
    ------
    ValueError
        In a study with several objectives.
    """

    def __init__(
        self,
        *,
        seed: int | None = None,
        n_startup_trials: int = 10,
        independent_sampler: BaseSampler | None = None,
        **options: Any,
    ) -> None:
        self._options = {
            **options,
            "seed": random.SystemRandom().getrandbits(32) if seed is None else seed,
            "initial": max(n_startup_trials, 1),
        }
        Optimizer(["x"], **self._options).close()  # wrong options are refused here
        self._independent = independent_sampler or RandomSampler(seed=seed)
        self._intersection = optuna.search_space.IntersectionSearchSpace()

    def reseed_rng(self) -> None:
        """Reseed the independent sampler, for another worker."""
        self._independent.reseed_rng()

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The parameters that all completed trials have, but for those with a single value."""
        if len(study.directions) != 1:
            raise ValueError(
                f"the study has {len(study.directions)} objectives; this sampler takes one: return "
                "their mean, or use dfmerge.Optimizer with tasks=[...]"
            )
        found = self._intersection.calculate(study)
        return {name: kind for name, kind in found.items() if not kind.single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The next point."""
        if not search_space:
            return {}
        trials = study.get_trials(deepcopy=False)
        params = _suggested(search_space, trials, trial.number, study.direction, self._options)
        promised = {name: search_space[name].to_internal_repr(params[name]) for name in params}
        study._storage.set_trial_system_attr(trial._trial_id, _PARAMS_KEY, json.dumps(promised))
        return params

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """A value for a parameter that the model does not know."""
        return self._independent.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Called by Optuna before the objective."""
        self._independent.before_trial(study, trial)

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Called by Optuna after the objective."""
        self._independent.after_trial(study, trial, state, values)


def _suggested(
    search_space: Mapping[str, BaseDistribution],
    trials: Sequence[FrozenTrial],
    number: int,
    direction: StudyDirection,
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """The next point of an optimizer that is told all that the study knows."""
    space = Space(search_space)
    sign = -1.0 if direction == StudyDirection.MINIMIZE else 1.0
    told = [t for t in trials if t.state.is_finished() and space.covers(t.params)]
    complete = [t for t in told if t.state == TrialState.COMPLETE and _is_finite(t.value)]
    constraints = sorted({name for t in complete for name in _constraints(t)})
    middle = statistics.median(sign * _value(t) for t in complete) if complete else 0.0
    names = [f"u{index}" for index in range(space.dimension)]
    with Optimizer(names, **_with_constraints(options, constraints)) as optimizer:

        def handed_out(point: Sequence[float]) -> int:
            optimizer.enqueue_trial(dict(zip(names, point, strict=True)), repeats=True)
            return optimizer.ask().number

        known = []
        for t in told:
            point = space.encoded(t.params)
            known.append({name: t.params[name] for name in search_space})
            if not _is_finite(t.value):
                optimizer.tell(handed_out(point), state="fail")
                continue
            score = sign * _value(t)
            if t.state == TrialState.PRUNED:
                score = min(score, middle)
            # Optuna keeps to a constraint at 0 or below, a floor is kept at 0 or above.
            kept = _constraints(t)
            scores = [score, *(-kept.get(name, 0.0) for name in constraints)]
            optimizer.add_trial(dict(zip(names, point, strict=True)), scores)
        unseen = 0
        for t in trials:
            if t.state != TrialState.RUNNING or t.number == number:
                continue
            params = _running_params(t, search_space)
            if space.covers(params):
                point = space.encoded(params)
                known.append({name: params[name] for name in search_space})
                handed_out(point)
            elif t.number < number:
                unseen += 1
        # The start does not know its own points again once they are rounded to the grid.
        starts = len(known) < options["initial"] or not complete
        # Workers that have just begun will find what is found here first: leave it to them.
        for _ in range(min(unseen, _MOST_UNSEEN)):
            optimizer.ask()
        found = space.decoded(list(optimizer.ask().params.values()))
        for _ in range(len(known) + 1 if starts else _MOST_REPEATS):
            if not starts and (space.has_choices or found in known):
                found = _best_around(space, optimizer, found, known)
            if found not in known:
                break
            found = space.decoded(list(optimizer.ask().params.values()))
        return found


def _best_around(
    space: Space,
    optimizer: Optimizer,
    params: Mapping[str, Any],
    known: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Of the points near ``params`` that can be taken, the one of the largest expected improvement.

    The suggestion itself lies between grid points and between choices, where nothing can be. Where
    all near it are known, points are drawn from the whole space; ``params`` itself is the last
    resort.
    """
    candidates = [found for found in space.around(params, _MOST_CHOICES) if found not in known]
    if not candidates:
        draw = random.Random(len(known))
        drawn = (
            space.decoded([draw.random() for _ in range(space.dimension)])
            for _ in range(_MOST_DRAWN)
        )
        candidates = [found for found in drawn if found not in known]
    if not candidates:
        return dict(params)

    def expected(points: Sequence[Mapping[str, Any]]) -> list[tuple[float, float]]:
        encoded = [space.encoded(point) for point in points]
        return optimizer.predict(
            [dict(zip(optimizer.parameters, point, strict=True)) for point in encoded]
        )

    highest = max(mean for mean, _ in expected(known))
    gains = [_improvement(mean - highest, sd) for mean, sd in expected(candidates)]
    return candidates[max(range(len(gains)), key=gains.__getitem__)]


def _improvement(ahead: float, sd: float) -> tuple[float, float]:
    """Expected improvement of a normal variable whose mean is ``ahead`` of the best; ties broken.

    Where it is too small for a double, the one in the fewest standard deviations is ahead.
    """
    if sd <= 0:
        return max(ahead, 0.0), ahead
    z = ahead / sd
    density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return max(ahead * 0.5 * math.erfc(-z / math.sqrt(2)) + sd * density, 0.0), z


def _with_constraints(options: Mapping[str, Any], constraints: Sequence[str]) -> dict[str, Any]:
    """Options with a task for every constraint: it has a floor and no weight."""
    if not constraints:
        return dict(options)
    tasks = [f"constraint {name}" for name in constraints]
    return {
        **options,
        "tasks": ["score", *tasks],
        "aggregate": "weighted",
        "task_weights": {"score": 1.0, **dict.fromkeys(tasks, 0.0)},
        "floors": dict.fromkeys(tasks, 0.0),
    }


def _constraints(trial: FrozenTrial) -> dict[str, float]:
    """The constraints of a trial, of Optuna's present and earlier formats."""
    found: dict[str, float] = {}
    for key, value in trial.system_attrs.items():
        if key == "constraints" and isinstance(value, (list, tuple)):
            found |= {str(index): float(item) for index, item in enumerate(value)}
        elif key.startswith("constraints:"):
            found[key.partition(":")[2]] = float(value)
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _running_params(
    trial: FrozenTrial, search_space: Mapping[str, BaseDistribution]
) -> dict[str, Any]:
    """What a running trial evaluates, also where it has not come to ask for all of it."""
    promised = json.loads(trial.system_attrs.get(_PARAMS_KEY, "{}"))
    known = {
        name: search_space[name].to_external_repr(value)
        for name, value in promised.items()
        if name in search_space
    }
    return {**known, **trial.params}


def _is_finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _value(trial: FrozenTrial) -> float:
    value = trial.value
    assert value is not None  # only asked of trials with a finite value
    return float(value)
