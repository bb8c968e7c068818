"""Every method of the library at its defaults: speed over the bound of its bytes, and memory.

    python Benchmarks/methods/run.py [--methods ties,sce] [--dtypes F32,BF16] [--parts memory,...]

A base and three models of 127 M parameters. The bound of a merge is the time of moving the bytes
that `dfmerge.plan` counts, all passes included: in memory at STREAM triad's bandwidth, from files
to files as long as reading and writing as many bytes takes, both measured in turns with the merge.
Peak memory is what the call takes beyond inputs and outputs, over what the plan predicts. Methods
that factorise stand beside the same formulas in torch instead. Writes a list of {"name", "value",
"unit", "goal", "meets"} to build/bench/methods.json.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

sys.path.append(str(Path(__file__).resolve().parent.parent / "merge"))

from catalogue import FACTORISED, MEDIUM, Called, called, files
from checkpoints import TINY, WEIGHTS
from factorised import ERROR, FORMULAS, Inputs, Sides
from moving import Moving
from process import run, warm
from results import PATIENCE, REPEATS, Results, alternated, machine, median
from triad import Triad

import dfmerge

HERE = Path(__file__).resolve().parent
BOUND_GOAL, MEMORY_GOAL = 1.5, 1.05
RUNNER, MEMORY_RUNNER = HERE.parent / "merge" / "dfmerge_run.py", HERE / "memory_run.py"


class Bench:
    """What the parts share."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given
        self.folder: Path = given.out.parent / "models"
        self.merged: Path = given.out.parent / "merged"
        self.results = Results(given.out)
        only = set(given.methods.split(",")) if given.methods else None
        self.methods = called(only)
        self.factorised = sorted(FORMULAS.keys() & {method.name for method in self.methods})

    def ratio(self, method: Called, what: str, ratios: list[float], note: str) -> None:
        """Add a time over its bound."""
        goal = BOUND_GOAL if method.is_elementwise else None
        self.results.add(f"{method.name}, {what}: over bound", median(ratios), "x", at_most=goal,
                         note=note)  # fmt: skip

    def turns(self, sides: dict[str, Callable[[], float]]) -> dict[str, list[float]]:
        """Run the sides in turn."""
        return alternated(sides, self.given.repeats, self.given.patience)


def in_memory(bench: Bench) -> None:
    """Merges in memory beside STREAM triad."""
    triad = Triad(bench.given.out.parent, bench.given.threads)
    for dtype in bench.given.dtypes.split(","):
        base, models, fishers = files(bench.folder, MEDIUM, dtype)
        loaded = [_loaded(Path(path, WEIGHTS)) for path in (base, *models)]
        values = [_loaded(Path(path)) for path in fishers]
        out = {name: torch.zeros_like(value) for name, value in loaded[0].items()}
        for method in bench.methods:
            if method.name in FACTORISED:
                continue
            arguments = method.arguments(loaded[0], loaded[1:], values)
            arguments |= {"out": out, "threads": bench.given.threads}
            plan = dfmerge.plan(**arguments)
            moved = plan["bytes_read"] + plan["bytes_written"]
            sides = {
                "triad": triad.gigabytes_per_second,
                "merge": lambda arguments=arguments: _seconds(arguments),
            }
            found = bench.turns(sides)
            ratios = [
                s * bandwidth * 1e9 / moved
                for s, bandwidth in zip(found["merge"], found["triad"], strict=True)
            ]
            note = (
                f"{median(found['merge']):.3f} s, {moved / 1e9:.2f} GB in {plan['passes']} "
                f"{'pass' if plan['passes'] == 1 else 'passes'}, triad "
                f"{median(found['triad']):.1f} GB/s"
            )
            bench.ratio(method, f"in memory {dtype}", ratios, note)


def from_files(bench: Bench) -> None:
    """Merges from files to files beside reading and writing as many bytes."""
    for dtype in bench.given.dtypes.split(","):
        base, models, fishers = files(bench.folder, MEDIUM, dtype)
        for path in (base, *models):
            warm(Path(path))
        for method in bench.methods:
            if method.name in FACTORISED:
                continue
            arguments = method.arguments(base, models, fishers)
            arguments |= {"out": str(bench.merged), "threads": bench.given.threads}
            plan = dfmerge.plan(**arguments)
            used = [Path(p, WEIGHTS) for p in (arguments["base"], *arguments["models"]) if p]
            used += [Path(p) for p in arguments.get("fishers", [])]
            moving = Moving(
                used, plan["file_bytes_read"], bench.folder / "moved.partial",
                plan["bytes_written"], bench.given.threads,
            )  # fmt: skip
            sides = {
                "moving": moving.seconds,
                "merge": lambda arguments=arguments: _seconds({**arguments, "progress": False}),
            }
            found = bench.turns(sides)
            ratios = [a / b for a, b in zip(found["merge"], found["moving"], strict=True)]
            note = f"{median(found['merge']):.3f} s over {median(found['moving']):.3f} s"
            bench.ratio(method, f"files {dtype}", ratios, note)
            shutil.rmtree(bench.merged, ignore_errors=True)


def peaks(bench: Bench) -> None:
    """Peak memory over the plan's, each in a process of its own."""
    for dtype in bench.given.dtypes.split(","):
        base, models, fishers = files(bench.folder, TINY, dtype)
        for method in bench.methods:
            if method.name in FACTORISED:
                # Vocabulary matrices take minutes to factorise, and the memory of any is like it.
                continue
            given = method.arguments(base, models, fishers) | {"threads": bench.given.threads}
            report = run([sys.executable, MEMORY_RUNNER, json.dumps(given)]).report
            _peak(bench, f"{method.name}, in memory {dtype}", report["peak"], report["predicted"])
            given["out"] = str(bench.merged)
            predicted = dfmerge.plan(**given)["peak_memory"]
            report = run([sys.executable, RUNNER, json.dumps(given)]).report
            _peak(bench, f"{method.name}, files {dtype}", report["peak"], predicted)
            shutil.rmtree(bench.merged, ignore_errors=True)


def factorisations(bench: Bench) -> None:
    """Methods that factorise beside torch, and their memory."""
    inputs = Inputs()
    folder = bench.folder / "matrices"
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, weights in enumerate((inputs.base, *inputs.models)):
        paths.append(str(folder / f"{number}.safetensors"))
        dfmerge.save(weights, paths[-1])
    for name in bench.factorised:
        sides = Sides(name, inputs, bench.given.threads)
        found = bench.turns({"torch": sides.torch, "ours": sides.ours})
        if not sides.error() <= ERROR:
            raise SystemExit(f"{name} and torch differ by {sides.error():.2g}")
        theirs, ours = median(found["torch"]), median(found["ours"])
        note = f"{ours:.2f} s, torch {theirs:.2f} s; they differ by {sides.error():.1e}"
        bench.results.add(f"{name}: faster than torch", theirs / ours, "x", at_least=1, note=note)
        given = {"base": paths[0], "models": paths[1:], "method": name,
                 "threads": bench.given.threads}  # fmt: skip
        report = run([sys.executable, MEMORY_RUNNER, json.dumps(given)]).report
        _peak(bench, f"{name}, in memory F32", report["peak"], report["predicted"])


def _peak(bench: Bench, name: str, measured: int, predicted: int) -> None:
    note = f"{measured / 1e6:.1f} of {predicted / 1e6:.1f} MB"
    bench.results.add(f"{name}: peak over plan", measured / predicted, "x", at_most=MEMORY_GOAL,
                      note=note)  # fmt: skip


def _loaded(path: Path) -> dict[str, torch.Tensor]:
    # A copy: load_file maps the file.
    return {name: value.clone() for name, value in load_file(path).items()}


def _seconds(arguments: dict[str, Any]) -> float:
    start = time.perf_counter()
    dfmerge.merge(**arguments)
    return time.perf_counter() - start


PARTS = {"memory": in_memory, "files": from_files, "peaks": peaks, "factorised": factorisations}


def main() -> int:
    """Print the table and write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--patience", type=int, default=PATIENCE, help="rounds per repeat, at most")
    parser.add_argument("--methods", help="only these, separated by commas")
    parser.add_argument("--dtypes", default="F32,BF16")
    parser.add_argument("--parts", default=",".join(PARTS), help=f"of {', '.join(PARTS)}")
    parser.add_argument("--out", type=Path, default=Path("build/bench/methods.json"))
    given = parser.parse_args()
    parts = given.parts.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no such parts: {sorted(unknown)}; there are {', '.join(PARTS)}")
    torch.set_num_threads(given.threads)
    bench = Bench(given)
    bench.results.heading(
        f"Defaults, 3 models of {MEDIUM.parameters / 1e6:.0f} M parameters, {given.threads} "
        f"threads, {machine()}"
    )
    bench.results.load("before")
    for part in parts:
        PARTS[part](bench)
    bench.results.load("after")
    return bench.results.finish()


if __name__ == "__main__":
    raise SystemExit(main())
