"""Bandwidth of merges in memory, as a share of STREAM triad's in the same run.

    python Benchmarks/merge/in_memory.py [--threads 2] [--level 2] [--out FILE]

The bytes of a merge are those of every input once and of the output once. Each repeat runs triad
and then the merge, on arrays of eight times the last-level cache; figures are medians. The rows are
measured again at DFMERGE_CPU_LEVEL=2 (the instructions that every x86-64 has) in a process of its
own, with half of the goals. Writes a list of {"name", "value", "unit", "goal", "meets"}.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from cases import ACCUMULATE, ACCUMULATE_GOAL, CASES, Accumulated, Timed
from results import PATIENCE, REPEATS, Results, alternated, machine, median
from triad import Triad, cache_bytes

#: Share of a row's goal that the lowest CPU level has to reach.
BASELINE_SHARE = 0.5


def measure(results: Results, given: argparse.Namespace, level: str) -> None:
    """Add the rows of one CPU level."""
    threads = given.threads
    triad = Triad(results.path.parent, threads)
    # The smallest element has two bytes: every array is four times the cache or larger.
    count = max(2 * cache_bytes(), 64 << 20)
    suffix = f", level {level}" if level else ""
    share = BASELINE_SHARE if level == "2" else 1.0
    stream: list[float] = []

    def add(name: str, goal: float | None, run: Callable[[], float]) -> None:
        sides = {"triad": triad.gigabytes_per_second, "merge": run}
        found = alternated(sides, given.repeats, given.patience)
        stream.extend(found["triad"])
        ratios = [m / t for m, t in zip(found["merge"], found["triad"], strict=True)]
        results.add(name + suffix, median(found["merge"]), "GB/s")
        results.add(
            f"{name}{suffix}: over triad",
            median(found["merge"]) / median(found["triad"]),
            "x",
            at_least=None if goal is None else goal * share,
            note=f"{min(ratios):.2f} to {max(ratios):.2f}",
        )

    for case in CASES:
        add(case.name, case.goal, Timed(case, count, threads).gigabytes_per_second)
    accumulated = Accumulated(count, threads)
    accumulated.during(lambda: add(ACCUMULATE, ACCUMULATE_GOAL, accumulated.gigabytes_per_second))
    results.add(f"STREAM triad{suffix}", median(stream), "GB/s", note="median of all of the above")
    if triad.streams and not level:
        runs = [triad.gigabytes_per_second(streaming=True) for _ in range(given.repeats)]
        results.add("STREAM triad with streaming stores", median(runs), "GB/s")


def main() -> int:
    """Print the table and write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--patience", type=int, default=PATIENCE, help="rounds per repeat, at most")
    parser.add_argument("--level", choices=("2", "3", "4"), help="this CPU level only")
    parser.add_argument("--out", type=Path, default=Path("build/bench/merge-memory.json"))
    arguments = parser.parse_args()
    results = Results(arguments.out)
    if arguments.level:
        os.environ["DFMERGE_CPU_LEVEL"] = arguments.level
        measure(results, arguments, arguments.level)
        return results.finish()
    results.heading(f"In memory, {arguments.threads} threads, {machine()}")
    results.load("before")
    measure(results, arguments, "")
    part = arguments.out.with_suffix(".level2.json")
    command = [sys.executable, __file__, "--level", "2", "--out", str(part)]
    for name in ("threads", "repeats", "patience"):
        command += [f"--{name}", str(getattr(arguments, name))]
    # The library reads the level once: another level needs another process. 1: a goal was missed.
    if subprocess.run(command, check=False).returncode not in (0, 1):
        raise SystemExit("the run at level 2 failed")
    results.extend(json.loads(part.read_text(encoding="utf-8")))
    part.unlink()
    results.load("after")
    return results.finish()


if __name__ == "__main__":
    raise SystemExit(main())
