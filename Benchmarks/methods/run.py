"""Every method of the library at its defaults: speed over the bound of its bytes, and memory.

    python Benchmarks/methods/run.py [--methods ties,sce] [--dtypes F32,BF16] [--parts memory,...]

A base and three models. Parts:

in-memory, files
    75 M parameters. The bound of a merge is the time of moving the bytes that `dfmerge.plan`
    counts, all passes included: in memory at STREAM triad's bandwidth, from files to files as long
    as reading and writing as many bytes takes, both measured in turns with the merge.
factorised
    Methods that factorise beside the same formulas in torch.
memory
    The peak beyond inputs and outputs that lie in memory, beside what the plan predicts, for every
    method: 47 M parameters; for those that work on whole matrices, smaller models and adapters.
    Other programs do not disturb it.

The speed takes a quiet machine. Writes a list of {"name", "value", "unit", "goal", "meets"} to
build/bench/methods.json.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

sys.path.append(str(Path(__file__).resolve().parent.parent / "merge"))

import speed
from catalogue import called
from inputs import MEDIUM
from memory import peaks
from results import Results, machine

#: Fewer rounds than single benchmarks have: there are two dozen methods, two types, two places.
REPEATS, PATIENCE = 5, 2
SPEEDS = {
    "in-memory": speed.in_memory,
    "files": speed.from_files,
    "factorised": speed.factorisations,
}
PARTS = ("memory", *SPEEDS)


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
    parts, dtypes = given.parts.split(","), given.dtypes.split(",")
    if unknown := sorted(set(parts) - set(PARTS)):
        parser.error(f"no such parts: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    torch.set_num_threads(given.threads)
    methods = called(set(given.methods.split(",")) if given.methods else None)
    folder = given.out.parent / "models"
    results = Results(given.out)
    results.heading(
        f"Defaults, 3 models, speed with {MEDIUM.parameters / 1e6:.0f} M parameters, "
        f"{given.threads} threads, {machine()}"
    )
    results.load("before")
    shared = speed.Speed(folder, dtypes, given.threads, given.repeats, given.patience, results)
    for part in parts:
        if part == "memory":
            peaks(methods, folder, dtypes, given.threads, results)
        else:
            SPEEDS[part](shared, methods)
    results.load("after")
    return results.finish()


if __name__ == "__main__":
    raise SystemExit(main())
