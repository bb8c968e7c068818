"""The dimensions of a search as its charts and tables name them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: A chart with a row or curve per dimension shows this many at most, the most important ones.
SHOWN_AXES = 12


@dataclass(frozen=True)
class Axis:
    """One dimension: a model's coefficient, in a group of tensors where there are several."""

    name: str
    model: str | None = None
    group: str | None = None

    def of(self, point: Mapping[str, Any]) -> float | None:
        """The value of a trial, or of the best point, in this dimension."""
        if self.model is None:
            value = point.get("exponent")
        else:
            value = point["coefficients"].get(self.model)
            if isinstance(value, Mapping):
                value = value.get(self.group)
        return None if value is None else float(value)


def groups_of(result: Mapping[str, Any]) -> list[str]:
    """Names of the groups of tensors; empty where they share their coefficients."""
    return [str(group["name"]) for group in result.get("groups") or []]


def parameters_of(result: Mapping[str, Any]) -> list[str]:
    """What has coefficients: the models, or the options of another method."""
    return [str(name) for name in result.get("parameters") or result["models"]]


def axes_of(result: Mapping[str, Any]) -> list[Axis]:
    """The search's dimensions: coefficients, and the exponent where it was searched."""
    groups = groups_of(result)
    axes = [
        Axis(f"{model} · {group}", model, group) if group else Axis(model, model)
        for model in parameters_of(result)
        for group in groups or [""]
    ]
    exponents = {trial.get("exponent") for trial in result["trials"]} - {None}
    return [*axes, Axis("exponent")] if len(exponents) > 1 else axes


def interval_of(axis: Axis, result: Mapping[str, Any]) -> tuple[float, float] | None:
    """The interval in which a dimension was searched; None where the result does not say."""
    options = result.get("options") or {}
    if axis.model is None:
        return 0.0, 1.0
    if found := (result.get("intervals") or {}).get(axis.model):
        return float(found[0]), float(found[1])
    for parameter in options.get("parameters") or []:
        if parameter["name"] == axis.model:
            return float(parameter["low"]), float(parameter["high"])
    bounds = options.get("bounds")
    if isinstance(bounds, Mapping):
        bounds = bounds.get(axis.model)
    return None if bounds is None else (float(bounds[0]), float(bounds[1]))


def shown_axes(result: Mapping[str, Any]) -> list[Axis]:
    """The dimensions that a chart has room for: all, or the most important ones in their order."""
    axes = axes_of(result)
    weights = result.get("importance") or {}
    if result.get("soup"):
        weights = (result.get("best") or {}).get("coefficients") or {}
    ranked = sorted(axes, key=lambda axis: -float(weights.get(axis.name, 0.0)))
    kept = {axis.name for axis in ranked[:SHOWN_AXES]}
    return [axis for axis in axes if axis.name in kept]


def room_note(result: Mapping[str, Any]) -> str:
    """A sentence for captions where not every dimension is shown."""
    count = len(axes_of(result))
    if count <= SHOWN_AXES:
        return ""
    if result.get("soup"):
        return f" Shown are {SHOWN_AXES} of {count} models, those of the soup first."
    return f" Shown are the {SHOWN_AXES} most important of {count} dimensions."
