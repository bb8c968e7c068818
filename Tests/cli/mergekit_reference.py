"""What mergekit computes, written from its documentation's formulas in float64, for the tests.

Shares nothing with the program: settings are looked up as mergekit says, tensor by tensor.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from checkpoints import LAYERS, State

Setting = Any


def place(name: str) -> float:
    """How far through the layers a tensor is."""
    found = re.search(r"\.(\d+)\.", name)
    return int(found.group(1)) / (LAYERS - 1) if found else 0.0


def value(setting: Setting, name: str) -> float | None:
    """A number, a gradient over the layers, or the first entry whose filter is in the name."""
    if isinstance(setting, list) and setting and isinstance(setting[0], dict):
        for entry in setting:
            if entry.get("filter", "*") == "*" or entry["filter"] in name:
                return value(entry["value"], name)
        return None
    if isinstance(setting, list):
        at = place(name) * (len(setting) - 1)
        return float(np.interp(at, range(len(setting)), setting))
    return float(setting)


class Lookup:
    """A model's own parameters, then the configuration's, then the default."""

    def __init__(self, own: dict[str, Setting], common: dict[str, Setting]) -> None:
        self.levels = [own, common]

    def __call__(self, parameter: str, name: str, default: float = 0.0) -> float:
        for level in self.levels:
            if parameter in level:
                found = value(level[parameter], name)
                if found is not None:
                    return found
        return default


def trimmed(delta: np.ndarray, density: float) -> np.ndarray:
    """The largest `density` share of the magnitudes, an exact number of them."""
    if density >= 1:
        return delta
    kept = int(density * delta.size)
    order = np.argsort(-np.abs(delta), axis=None, kind="stable")[:kept]
    mask = np.zeros(delta.size)
    mask[order] = 1
    return delta * mask.reshape(delta.shape)


def elected(weighted: list[np.ndarray], weights: list[float], normalize: bool) -> np.ndarray:
    """The sum over the models that agree with the sign of the sum, ties being positive."""
    total = np.sum(weighted, axis=0)
    sign = np.where(total >= 0, 1.0, -1.0)
    masks = [(np.sign(delta) == sign).astype(float) for delta in weighted]
    mixed = np.sum([delta * mask for delta, mask in zip(weighted, masks, strict=True)], axis=0)
    if normalize:
        divisor = np.sum(
            [weight * mask for weight, mask in zip(weights, masks, strict=True)], axis=0
        )
        mixed = mixed / np.where(divisor == 0, 1, divisor)
    return np.asarray(mixed)


def merged(config: dict[str, Any], states: dict[str, State]) -> State:
    """A configuration in the models form, applied."""
    method = config["merge_method"]
    common = config.get("parameters", {})
    base_name = config.get("base_model")
    models = [
        entry for entry in config["models"] if entry["model"] != base_name or method == "linear"
    ]
    lookups = [Lookup(entry.get("parameters", {}), common) for entry in models]
    whole = Lookup({}, common)
    result: State = {}
    reference = states[base_name or models[0]["model"]]
    for name, like in reference.items():
        if like.dtype == np.int64:
            result[name] = like
            continue
        tensors = [states[entry["model"]][name].astype(np.float64) for entry in models]
        weights = [lookup("weight", name) for lookup in lookups]
        if method == "linear":
            total = np.sum([w * t for w, t in zip(weights, tensors, strict=True)], axis=0)
            result[name] = total / sum(weights) if whole("normalize", name, 1) else total
            continue
        base = like.astype(np.float64)
        # The differences of two F32 numbers, exact.
        deltas = [tensor - base for tensor in tensors]
        if method == "ties":
            deltas = [
                trimmed(delta, lookup("density", name, 1))
                for delta, lookup in zip(deltas, lookups, strict=True)
            ]
        weighted = [w * d for w, d in zip(weights, deltas, strict=True)]
        if method == "task_arithmetic":
            mixed = np.sum(weighted, axis=0)
            if whole("normalize", name, 0):
                mixed = mixed / sum(weights)
        else:
            normalize = bool(whole("normalize", name, 1 if method == "ties" else 0))
            mixed = elected(weighted, weights, normalize)
        result[name] = base + whole("lambda", name, 1) * mixed
    return result
