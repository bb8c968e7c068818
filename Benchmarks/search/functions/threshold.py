"""Family `threshold`: tasks that gain from their own model, help or disturb each other, and a
radius beyond which the merged model collapses.

With r(x) the length of sum_m x_m tau_m, c_mj the cosine of tau_m and tau_j:

    margin_m = low_m + rise_m x_m (1 + h_m) / (x_m + h_m)                  own model, saturating
             + sum_j [help c_mj x_j - clash_mj (1 - c_mj) x_j^2 - drag_mj x_j x_m]      the others
             - steep_m softplus((r - R) / width)                                        collapse
"""

from __future__ import annotations

import numpy as np

from .examples import ExampleProblem, softplus
from .problem import Array


class Threshold(ExampleProblem):
    """`useless` models gain nothing for their task: the optimum lies on a face of the cube."""

    def __init__(
        self, d: int, random: np.random.Generator, examples: int, useless: int = 0
    ) -> None:
        self.name, self.d, self.tasks = f"threshold-{d}", d, d
        lengths = np.exp(random.uniform(np.log(0.6), np.log(1.6), d))
        common = random.normal(size=3 * d)
        vectors = random.normal(size=(d, 3 * d)) + 0.6 * common
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        cosines = vectors @ vectors.T
        self._gram = cosines * np.outer(lengths, lengths)
        self._low = random.uniform(-1.4, 0.4, d)
        self._rise = random.uniform(2.2, 4.2, d)
        self._half = random.uniform(0.12, 0.6, d)
        # One model's influence on the others falls with their number; what they do together stays.
        others = (1 - np.eye(d)) / max(1, d - 1)
        self._help = 1.5 * cosines * others
        self._clash = random.gamma(2, 1.6, (d, d)) * (1 - cosines) * others * lengths**2
        self._drag = random.gamma(2, 0.8, (d, d)) * others
        for model in random.choice(d, useless, replace=False):
            self._rise[model] = 0.0
            self._low[model] = 0.8
            self._help[:, model] = 0.0
        corner = np.sqrt(self._gram.sum())
        self._radius = random.uniform(0.45, 0.75) * corner
        self._width = random.uniform(0.03, 0.08) * corner
        self._steep = random.uniform(0.8, 1.8, d)
        self._draw(random, examples, classes=int(random.integers(2, 6)), spread=0.35)

    def margins(self, points: Array) -> Array:
        own = self._rise * points * (1 + self._half) / (points + self._half)
        others = points @ self._help.T - points**2 @ self._clash.T
        others -= points * (points @ self._drag.T)
        radii = np.sqrt(np.einsum("bi,ij,bj->b", points, self._gram, points))
        collapse = softplus((radii - self._radius) / self._width)
        return self._low + own + others - collapse[:, None] * self._steep
