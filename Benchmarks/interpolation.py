"""What interpolating Fisher values costs in accuracy and saves in time, on the digits problem.

Random candidates are merged twice: with Fisher values measured at the candidate (dynamic) and with
values interpolated between nodes, or measured once (static). Both merges are scored on validation
pictures; the change is what the approximation does to a candidate's score.

    make bench-interpolation
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from pathlib import Path
from typing import Any

import torch

import dfmerge

sys.path.insert(0, str(Path(__file__).parents[1] / "examples" / "python" / "digits"))
from methods import SAMPLES, Comparison, mean
from problem import DOMAINS, prepare

MODES: dict[str, dict[str, Any]] = {
    "9 nodes": {"fisher_mode": "interpolated", "nodes": 9},
    "5 nodes": {"fisher_mode": "interpolated", "nodes": 5},
    "3 nodes": {"fisher_mode": "interpolated", "nodes": 3},
    "static": {"fisher_mode": "static"},
}
#: The paper's place of measurement, where interpolation has most to do.
POSITION = {"fisher_position": 0.0}


class Merger:
    """Merges candidates in one Fisher mode and counts the measurements."""

    def __init__(self, comparison: Comparison, options: dict[str, Any]) -> None:
        self.calls, self.seconds = 0, 0.0
        self.comparison = comparison
        fisher = comparison.fisher(SAMPLES)

        def counted(request: dfmerge.FisherRequest) -> None:
            start = time.perf_counter()
            fisher(request)
            self.calls += 1
            self.seconds += time.perf_counter() - start

        place = {} if options["fisher_mode"] == "static" else POSITION
        self.search = dfmerge.Search(
            comparison.module,
            comparison.base,
            comparison.models,
            lambda trial: comparison.problem.evaluate(comparison.module, "validation"),
            counted,
            progress=False,
            **options,
            **place,
        )

    def score(self, coefficients: dict[str, float], exponent: float) -> float:
        """Mean validation accuracy of a candidate, in percent."""
        self.search.apply(coefficients, exponent)
        scores = self.comparison.problem.evaluate(self.comparison.module, "validation")
        return 100 * mean(scores)


def main() -> None:
    """Print the table and write build/bench/interpolation.json."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("build/bench"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--candidates", type=int, default=60, help="per seed")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    changes: dict[tuple[str, float], list[float]] = {}
    calls: dict[str, int] = {}
    seconds: dict[str, float] = {}
    for seed in range(arguments.seeds):
        folder = arguments.out / "digits" / f"seed-{seed}" / "networks"
        comparison = Comparison(prepare(folder, seed, lambda text: None), seed)
        mergers = {"dynamic": Merger(comparison, {"fisher_mode": "dynamic"})}
        mergers |= {name: Merger(comparison, options) for name, options in MODES.items()}
        draws = random.Random(seed)
        for _ in range(arguments.candidates):
            candidate = {name: draws.random() for name in DOMAINS}
            for exponent in (1.0, 0.5):
                exact = mergers["dynamic"].score(candidate, exponent)
                for name in MODES:
                    change = mergers[name].score(candidate, exponent) - exact
                    changes.setdefault((name, exponent), []).append(change)
        for name, merger in mergers.items():
            calls[name] = calls.get(name, 0) + merger.calls
            seconds[name] = seconds.get(name, 0.0) + merger.seconds

    figures: list[dict[str, Any]] = []
    print(f"{'':10}{'p = 1: mean, rms':>22}{'p = 0.5: mean, rms':>22}{'measurements':>15}{'s':>9}")
    for name in (*MODES, "dynamic"):
        line = f"{name:10}"
        for exponent in (1.0, 0.5):
            values = changes.get((name, exponent), [0.0])
            average = sum(values) / len(values)
            rms = (sum(value * value for value in values) / len(values)) ** 0.5
            line += f"{average:+15.2f}{rms:7.2f}"
            if name in MODES:
                figures += [
                    {"name": f"{name}, p = {exponent:g}, {what}", "value": round(value, 3)}
                    for what, value in (("mean change", average), ("rms change", rms))
                ]
        share = calls[name] / arguments.seeds
        print(f"{line}{share:15.0f}{seconds[name] / arguments.seeds:9.1f}")
        figures.append({"name": f"{name}, measurements", "value": share})
    table = [{**f, "unit": "points", "goal": None, "meets": None} for f in figures]
    for figure in table:
        if figure["name"].endswith("measurements"):
            figure["unit"] = f"per {2 * arguments.candidates} candidates"
    path = arguments.out / "interpolation.json"
    path.write_text(json.dumps(table, indent=1) + "\n")
    print(f"\n{path}")


if __name__ == "__main__":
    main()
