"""Family `basin`: each task's loss is a quadratic basin in a space of weights, with a rotated
power-law Hessian, seen along the models' task vectors.

With w = sum_m x_m tau_m, and each H_m scaled so that the loss at w = 0 is 1:

    loss_m = floor_m + (w - target_m)' H_m (w - target_m) + quartic |w|^4
    margin_m = slope_m (middle_m - log loss_m)
"""

from __future__ import annotations

import numpy as np

from .examples import ExampleProblem
from .problem import Array


class Basin(ExampleProblem):
    """`harmful` models serve no task: their own task is best left where it is at w = 0."""

    def __init__(
        self, d: int, random: np.random.Generator, examples: int, harmful: int = 0
    ) -> None:
        self.name, self.d, self.tasks = f"basin-{d}", d, d
        size = 2 * d + 4
        lengths = random.uniform(0.7, 1.4, (d, 1))
        vectors = random.normal(size=(d, size)) + 0.5 * random.normal(size=size)
        self._vectors = lengths * vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        decay = random.uniform(0.7, 1.4)
        hessians, targets = [], []
        for vector in self._vectors:
            rotation = np.linalg.qr(random.normal(size=(size, size)))[0]
            hessian = (rotation * (1 + np.arange(size)) ** -decay) @ rotation.T
            # Training moved along directions that matter to the task: sharp along its own vector.
            hessian += 1.2 * np.outer(vector, vector) / (vector @ vector)
            target = random.uniform(0.6, 1.1) * vector
            target += 0.1 * random.normal(size=size) / np.sqrt(size)
            hessians.append(hessian / (target @ hessian @ target))
            targets.append(target)
        for model in random.choice(d, harmful, replace=False):
            hessians[model] = 0.4 * np.eye(size)
            targets[model] = np.zeros(size)
        self._hessians, self._targets = np.stack(hessians), np.stack(targets)
        self._floor = random.uniform(0.03, 0.1, d)
        self._quartic = random.uniform(0.05, 0.2)
        self._slope = random.uniform(1.5, 2.7, d)
        self._middle = random.uniform(-0.9, -0.2, d)
        self._draw(random, examples, classes=int(random.integers(2, 6)), spread=0.25)

    def margins(self, points: Array) -> Array:
        weights = points @ self._vectors
        away = weights[:, None] - self._targets
        loss = np.einsum("bmi,mij,bmj->bm", away, self._hessians, away) + self._floor
        loss += self._quartic * (weights**2).sum(1, keepdims=True) ** 2
        return self._slope * (self._middle - np.log(loss))
