"""A small problem for optimizers, in this process or as a program to be killed.

As a program: ``python optimizer_problem.py JOURNAL [TRIALS]`` runs three workers' worth of trials
in a fixed order, each result a little later than it was asked for.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping

import dfmerge

SPACE = {"x": (-1.0, 2.0), "y": (0.0, 1.0), "z": (2.0, 6.0)}
GOAL = {"x": 0.4, "y": 0.7, "z": 3.0}


def score(params: Mapping[str, float]) -> float:
    """1 at the goal, falling with the distance."""
    return 1 - sum(
        ((params[name] - GOAL[name]) / (high - low)) ** 2 for name, (low, high) in SPACE.items()
    )


def work(optimizer: dfmerge.Optimizer, trials: int) -> None:
    """Keep three trials out until ``trials`` are told; a pure function of what the journal has."""
    while len(out := optimizer.running) < 3 and optimizer.cost + len(out) < trials:
        optimizer.ask()
    while out := optimizer.running:
        # Of three, the second comes first.
        trial = out[1] if len(out) == 3 else out[0]
        if trial.number % 7 == 5:
            optimizer.tell(trial, state="fail")
        else:
            optimizer.tell(trial, (score(trial.params), 1e-6))
        if optimizer.cost + len(out) - 1 < trials:
            optimizer.ask()


def reproducible(journal: str) -> list[str]:
    """The journal's lines without times and sessions."""
    with open(journal, encoding="utf-8") as file:
        lines = [line for line in file if line.endswith("\n")]
    return [x for x in lines if json.loads(x)["event"]["type"] not in ("timing", "session")]


if __name__ == "__main__":
    total = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    with dfmerge.Optimizer(SPACE, journal=sys.argv[1], initial=6, seed=5, trials=total) as made:
        work(made, total)
