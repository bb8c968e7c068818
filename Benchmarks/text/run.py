"""Real-text benchmark: six fine-tunes of a small sentence encoder, merged by every method.

    python Benchmarks/text/run.py --data FOLDER [--cache build/bench/text]
                                  [--methods ...] [--seeds 0 1 2] [--threads 1]

Every method of the library that applies; what a method's authors tune, and every search, is tuned
on the validation texts alone. Fine-tunes are cached and results accumulate in the cache folder:
run it again with other seeds or methods to complete the table. An evaluation takes about 5 s (one
core), a search 60 of them.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

sys.path.append(str(Path(__file__).resolve().parent.parent / "merge"))

import searches
import tuned
from baselines import BASELINES
from bench import prepare
from table import write


def main() -> None:
    """Measure what is missing, then print the whole table."""
    methods = [*BASELINES, *tuned.available(), *searches.available()]
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the text tasks")
    parser.add_argument("--cache", type=Path, default=Path("build/bench/text"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="seeds of the searches")
    parser.add_argument("--methods", nargs="+", choices=methods, default=methods)
    # Torch's threads wait for each other by spinning: on a busy machine two are slower than one.
    # One also gives the same fine-tunes on machines of any size.
    parser.add_argument("--threads", type=int, default=1, help="torch's threads")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    bench = prepare(arguments.data, arguments.cache)
    for method in arguments.methods:
        if method not in bench.results and method not in searches.SEARCHES:
            print(f"{method} ...", flush=True)
            if method in BASELINES:
                BASELINES[method](bench)
            else:
                tuned.tuned(bench, method)
    # Seed by seed, so that an interrupted run leaves complete rows of the first seeds.
    for seed in arguments.seeds:
        for method in arguments.methods:
            if method in searches.SEARCHES:
                searches.search(bench, method, [seed])
    write(bench.results, arguments.cache.parent / "text.json")


if __name__ == "__main__":
    main()
