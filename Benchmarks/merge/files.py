"""Merges from files to files: time and memory, beside mergekit.

    python Benchmarks/merge/files.py [--methods linear,ties] [--fresh] [--skip-large] [--out FILE]

A base and four models of 569 M parameters in bfloat16 (checkpoints.py), 2 threads. Each run is a
process of its own, its inputs in the page cache; "call" is the merge alone, "process" the whole
run with the imports. We sync the output to the disk before the call ends; mergekit 0.1.5 leaves
that to the system. mergekit's runs are kept in build/bench/mergekit.json (--fresh: run again).
Then: the same peak memory with a model four times larger, and a run that may use less memory than
a twentieth of its inputs. Writes a list of {"name", "value", "unit", "goal", "meets"}.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
import time
from pathlib import Path

from checkpoints import LARGE, SMALL, WEIGHTS, Architecture, make
from limited import forget, limit
from mergekit_peer import Mergekit
from process import Measured, RunError, run, warm
from results import REPEATS, Results, machine, median
from settings import METHODS, OURS, PEERS, arguments

RUNNER = str(Path(__file__).with_name("dfmerge_run.py"))
MODELS = 4
#: mergekit's runs of each method, and how many times faster we are to be.
PEER_REPEATS = {"linear": 3, "task_arithmetic": 3}
SPEED_GOALS = {"linear": 5.0, "ties": 40.0, "ties_of_model": 40.0, "dare_ties": 40.0}
PRIVATE_GOAL_MB = 300
#: Bytes for the run under a limit.
LIMIT = 300 << 20
LOAD_ALL = (
    "import pathlib, sys;"
    "data = [pathlib.Path(p, 'model.safetensors').read_bytes() for p in sys.argv[1:]];"
    "print(len(data))"
)


class Bench:
    """Runs merges, each with the same start."""

    def __init__(self, folder: Path, threads: int) -> None:
        self.folder, self.threads = folder, threads
        self.out = folder / "merged"

    def start(self, folders: list[Path]) -> Path:
        """Inputs in the page cache, nothing left to be written, no output."""
        shutil.rmtree(self.out, ignore_errors=True)
        for folder in folders:
            warm(folder)
        os.sync()
        return self.out

    def ours(self, method: str, folders: list[Path]) -> Measured:
        """One merge by DFMerge."""
        given = arguments(method, folders, self.start(folders), self.threads)
        return run([sys.executable, RUNNER, json.dumps(given)])


def compare(results: Results, bench: Bench, peer: Mergekit, method: str, paths: list[Path]) -> None:
    """Add the rows of one method."""
    ours: list[Measured] = []
    name = PEERS.get(method, method)
    theirs = [] if peer.problem else peer.known(name, SMALL.name)
    wanted = 0 if peer.problem else PEER_REPEATS.get(name, 1)
    # Runs that other programs disturbed are repeated, but not for ever.
    for attempt in range(2 * REPEATS):
        ours.append(bench.ours(method, paths))
        if len(theirs) < wanted:
            theirs.append(peer.measure(name, SMALL.name, paths, bench.start(paths)))
        if attempt + 1 >= REPEATS and sum(run.calm for run in ours) >= REPEATS:
            ours = [run for run in ours if run.calm]
            break
    ours = ours[-REPEATS:]
    call = median(run.report["seconds"] for run in ours)
    process = median(run.seconds for run in ours)
    note = f"others kept {max(run.others for run in ours):.1f} processors busy at most"
    results.add(f"{method}: call", call, "s", note=note)
    results.add(f"{method}: process", process, "s")
    private = max(run.peak_private for run in ours) / 1e6
    results.add(f"{method}: peak private memory", private, "MB", at_most=PRIVATE_GOAL_MB)
    goal = SPEED_GOALS.get(method)
    if not theirs:
        results.add(f"{method}: faster than mergekit, call", None, "x", goal, note=peer.problem)
        return
    their_call = median(run.report["seconds"] for run in theirs)
    their_process = median(run.seconds for run in theirs)
    note = f"runs: {len(theirs)}; others {max(run.others for run in theirs):.1f} processors"
    results.add(f"{method}: mergekit, call", their_call, "s", note=note)
    results.add(f"{method}: mergekit, process", their_process, "s")
    for what, attribute in (("private", "peak_private"), ("resident", "peak_resident")):
        peak = max(getattr(run, attribute) for run in theirs) / 1e6
        results.add(f"{method}: mergekit, peak {what} memory", peak, "MB")
    results.add(f"{method}: faster than mergekit, call", their_call / call, "x", goal)
    results.add(f"{method}: faster than mergekit, process", their_process / process, "x")


def writing(results: Results, bench: Bench) -> None:
    """Add what the disk alone takes for the output: the floor of every merge to files."""
    block = os.urandom(1 << 23)
    times = []
    for _ in range(3):
        bench.start([]).mkdir(parents=True)
        start = time.perf_counter()
        with open(bench.out / WEIGHTS, "wb", buffering=0) as file:
            for _ in range(2 * SMALL.parameters // len(block)):
                file.write(block)
            os.fsync(file.fileno())
        times.append(time.perf_counter() - start)
    results.add("writing and syncing as many bytes, no merge", median(times), "s")


def growth(results: Results, bench: Bench, methods: list[str], small: list[Path]) -> None:
    """Add the peaks of a model that is four times larger over those of the small one."""
    results.heading(f"Memory with {LARGE.parameters / 1e9:.2f} G parameters, {MODELS} models")
    times = LARGE.parameters / SMALL.parameters
    name = f"private memory with {times:.2f} times the parameters"
    folder = bench.folder / "models" / LARGE.name
    # Two models' bytes; the other two are links to them: as many bytes are read.
    need = 2 * LARGE.parameters * 4 + (5 << 30)
    if not folder.is_dir() and shutil.disk_usage(bench.folder).free < need:
        results.add(name, None, "x", note=f"needs {need >> 30} GiB of free disk")
        return
    try:
        large = make(folder, LARGE, MODELS, distinct=2)
        for method in methods:
            peaks = [bench.ours(method, paths).report["peak"] for paths in (small, large)]
            results.add(f"{method}: {name}", peaks[1] / peaks[0], "x", 0.9, 1.1)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(bench.out, ignore_errors=True)


def larger_than_memory(results: Results, bench: Bench, method: str, paths: list[Path]) -> None:
    """Add a merge under a limit that its inputs exceed many times over."""
    bench.ours(method, paths)
    expected = _digest(bench.out / WEIGHTS)
    with limit(LIMIT) as limited:
        size = sum((path / WEIGHTS).stat().st_size for path in paths) / 1e9
        results.heading(
            f"{method} of {size:.1f} GB of inputs, {LIMIT >> 20} MiB of memory, {limited.kind}"
        )
        given = arguments(method, paths, bench.start([]), bench.threads)
        forget(paths)
        command = [sys.executable, RUNNER, json.dumps(given)]
        seconds = run(limited.command(command)).report["seconds"]
        results.add("under the limit, inputs from the disk", seconds, "s")
        same = float(_digest(bench.out / WEIGHTS) == expected)
        results.add("under the limit: same bytes as without", same, "", at_least=1)
        try:
            run(limited.command([sys.executable, "-c", LOAD_ALL, *map(str, paths)]))
            failed = 0.0
        except RunError:
            failed = 1.0
        results.add("loading everything fails under it", failed, "", at_least=1)


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe(architecture: Architecture) -> str:
    """The size of a model."""
    return f"{architecture.parameters / 1e6:.0f} M parameters bf16"


def main() -> int:
    """Print the table and write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--fresh", action="store_true", help="run mergekit again")
    parser.add_argument("--skip-large", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("build/bench/merge-files.json"))
    given = parser.parse_args()
    methods = given.methods.split(",")
    if unknown := set(methods) - set(OURS):
        parser.error(f"no such methods: {sorted(unknown)}; there are {', '.join(OURS)}")
    folder = given.out.parent
    results, bench = Results(given.out), Bench(folder, given.threads)
    paths = make(folder / "models" / SMALL.name, SMALL, MODELS)
    peer = Mergekit(folder, given.fresh)
    results.heading(
        f"Files, base and {MODELS} models, {describe(SMALL)}, {given.threads} threads, {machine()}"
    )
    print(peer.problem or f"beside {peer.versions}")
    results.load("before")
    writing(results, bench)
    for method in methods:
        compare(results, bench, peer, method, paths)
    larger_than_memory(results, bench, methods[0], paths)
    if not given.skip_large:
        growth(results, bench, methods, paths)
    shutil.rmtree(bench.out, ignore_errors=True)
    results.load("after")
    return results.finish()


if __name__ == "__main__":
    raise SystemExit(main())
