"""What every problem of the benchmark offers: scores to maximise over the unit cube."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Aggregate = Literal["mean", "minimum", "geometric"]
AGGREGATES: tuple[Aggregate, ...] = get_args(Aggregate)

#: Scores below it count as it in a geometric mean, whose logarithm has to stay finite.
LEAST = 1e-9


def aggregate(scores: Array, how: Aggregate = "mean") -> Array:
    """One score per row of a (points, tasks) array."""
    if how == "minimum":
        return scores.min(1)
    if how == "geometric":
        return np.exp(np.log(np.maximum(scores, LEAST)).mean(1))
    return scores.mean(1)


class Problem(ABC):
    """A deterministic score over [0, 1]^d.

    `tasks` scores make one value. A merging-like problem scores `examples` examples per task; its
    true scores are those of all examples there could be. The others are known exactly.
    """

    name: str
    d: int
    tasks: int = 1
    #: Examples per task; 0 where the score is exact.
    examples: int = 0

    @property
    def merging(self) -> bool:
        return self.examples > 0

    @abstractmethod
    def task_scores(self, points: Array, examples: int | None = None) -> Array:
        """(points, tasks): the scores on the first `examples` examples of each task, or on all."""

    def true_task_scores(self, points: Array) -> Array:
        """(points, tasks): the scores on the population that the examples are drawn from."""
        return self.task_scores(points)

    def values(self, points: Array, how: Aggregate = "mean") -> Array:
        """What an optimiser sees, one value per point."""
        return aggregate(self.task_scores(np.atleast_2d(points)), how)

    def true_values(self, points: Array, how: Aggregate = "mean") -> Array:
        """What an optimiser should find, one value per point."""
        return aggregate(self.true_task_scores(np.atleast_2d(points)), how)
