"""Standard test functions of global optimisation, negated where they are minimised.

Definitions and domains: Surjanovic and Bingham, "Virtual Library of Simulation Experiments".
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .problem import Array, Problem


class Classic(Problem):
    """A formula over a box that the unit cube is stretched to."""

    def __init__(
        self,
        name: str,
        d: int,
        low: float | list[float],
        high: float | list[float],
        formula: Callable[[Array], Array],
        best: list[float] | None = None,
    ) -> None:
        self.name, self.d = name, d
        self._low, self._span = np.asarray(low, float), np.subtract(high, low)
        self._formula = formula
        #: The maximum's place in the unit cube, where the formula tells it.
        self.best = None if best is None else (np.asarray(best) - self._low) / self._span

    def task_scores(self, points: Array, examples: int | None = None) -> Array:
        return self._formula(self._low + np.atleast_2d(points) * self._span)[:, None]


def _branin(u: Array) -> Array:
    x, y = u.T
    curve = y - 5.1 / (4 * np.pi**2) * x**2 + 5 / np.pi * x - 6
    return -(curve**2 + 10 * (1 - 1 / (8 * np.pi)) * np.cos(x) + 10)


_HEIGHTS = np.array([1.0, 1.2, 3.0, 3.2])
_SHARPNESS_3 = np.array([[3, 10, 30], [0.1, 10, 35], [3, 10, 30], [0.1, 10, 35]])
_CENTRES_3 = 1e-4 * np.array(
    [[3689, 1170, 2673], [4699, 4387, 7470], [1091, 8732, 5547], [381, 5743, 8828]]
)
_SHARPNESS_6 = np.array(
    [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ]
)
_CENTRES_6 = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def _hartmann(sharpness: Array, centres: Array) -> Callable[[Array], Array]:
    def formula(u: Array) -> Array:
        distances = (sharpness * (u[:, None] - centres) ** 2).sum(-1)
        return np.exp(-distances) @ _HEIGHTS

    return formula


def _ackley(centre: Array) -> Callable[[Array], Array]:
    def formula(u: Array) -> Array:
        v = u - centre
        bowl = 20 * np.exp(-0.2 * np.sqrt((v**2).mean(1)))
        return bowl + np.exp(np.cos(2 * np.pi * v).mean(1)) - 20 - np.e

    return formula


def _levy(u: Array) -> Array:
    w = 1 + (u - 1) / 4
    inner = (w[:, :-1] - 1) ** 2 * (1 + 10 * np.sin(np.pi * w[:, :-1] + 1) ** 2)
    last = (w[:, -1] - 1) ** 2 * (1 + np.sin(2 * np.pi * w[:, -1]) ** 2)
    return -(np.sin(np.pi * w[:, 0]) ** 2 + inner.sum(1) + last)


def _rosenbrock(u: Array) -> Array:
    return -(100 * (u[:, 1:] - u[:, :-1] ** 2) ** 2 + (1 - u[:, :-1]) ** 2).sum(1)


def classics(random: np.random.Generator) -> list[Problem]:
    """The six classics; the generator places Ackley's optimum, which else is the cube's centre."""
    centre = random.uniform(-7, 7, 5)
    return [
        Classic("branin-2", 2, [-5, 0], [10, 15], _branin, [np.pi, 2.275]),
        Classic("hartmann-3", 3, 0, 1, _hartmann(_SHARPNESS_3, _CENTRES_3)),
        Classic("hartmann-6", 6, 0, 1, _hartmann(_SHARPNESS_6, _CENTRES_6)),
        Classic("ackley-5", 5, -10, 10, _ackley(centre), centre.tolist()),
        Classic("levy-4", 4, -10, 10, _levy, [1.0] * 4),
        Classic("rosenbrock-4", 4, -2.048, 2.048, _rosenbrock, [1.0] * 4),
    ]
