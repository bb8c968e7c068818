"""Optuna's distributions as coordinates of the unit cube."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)


class Numeric:
    """A float or int, on a scale that may be logarithmic, with or without a step.

    A step's grid points stand in the middle of equal shares of [0, 1], as in Optuna's samplers.
    """

    width = 1

    def __init__(self, distribution: FloatDistribution | IntDistribution) -> None:
        self._log = distribution.log
        self._is_int = isinstance(distribution, IntDistribution)
        self._step = None if distribution.step is None else float(distribution.step)
        self._low, self._high = float(distribution.low), float(distribution.high)
        margin = 0.0 if self._step is None else self._step / 2
        ends = self._low - margin, self._high + margin
        self._from, self._to = map(math.log, ends) if self._log else ends

    def neighbours(self, value: Any) -> list[float | int]:
        """The values one step below and above, of a float or int with a step."""
        if self._step is None:
            return []
        near = [value - self._step, value + self._step]
        inside = [v for v in near if self._low - 1e-9 <= v <= self._high + 1e-9]
        return [round(v) if self._is_int else v for v in inside]

    def encoded(self, value: Any) -> list[float]:
        """Coordinates of a value."""
        place = math.log(value) if self._log else float(value)
        return [min(max((place - self._from) / (self._to - self._from), 0.0), 1.0)]

    def decoded(self, coordinates: Sequence[float]) -> float | int:
        """The value at coordinates."""
        place = self._from + coordinates[0] * (self._to - self._from)
        value = math.exp(place) if self._log else place
        if self._step is not None:
            value = self._low + round((value - self._low) / self._step) * self._step
        value = min(max(value, self._low), self._high)
        return round(value) if self._is_int else value


class Categorical:
    """A choice: one coordinate per choice (one in all for two), of which the largest wins."""

    def __init__(self, distribution: CategoricalDistribution) -> None:
        self._distribution = distribution
        self._choices = distribution.choices
        self.width = 1 if len(self._choices) == 2 else len(self._choices)

    def neighbours(self, value: Any) -> list[Any]:
        """Every other choice."""
        return [choice for choice in self._choices if choice is not value]

    def encoded(self, value: Any) -> list[float]:
        """Coordinates of a choice."""
        index = int(self._distribution.to_internal_repr(value))
        if self.width == 1:
            return [float(index)]
        return [float(place == index) for place in range(self.width)]

    def decoded(self, coordinates: Sequence[float]) -> Any:
        """The choice at coordinates."""
        if self.width == 1:
            return self._choices[int(coordinates[0] >= 0.5)]
        return self._choices[max(range(self.width), key=coordinates.__getitem__)]


class Space:
    """A search space as a cube."""

    def __init__(self, distributions: Mapping[str, BaseDistribution]) -> None:
        self._axes = {name: _axis(found) for name, found in distributions.items()}
        self.dimension = sum(axis.width for axis in self._axes.values())
        self.has_choices = any(isinstance(axis, Categorical) for axis in self._axes.values())

    def covers(self, params: Mapping[str, Any]) -> bool:
        """Whether ``params`` has a value for every axis."""
        return self._axes.keys() <= params.keys()

    def around(self, params: Mapping[str, Any], most: int) -> list[dict[str, Any]]:
        """``params``, its combinations with other choices, and the neighbours on the grid.

        At most ``most`` combinations of choices; beyond, one other choice at a time.
        """
        found = [dict(params)]
        for name, axis in self._axes.items():
            if isinstance(axis, Categorical):
                others = axis.neighbours(params[name])
                if len(found) * (1 + len(others)) <= most:
                    found += [{**one, name: other} for one in found for other in others]
                else:
                    found += [{**params, name: other} for other in others]
        for name, axis in self._axes.items():
            if isinstance(axis, Numeric):
                found += [{**params, name: other} for other in axis.neighbours(params[name])]
        return found

    def encoded(self, params: Mapping[str, Any]) -> list[float]:
        """The point of the cube of some values."""
        return [u for name, axis in self._axes.items() for u in axis.encoded(params[name])]

    def decoded(self, point: Sequence[float]) -> dict[str, Any]:
        """The values at a point of the cube."""
        found: dict[str, Any] = {}
        start = 0
        for name, axis in self._axes.items():
            found[name] = axis.decoded(point[start : start + axis.width])
            start += axis.width
        return found


def _axis(distribution: BaseDistribution) -> Numeric | Categorical:
    if isinstance(distribution, CategoricalDistribution):
        return Categorical(distribution)
    if isinstance(distribution, (FloatDistribution, IntDistribution)):
        return Numeric(distribution)
    raise TypeError(f"the sampler does not know the distribution {distribution!r}")
