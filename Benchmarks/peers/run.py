"""Our methods beside their authors' and peers' packages: the same inputs, the matching variant.

    python Benchmarks/peers/run.py [--methods ties,slerp] [--out build/bench/peers.json]

Small checkpoints of odd shapes, random and made for special cases, in F32 and BF16; the peers run
in an environment of their own (build/peers), where they install. A row says how far the results are
apart and whether that is rounding ("equal") or has a reason that we know ("explained"); what has
neither misses its goal. Rows appear for the methods that the library has. Writes a list of {"name",
"value", "unit", "goal", "meets"}; values are shares of elements that no reason covers.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parent.parent / "merge"))

from adapters import Adapters, AnyInputs
from comparison import Comparison, Row
from environment import Peers
from inputs import KINDS, Inputs
from pairs import PAIRS
from results import Results, machine

import dfmerge


def main() -> int:
    """Print the table and write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("build/bench/peers.json"))
    parser.add_argument("--environment", type=Path, default=Path("build/peers"))
    parser.add_argument("--methods", help="only these of ours, separated by commas")
    given = parser.parse_args()
    only = set(given.methods.split(",")) if given.methods else None
    have = {method["id"] for method in dfmerge.methods()}
    pairs = [p for p in PAIRS if p.method in have and (only is None or p.method in only)]
    peers = Peers(given.environment)
    results = Results(given.out)
    results.heading(f"Beside {peers.versions}; numpy {np.__version__}; {machine()}")
    for problem in filter(None, peers.problems.values()):
        print(problem)
    with tempfile.TemporaryDirectory() as folder:
        inputs: dict[tuple[str, str], AnyInputs] = {}
        for dtype in ("F32", "BF16"):
            for kind in KINDS:
                inputs[kind, dtype] = Inputs(kind, dtype, Path(folder))
            inputs["adapters", dtype] = Adapters("adapters", dtype, Path(folder))
        rows = Comparison(peers, inputs, Path(folder)).rows(pairs)
    show(results, rows)
    missing = sorted({p.method for p in PAIRS} - have)
    if missing:
        print(f"\nnot in this library: {', '.join(missing)}")
    return results.finish()


def show(results: Results, rows: list[Row]) -> None:
    """Print the table in Markdown, and add a row for each."""
    head = ("method", "beside", "variant", "inputs", "relative difference", "unequal",
            "beyond rounding", "seconds, theirs", "verdict")  # fmt: skip
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(row.cells()) + " |")
    print()
    for row in rows:
        results.add(row.name, row.value, row.unit, at_most=row.goal, note=row.note or None)


if __name__ == "__main__":
    raise SystemExit(main())
