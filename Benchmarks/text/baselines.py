"""The rows with programs of their own: the base, single models, Fisher merging."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from bench import Bench
from fishers import measure
from model import Weights

import dfmerge

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


def _tensors(weights: dict[str, object]) -> Weights:
    return {name: torch.as_tensor(value) for name, value in weights.items()}


BASELINES: dict[str, Callable[[Bench], None]] = {
    "pretrained": pretrained,
    "individual": individual,
    "fisher": fisher,
}
