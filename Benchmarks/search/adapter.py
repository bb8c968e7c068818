"""dfmerge.Optimizer behind a plain ask/tell interface over the unit cube.

Plug it into any benchmark of optimisers with this interface (points are sequences of d floats in
[0, 1], scores are maximised):

    optimiser = Optimizer(d, seed=0, budget=60, n_init=10, init=None, meta=None)
    x = optimiser.ask()
    optimiser.tell(x, y)
    x = optimiser.recommend()       # the evaluated point with the best posterior mean

`init` holds points to be evaluated first instead of the optimiser's own start. Several points may
be asked before the first is told, and they may be told in any order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dfmerge


class Optimizer:
    """Our defaults for merging: the points that are known to be good come first.

    Parameters
    ----------
    d, seed
        Dimension and seed.
    n_init
        Evaluations before the model is used where `init` is given; else the optimiser's own
        default holds.
    budget
        Not used: no decision depends on the evaluations that are left.
    init
        Points to evaluate first.
    meta
        Not used: what the benchmark knows about the function.
    **options
        Of :class:`dfmerge.Optimizer`: ``informed``, ``preset``, ``tasks``, ...
    """

    def __init__(
        self,
        d: int,
        seed: int = 0,
        budget: int = 60,
        n_init: int = 10,
        init: Sequence[Sequence[float]] | None = None,
        meta: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self._names = [f"x{k}" for k in range(d)]
        # The paper's preset starts as the authors' optimiser does.
        informed = options.get("preset", "default") == "default"
        settings = {"informed": informed, **options}
        if init is not None:
            settings.setdefault("initial", n_init)
        self._optimizer = dfmerge.Optimizer(self._names, seed=seed, **settings)
        self._pending: dict[tuple[float, ...], Any] = {}
        for point in init if init is not None else ():
            self._optimizer.enqueue_trial(self._parameters(point))

    def ask(self) -> list[float]:
        """The next point to evaluate."""
        trial = self._optimizer.ask()
        point = self._point(trial.params)
        self._pending[tuple(point)] = trial
        return point

    def tell(
        self,
        x: Sequence[float],
        y: float | Mapping[str, float],
        variance: float | None = None,
    ) -> None:
        """Record the score of a point that was asked; NaN is a failed evaluation."""
        trial = self._pending.pop(tuple(float(v) for v in x))
        # A score that is not finite counts as a failed evaluation.
        self._optimizer.tell(trial, y if variance is None else (y, variance))

    def tell_subset(self, x: Sequence[float], y: Mapping[str, float]) -> bool:
        """Record the scores of a first stage; whether the point is worth the rest."""
        key = tuple(float(v) for v in x)
        worth = bool(self._optimizer.tell_subset(self._pending[key], y))
        if not worth:
            del self._pending[key]
        return worth

    def recommend(self) -> list[float]:
        """The evaluated point with the best posterior mean (the paper's preset: best observed)."""
        return self._point(self._optimizer.best_params)

    def _point(self, params: Mapping[str, float]) -> list[float]:
        return [float(params[name]) for name in self._names]

    def _parameters(self, point: Sequence[float]) -> dict[str, float]:
        return {name: float(v) for name, v in zip(self._names, point, strict=True)}
