"""A search's merge step on T5-base with six models, against torch.

    python Benchmarks/merge/step.py [--threads 2] [--layers 12] [--out FILE]

F32, 223 M parameters: base, models and Fisher values are 11.6 GB. The sides run in turn in one
process; figures are medians. The peak of the memory beyond inputs and target is taken in a process
of its own for each side. Where the machine has less memory free than that takes, fewer layers are
used, and the table says so. Writes a list of {"name", "value", "unit", "goal", "meets"}.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from process import status
from results import PATIENCE, REPEATS, Results, alternated, machine, median
from step_sides import PIECE, Authors, DFMerge, InPlace
from t5 import LAYERS, MODELS, Inputs, shapes

SIDES = ("dfmerge", "authors", "in place", "in place by pieces")
#: How many times faster we are to be; the last side is there for what memory allows.
SPEED_GOALS = {"authors": 6.0, "in place": 2.0, "in place by pieces": None}
MEMORY_GOAL = 3.0
#: Whole models that the authors' way holds at its peak beyond inputs and target, and spare memory.
AUTHORS_MODELS, SPARE = 6, 2 << 30
ERROR = 1e-4


def make(side: str, inputs: Inputs, threads: int) -> DFMerge | Authors | InPlace:
    """One of the sides."""
    if side == "dfmerge":
        return DFMerge(inputs, threads)
    if side == "authors":
        return Authors(inputs)
    return InPlace(inputs, PIECE if side == "in place by pieces" else None)


def check(side: str, inputs: Inputs) -> None:
    """Compare the target with the formula in float64, at the start of each tensor."""
    for name, found in inputs.target.items():
        theta0 = inputs.base[name].view(-1)[:4096].double()
        top, bottom = torch.zeros_like(theta0), torch.zeros_like(theta0)
        for model, fisher, c in zip(
            inputs.models, inputs.fishers, inputs.coefficients, strict=True
        ):
            weight = fisher[name].view(-1)[:4096].double()
            top += weight * c * (model[name].view(-1)[:4096].double() - theta0)
            bottom += weight
        expected = theta0 + len(inputs.models) * top / bottom
        error = (found.view(-1)[:4096].double() - expected).abs().max().item()
        if not error <= ERROR:
            raise SystemExit(f"{side} is off by {error} in {name}")


def timed(
    side: str, inputs: Inputs, threads: int
) -> tuple[Callable[[], float], Callable[[], float]]:
    """The whole step and the merge alone; each gives its seconds."""
    made = make(side, inputs, threads)

    def run(scaled: bool) -> float:
        if isinstance(made, Authors):
            made.before()
        start = time.perf_counter()
        made.run(scaled)
        seconds = time.perf_counter() - start
        if isinstance(made, Authors):
            made.after()
        check(side, inputs)
        return seconds

    return (lambda: run(True)), (lambda: run(False))


def peak(side: str, layers: int, threads: int) -> int:
    """Growth of resident memory during a step, in bytes, in this process."""
    inputs = Inputs(layers)
    made = make(side, inputs, threads)
    if isinstance(made, Authors):
        made.before()
    before = status("VmRSS")
    # 5 sets the high-water mark back to what is resident now.
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    made.run(True)
    return max(0, status("VmHWM") - before)


def fitting_layers(wanted: int) -> int:
    """As many layers, up to `wanted`, as the memory that is free now has room for."""
    text = Path("/proc/meminfo").read_text(encoding="ascii")
    free = next(int(line.split()[1]) for line in text.splitlines() if "MemAvailable" in line) * 1024
    for layers in range(wanted, 0, -1):
        model = 4 * sum(math.prod(shape) for shape in shapes(layers).values())
        if (2 + 2 * MODELS + AUTHORS_MODELS) * model + SPARE <= free:
            return layers
    raise SystemExit(f"{free >> 30} GiB of free memory are too few for the smallest step")


def add_speed(results: Results, what: str, found: dict[str, list[float]], goals: bool) -> None:
    """Add the seconds of each side, and how many times faster we are."""
    for side, seconds in found.items():
        results.add(f"{what}: {side}", median(seconds), "s")
    for side, goal in SPEED_GOALS.items():
        ratio = median(found[side]) / median(found["dfmerge"])
        results.add(f"{what}: faster than {side}", ratio, "x", at_least=goal if goals else None)


def main() -> int:
    """Print the table and write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--patience", type=int, default=PATIENCE, help="rounds per repeat, at most")
    parser.add_argument("--layers", type=int, default=LAYERS)
    parser.add_argument("--peak", choices=SIDES, help="measure this side's peak memory only")
    parser.add_argument("--out", type=Path, default=Path("build/bench/merge-step.json"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.peak:
        print(json.dumps(peak(arguments.peak, arguments.layers, arguments.threads)))
        return 0
    results = Results(arguments.out)
    layers = fitting_layers(arguments.layers)
    results.heading(f"Merge step, {MODELS} models F32, {arguments.threads} threads, {machine()}")
    results.load("before")
    fewer = layers < arguments.layers
    note = f"not {arguments.layers}: more does not fit in memory" if fewer else None
    results.add("layers in encoder and decoder each", layers, "", note=note)
    peaks = {}
    for side in SIDES:
        command = [sys.executable, __file__, "--peak", side, "--layers", str(layers)]
        command += ["--threads", str(arguments.threads)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        peaks[side] = json.loads(done.stdout.splitlines()[-1])
        results.add(f"peak beyond inputs and target: {side}", peaks[side] / 1e6, "MB")
    for side in SIDES[1:]:
        ratio = peaks[side] / max(peaks["dfmerge"], 1)
        goal = MEMORY_GOAL if side == "authors" else None
        results.add(f"peak: {side} over dfmerge", ratio, "x", at_least=goal)
    inputs = Inputs(layers)
    results.add("parameters of a model", inputs.parameters / 1e6, "M")
    sides = {side: timed(side, inputs, arguments.threads) for side in SIDES}
    often = (arguments.repeats, arguments.patience)
    whole = alternated({side: runs[0] for side, runs in sides.items()}, *often)
    add_speed(results, "whole step", whole, goals=True)
    alone = alternated({side: runs[1] for side, runs in sides.items()}, *often)
    add_speed(results, "merge alone, Fisher values known", alone, goals=False)
    results.load("after")
    return results.finish()


if __name__ == "__main__":
    raise SystemExit(main())
