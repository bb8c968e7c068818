"""The rows that need no search: single models, average, task arithmetic, TIES, Fisher merging."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch
from bench import Bench
from fishers import measure
from model import Weights
from results import mean
from ties import ties_vector

import dfmerge

LAMBDAS = tuple(round(0.1 * i, 1) for i in range(1, 11))
TIES_LAMBDAS = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0)
FISHER_DRAWS = (0, 1, 2)
FISHER_SAMPLES = 30
# The paper's epsilon, here as the smallest Fisher value of every model.
FISHER_FLOOR = 1e-12


def pretrained(bench: Bench) -> None:
    """The base without any fine-tuning."""
    bench.record("pretrained", bench.base)


def individual(bench: Bench) -> None:
    """Each task by its own fine-tuned model: what merging could reach at best."""
    own: dict[str, dict[str, float]] = {"val": {}, "test": {}}
    for name, task in bench.tasks.items():
        bench.module.load_state_dict(bench.models[name])
        for split, scores in own.items():
            scores[name] = task.accuracy(bench.module, split)
    bench.results.put("individual", own["val"], own["test"])


def average(bench: Bench) -> None:
    """The plain mean of the models."""
    bench.record("average", _tensors(dfmerge.merge(None, bench.models, method="average")))


def task_arithmetic(bench: Bench) -> None:
    """One coefficient for all models, the best of ten on validation."""

    def merged(coefficient: float) -> Weights:
        return _tensors(
            dfmerge.merge(
                bench.base,
                bench.models,
                method="task_arithmetic",
                options={"coefficients": coefficient},
            )
        )

    _grid(bench, "task_arithmetic", LAMBDAS, merged)


def ties(bench: Bench) -> None:
    """TIES with 20 % kept, the best scale of eight on validation."""
    vector = ties_vector(bench.base, bench.models)

    def merged(scale: float) -> Weights:
        return {name: torch.add(b, vector[name], alpha=scale) for name, b in bench.base.items()}

    _grid(bench, "ties", TIES_LAMBDAS, merged)


def fisher(bench: Bench) -> None:
    """Fisher merging with equal weights, once per draw of the Fisher's samples."""
    for draw in FISHER_DRAWS:
        key = f"fisher/{draw}"
        if key in bench.results:
            continue
        start = time.perf_counter()
        fishers = measure(bench, FISHER_SAMPLES, draw)
        seconds = time.perf_counter() - start
        merged = dfmerge.merge(
            None,
            bench.models,
            method="fisher",
            fishers=fishers,
            options={"normalize": False, "floor": FISHER_FLOOR, "floor_scope": "all"},
        )
        bench.record(key, _tensors(merged), seconds={"fisher": seconds})


def _grid(
    bench: Bench, key: str, coefficients: Sequence[float], merged: Callable[[float], Weights]
) -> None:
    trace = [[c, mean(bench.score(merged(c), "val"))] for c in coefficients]
    best = max(trace, key=lambda point: point[1])[0]
    bench.record(key, merged(best), best=best, trace=trace)


def _tensors(weights: dict[str, object]) -> Weights:
    return {name: torch.as_tensor(value) for name, value in weights.items()}


BASELINES: dict[str, Callable[[Bench], None]] = {
    "pretrained": pretrained,
    "individual": individual,
    "average": average,
    "task_arithmetic": task_arithmetic,
    "ties": ties,
    "fisher": fisher,
}
