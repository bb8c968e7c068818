"""Merging methods on handwritten digits: mean and spread of test accuracy over 5 seeds.

A seed decides the split of the data, the networks' training, the pictures of the Fisher and the
search. Everything is tuned on validation pictures. Searches continue from their journals in
build/bench/digits, so a stopped run loses nothing.

    make bench-digits
    python Benchmarks/digits.py --modes    # also every Fisher mode, with 3, 5 and 9 nodes
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "examples" / "python" / "digits"))
from methods import PAPER_SAMPLES, SAMPLES, Comparison, Row, mean
from problem import prepare

DEFAULT = "DF-Merge, our default"
PAPER = "DF-Merge, paper's settings"
WITHOUT = "search without Fisher"
BASELINES = ["average", "task arithmetic", "Fisher merging", WITHOUT]
# What "clearly above plain averaging" has to mean, in points of accuracy.
MARGIN = 5.0

# name -> preset and options, Fisher samples per model
SEARCHES: dict[str, tuple[dict[str, Any], int | None]] = {
    WITHOUT: ({"fisher_mode": "none"}, None),
    PAPER: ({"preset": "paper"}, PAPER_SAMPLES),
    DEFAULT: ({}, SAMPLES),
}
MODES: dict[str, tuple[dict[str, Any], int | None]] = {
    "static": ({"fisher_mode": "static"}, SAMPLES),
    **{
        f"interpolated, {nodes} nodes": ({"fisher_mode": "interpolated", "nodes": nodes}, SAMPLES)
        for nodes in (3, 5, 9)
    },
    "dynamic": ({"fisher_mode": "dynamic"}, SAMPLES),
    "dynamic, exponent 1": ({"fisher_mode": "dynamic", "exponent": 1}, SAMPLES),
}


@dataclass
class Scores:
    """One method's accuracies in percent and seconds, one entry per seed."""

    validation: list[float] = field(default_factory=list)
    test: list[float] = field(default_factory=list)
    fisher_seconds: list[float] = field(default_factory=list)

    @property
    def spread(self) -> float:
        return statistics.stdev(self.test) if len(self.test) > 1 else 0.0


def rows(seed: int, folder: Path, modes: bool) -> Iterator[tuple[Row, float]]:
    """Every method's row for one seed, with the seconds spent on Fisher values in a search."""
    comparison = Comparison(prepare(folder / "networks", seed, lambda text: None), seed)
    for row in (
        *comparison.alone(),
        comparison.average(),
        comparison.task_arithmetic(),
        comparison.fisher_merging(),
    ):
        yield row, 0.0
    for name, (options, samples) in (SEARCHES | MODES if modes else SEARCHES).items():
        place = folder / name.replace(" ", "-").replace(",", "").replace("'", "")
        row, result = comparison.search(name, place, samples, **options)
        yield row, sum(trial["seconds"]["fisher"] for trial in result.trials)


def figures(table: dict[str, Scores]) -> list[dict[str, Any]]:
    """The claims, then every row as a plain figure."""
    test = {name: statistics.fmean(scores.test) for name, scores in table.items()}
    best = max(BASELINES, key=lambda name: test[name])
    gain = test[DEFAULT] - test["average"]
    claims = [
        {
            "name": f"digits: our default minus the best baseline ({best}), mean test",
            "value": round(test[DEFAULT] - test[best], 2),
            "unit": "points",
            "goal": ">= 0",
            "meets": test[DEFAULT] >= test[best],
        },
        {
            "name": "digits: our default minus plain averaging, mean test",
            "value": round(gain, 2),
            "unit": "points",
            "goal": f">= {MARGIN}",
            "meets": gain >= MARGIN,
        },
    ]
    plain = [
        {"name": f"digits: {name}, {what}", "value": round(value, 2), "unit": "%"}
        for name, scores in table.items()
        for what, value in (("mean test", test[name]), ("sd over seeds", scores.spread))
    ]
    return claims + [{**figure, "goal": None, "meets": None} for figure in plain]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=Path("build/bench"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--modes", action="store_true", help="also compare Fisher modes")
    arguments = parser.parse_args()

    table: dict[str, Scores] = {}
    for seed in range(arguments.seeds):
        for row, seconds in rows(seed, arguments.out / "digits" / f"seed-{seed}", arguments.modes):
            scores = table.setdefault(row.name, Scores())
            scores.validation.append(100 * mean(row.validation))
            scores.test.append(100 * row.mean_test)
            scores.fisher_seconds.append(seconds)
            print(f"seed {seed}  {row.name:30} test {scores.test[-1]:5.1f}  {row.note}", flush=True)

    print(f"\n{arguments.seeds} seeds, %".ljust(31) + "validation     test ± sd   per seed")
    for name, scores in table.items():
        line = f"{name:30}{statistics.fmean(scores.validation):10.2f}"
        line += f"{statistics.fmean(scores.test):9.2f} ± {scores.spread:.2f}   "
        line += " ".join(f"{value:.1f}" for value in scores.test)
        if any(scores.fisher_seconds):
            line += f"   Fisher {statistics.fmean(scores.fisher_seconds):.1f} s"
        print(line)
    found = figures(table)
    print()
    for figure in found:
        if figure["goal"]:
            verdict = "meets" if figure["meets"] else "FAILS"
            print(f"{verdict}: {figure['name']} = {figure['value']} (goal {figure['goal']})")
    path = arguments.out / "digits.json"
    path.write_text(json.dumps(found, indent=1) + "\n")
    print(f"\n{path}")


if __name__ == "__main__":
    main()
