"""The parts of speed: every method's time over that of moving the bytes that its plan counts."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from catalogue import MODELS, Called
from checkpoints import WEIGHTS
from factorised import ERROR, FORMULAS, Matrices, Sides
from inputs import MEDIUM, Inputs, files
from moving import Moving
from process import warm
from results import Results, alternated, median
from safetensors.torch import load_file
from triad import Triad

import dfmerge

BOUND_GOAL = 1.5

Weights = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Speed:
    """What the parts share."""

    folder: Path
    dtypes: list[str]
    threads: int
    repeats: int
    patience: int
    results: Results

    def turns(self, sides: dict[str, Callable[[], float]]) -> dict[str, list[float]]:
        """Run the sides in turn."""
        return alternated(sides, self.repeats, self.patience)

    def over_bound(self, method: Called, what: str, ratios: list[float], note: str) -> None:
        """Add a time over its bound; only element-wise methods have a goal."""
        goal = BOUND_GOAL if method.is_elementwise else None
        name = f"{method.name}, {what}: over bound"
        self.results.add(name, median(ratios), "x", at_most=goal, note=note)


def in_memory(speed: Speed, methods: list[Called]) -> None:
    """Merges in memory beside STREAM triad."""
    triad = Triad(speed.folder, speed.threads)
    for dtype in speed.dtypes:
        inputs = _read(files(speed.folder, MEDIUM, dtype, MODELS))
        out = {name: torch.zeros_like(value) for name, value in inputs.base.items()}
        for method in filter(_moves, methods):
            arguments = method.arguments(inputs) | {"out": out, "threads": speed.threads}
            plan = dfmerge.plan(**arguments, estimate=False)
            moved = plan["bytes_read"] + plan["bytes_written"]
            merge = partial(_seconds, arguments)
            found = speed.turns({"triad": triad.gigabytes_per_second, "merge": merge})
            ratios = [
                seconds * bandwidth * 1e9 / moved
                for seconds, bandwidth in zip(found["merge"], found["triad"], strict=True)
            ]
            note = (
                f"{median(found['merge']):.3f} s, {moved / 1e9:.2f} GB in {plan['passes']} "
                f"{'pass' if plan['passes'] == 1 else 'passes'}, "
                f"triad {median(found['triad']):.1f} GB/s"
            )
            speed.over_bound(method, f"in memory {dtype}", ratios, note)


def from_files(speed: Speed, methods: list[Called]) -> None:
    """Merges from files to files beside reading and writing as many bytes."""
    merged = speed.folder / "merged"
    for dtype in speed.dtypes:
        inputs = files(speed.folder, MEDIUM, dtype, MODELS)
        for path in (inputs.base, *inputs.models):
            warm(Path(path))
        for method in filter(_moves, methods):
            arguments = method.arguments(inputs)
            arguments |= {"out": str(merged), "threads": speed.threads, "progress": False}
            plan = _plan(arguments)
            used = [Path(p, WEIGHTS) for p in (arguments["base"], *arguments["models"]) if p]
            used += [Path(path) for path in arguments.get("fishers", [])]
            moving = Moving(
                used, plan["file_bytes_read"], speed.folder / "moved.partial",
                plan["bytes_written"], speed.threads,
            )  # fmt: skip
            merge = partial(_seconds, arguments)
            found = speed.turns({"moving": moving.seconds, "merge": merge})
            ratios = [a / b for a, b in zip(found["merge"], found["moving"], strict=True)]
            note = f"{median(found['merge']):.3f} s over {median(found['moving']):.3f} s"
            speed.over_bound(method, f"files {dtype}", ratios, note)
            shutil.rmtree(merged, ignore_errors=True)


def factorisations(speed: Speed, methods: list[Called]) -> None:
    """Methods that factorise beside the same formulas in torch."""
    names = {method.name for method in methods}
    matrices = Matrices()
    for name in sorted(FORMULAS.keys() & names):
        sides = Sides(name, matrices, speed.threads)
        found = speed.turns({"torch": sides.torch, "ours": sides.ours})
        if not sides.error() <= ERROR:
            raise SystemExit(f"{name} and torch differ by {sides.error():.2g}")
        theirs, ours = median(found["torch"]), median(found["ours"])
        note = f"{ours:.2f} s, torch {theirs:.2f} s; they differ by {sides.error():.1e}"
        speed.results.add(f"{name}: faster than torch", theirs / ours, "x", at_least=1, note=note)


def _moves(method: Called) -> bool:
    """Whether a method's time is compared with that of moving its bytes."""
    return not (method.factorises or method.for_adapters or method.data == "gram")


def _plan(arguments: dict[str, Any]) -> dfmerge.Plan:
    given = {name: value for name, value in arguments.items() if name != "progress"}
    return dfmerge.plan(**given, estimate=False)


def _read(paths: Inputs[str]) -> Inputs[Weights]:
    return Inputs(
        _loaded(Path(paths.base, WEIGHTS)),
        [_loaded(Path(path, WEIGHTS)) for path in paths.models],
        [_loaded(Path(path)) for path in paths.fishers],
    )


def _loaded(path: Path) -> Weights:
    # A copy: load_file maps the file.
    return {name: value.clone() for name, value in load_file(path).items()}


def _seconds(arguments: dict[str, Any]) -> float:
    start = time.perf_counter()
    dfmerge.merge(**arguments)
    return time.perf_counter() - start
