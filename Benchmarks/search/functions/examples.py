"""Accuracies made of examples: each has a difficulty, and the merged model a margin per task."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from .problem import Array, Problem

#: Margin below which a model has collapsed and answers whatever it answers.
COLLAPSE = -1.5
#: Nodes of the quadrature over the examples' sensitivities.
NODES = 24
#: Elements of a temporary array, at most.
BATCH = 4_000_000


@dataclass(frozen=True)
class Examples:
    """One task's examples."""

    difficulty: Array
    #: (examples, d): how the coefficients move this example's margin besides the task's.
    sensitivity: Array
    #: Labelled wrongly: a good model's answer does not count.
    mislabelled: np.ndarray
    #: A collapsed model's answer happens to be right.
    lucky: np.ndarray


class ExampleProblem(Problem):
    """Example i of task m is right where margin_m(x) + s_mi . x > t_mi, s normal, t logistic.

    Labels are wrong at the task's rate. Below the margin COLLAPSE one answer in `classes` is right.
    """

    def _draw(
        self, random: np.random.Generator, examples: int, classes: int, spread: float
    ) -> None:
        self.examples, self._classes, self._spread = examples, classes, spread
        self._ceiling = random.uniform(0.87, 0.99, self.tasks)
        self._examples = [
            Examples(
                random.logistic(size=examples),
                random.normal(0, spread, (examples, self.d)),
                random.random(examples) > ceiling,
                random.random(examples) < 1 / classes,
            )
            for ceiling in self._ceiling
        ]

    @abstractmethod
    def margins(self, points: Array) -> Array:
        """(points, tasks): the margin of the merged model at each point on each task."""

    def task_scores(self, points: Array, examples: int | None = None) -> Array:
        points = np.atleast_2d(points)
        count = self.examples if examples is None else examples
        step = max(1, BATCH // count)
        return np.concatenate(
            [self._scores(points[k : k + step], count) for k in range(0, len(points), step)]
        )

    def _scores(self, points: Array, count: int) -> Array:
        margins = self.margins(points)
        columns = []
        for margin, task in zip(margins.T, self._examples, strict=True):
            own = margin[:, None] + points @ task.sensitivity[:count].T - task.difficulty[:count]
            right = (own > 0) & ~task.mislabelled[:count]
            right |= (own < COLLAPSE) & task.lucky[:count]
            columns.append(right.mean(1))
        return np.stack(columns, 1)

    def true_task_scores(self, points: Array) -> Array:
        points = np.atleast_2d(points)
        # s . x is normal with deviation spread |x|; the logistic difficulty integrates to a
        # sigmoid.
        nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
        weights = weights / weights.sum()
        lengths = self._spread * np.linalg.norm(points, axis=1)
        own = self.margins(points)[:, :, None] + lengths[:, None, None] * nodes
        # tanh does not overflow where the exponential of a collapsed model's margin does.
        above = (0.5 * (1 + np.tanh(0.5 * own))) @ weights
        below = (0.5 * (1 + np.tanh(0.5 * (COLLAPSE - own)))) @ weights
        return self._ceiling * above + below / self._classes


def softplus(x: Array) -> Array:
    """log(1 + e^x)."""
    return np.logaddexp(0.0, x)
