"""Real-text benchmark: six fine-tunes of a small sentence encoder, merged by every method.

    python Benchmarks/text/run.py --data FOLDER [--cache build/bench/text]
                                  [--methods ...] [--seeds 0 1 2] [--threads 1]

Fine-tunes are cached and results accumulate in the cache folder: run it again with other seeds or
methods to complete the table. One search takes 60 evaluations of about 5 s (one core).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from baselines import BASELINES
from bench import prepare
from searches import SEARCHES, search
from table import write


def main() -> None:
    """Measure what is missing, then print the whole table."""
    methods = [*BASELINES, *SEARCHES]
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
        if method in BASELINES and method not in bench.results:
            print(f"{method} ...", flush=True)
            BASELINES[method](bench)
    # Seed by seed, so that an interrupted run leaves complete rows of the first seeds.
    for seed in arguments.seeds:
        for method in arguments.methods:
            if method in SEARCHES:
                search(bench, method, [seed])
    write(bench.results, arguments.cache.parent / "text.json")


if __name__ == "__main__":
    main()
