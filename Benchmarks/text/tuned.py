"""Merges by any method of the library: tuned on validation, scored on test, with their cost."""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import torch
from bench import Bench
from catalogue import PER_TASK, TUNED, Tuned
from data import collate
from finetune import load
from model import Weights
from process import run
from results import mean

import dfmerge
import dfmerge.torch

RUNNER = Path(__file__).resolve().parent.parent / "merge" / "dfmerge_run.py"
#: Training texts of a task, without their labels, behind its Gram matrices.
GRAM_TEXTS, GRAM_BATCH = 256, 32


def available() -> list[str]:
    """The methods of the catalogue that this library has."""
    have = {method["id"] for method in dfmerge.methods()}
    return [name for name in (*TUNED, *PER_TASK) if name in have]


def tuned(bench: Bench, name: str) -> None:
    """Choose the option on validation, then score the chosen merge."""
    if name in PER_TASK:
        _per_task(bench, name)
        return
    method = TUNED[name]
    start = time.perf_counter()
    given: dict[str, Any] = {"grams": _grams(bench)} if method.grams else {}
    trace = _trace(bench, name, method, given) if method.option else []
    options = dict(method.options)
    details: dict[str, Any] = {"evaluations": len(trace)}
    if trace:
        # The first of equal scores.
        best = max(trace, key=lambda point: point[1])[0]
        options[method.option] = best
        details |= {"best": best, "trace": trace}
    seconds = time.perf_counter() - start
    merged = dfmerge.merge(bench.base, bench.models, name, options=options, **given)
    bench.record(
        name, _tensors(merged), seconds=seconds, cost=cost(bench, name, options, given), **details
    )


def _trace(
    bench: Bench, name: str, method: Tuned, given: dict[str, Any]
) -> list[tuple[float, float]]:
    """The values of the grid that were tried, in its order, with their validation scores.

    Over a grid the score has one top, or nearly so: it is looked for in wide steps first, then
    around the best so far in steps of half the width, a value at a time in the end.
    """
    candidates = Candidates(bench, name, method, given)
    step = 1
    while 4 * step <= len(method.grid):
        step *= 2
    scores = {place: candidates.score(place) for place in range(0, len(method.grid), step)}
    while step > 1:
        step //= 2
        best = max(scores, key=lambda place: scores[place])
        for place in (best - step, best + step):
            if 0 <= place < len(method.grid) and place not in scores:
                scores[place] = candidates.score(place)
    return [(method.grid[place], scores[place]) for place in sorted(scores)]


class Candidates:
    """A method's merges at the values of its grid."""

    def __init__(self, bench: Bench, name: str, method: Tuned, given: dict[str, Any]) -> None:
        self._bench, self._name, self._method, self._given = bench, name, method, given
        self._change: Weights = {}
        if method.proportional:
            unit = self._merged(1.0)
            self._change = {name: unit[name] - base for name, base in bench.base.items()}

    def score(self, place: int) -> float:
        """The mean validation score at a value."""
        value, base = self._method.grid[place], self._bench.base
        candidate = (
            {name: torch.add(b, self._change[name], alpha=value) for name, b in base.items()}
            if self._change
            else self._merged(value)
        )
        return mean(self._bench.score(candidate, "val"))

    def _merged(self, value: float) -> Weights:
        options = {**self._method.options, self._method.option: value}
        return _tensors(
            dfmerge.merge(
                self._bench.base, self._bench.models, self._name, options=options, **self._given
            )
        )


def cost(
    bench: Bench, name: str, options: dict[str, Any], given: dict[str, Any] | None = None
) -> dict[str, float]:
    """Seconds and peak of private memory of one merge from files to files, in its own process."""
    out = bench.cache / "merged" / "cost.safetensors"
    out.parent.mkdir(parents=True, exist_ok=True)
    arguments: dict[str, Any] = {
        "base": str(bench.base_path),
        "models": {task: str(path) for task, path in bench.model_paths.items()},
        "method": name,
        "options": options,
        "out": str(out),
    }
    folder = bench.cache / "grams"
    if given:
        folder.mkdir(parents=True, exist_ok=True)
        for task, gram in given["grams"].items():
            dfmerge.save(gram, folder / f"{task}.safetensors")
        arguments["grams"] = {task: str(folder / f"{task}.safetensors") for task in given["grams"]}
    report = run([sys.executable, RUNNER, json.dumps(arguments)]).report
    out.unlink()
    shutil.rmtree(folder, ignore_errors=True)
    return {"seconds": report["seconds"], "peak": report["peak"]}


def _per_task(bench: Bench, name: str) -> None:
    """Score each task by the model that the method makes for it."""
    own: dict[str, dict[str, float]] = {"val": {}, "test": {}}
    start = time.perf_counter()
    for task, texts in bench.tasks.items():
        merged = dfmerge.merge(bench.base, bench.models, name, options={"task": task})
        bench.module.load_state_dict(_tensors(merged))
        for split, scores in own.items():
            scores[task] = texts.accuracy(bench.module, split)
    seconds = time.perf_counter() - start
    measured = cost(bench, name, {"task": next(iter(bench.tasks))})
    bench.results.put(name, own["val"], own["test"], evaluations=0, seconds=seconds, cost=measured)


def _grams(bench: Bench) -> dict[str, Weights]:
    """The Gram matrices of every fine-tuned model on its own task's texts."""
    found: dict[str, Weights] = {}
    for task, path in bench.model_paths.items():
        bench.module.load_state_dict(load(path))
        rows = bench.tasks[task].rows["train"][:GRAM_TEXTS]
        batches = [collate(rows[i : i + GRAM_BATCH]) for i in range(0, len(rows), GRAM_BATCH)]
        found[task] = dfmerge.torch.gram(
            bench.module,
            batches,
            forward=lambda module, batch: module(batch.ids, batch.mask, batch.types),
            mask=lambda batch: batch.mask,
        )
    return found


def _tensors(weights: dict[str, object]) -> Weights:
    return {name: torch.as_tensor(value) for name, value in weights.items()}
