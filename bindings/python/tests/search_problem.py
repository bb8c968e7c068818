"""A small search whose best coefficients are known, in this process or as a program to be killed.

As a program: ``python search_problem.py JOURNAL OUT [SECONDS] [OPTIONS]`` runs the search with a
pause in each evaluation and writes the merged weights to OUT.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np

import dfmerge

GOAL = {"a": 0.6, "b": 0.2, "c": 0.4}
Arrays = dict[str, np.ndarray[Any, Any]]


class Problem:
    """Base, models and a target; the score falls with the distance from the goal's merge."""

    def __init__(self, pause: float = 0.0) -> None:
        rng = np.random.default_rng(0)
        self.pause = pause
        self.base: Arrays = {
            "w": rng.normal(size=(60, 50)).astype(np.float32),
            "b": rng.normal(size=11).astype(np.float32),
        }
        self.models: dict[str, Arrays] = {
            name: {
                key: (value + 0.1 * rng.normal(size=value.shape)).astype(np.float32)
                for key, value in self.base.items()
            }
            for name in GOAL
        }
        self.target = {key: value.copy() for key, value in self.base.items()}
        self.goal = dfmerge.merge(
            self.base, self.models, method="task_arithmetic", options={"coefficients": GOAL}
        )
        self.evaluations = 0
        #: Numbers of the trials that were scored on the subset.
        self.subsets: list[int] = []

    def evaluate(self, trial: dfmerge.Trial) -> dict[str, float]:
        """One score per model, all alike."""
        self.evaluations += 1
        time.sleep(self.pause)
        distance = sum(float(((self.target[k] - self.goal[k]) ** 2).mean()) for k in self.target)
        return dict.fromkeys(GOAL, 1 - 100 * distance)

    def subset(self, trial: dfmerge.Trial) -> dict[str, float]:
        """The same on the first rows of one tensor, where it looks a little worse."""
        self.subsets.append(trial.number)
        time.sleep(self.pause / 4)
        distance = float(((self.target["w"][:9] - self.goal["w"][:9]) ** 2).mean())
        return dict.fromkeys(GOAL, 0.99 - 210 * distance)

    def fisher(self, request: dfmerge.FisherRequest) -> None:
        """Fisher values that depend on model and coefficient."""
        rng = np.random.default_rng(len(request.model))
        for values in request.buffers.values():
            values += (1 + request.coefficient + rng.random(values.shape)).astype(np.float32)

    def search(self, **options: Any) -> dfmerge.Search:
        """A search over this problem."""
        options.setdefault("progress", False)
        if "subset_share" in options:
            options.setdefault("evaluate_subset", self.subset)
        return dfmerge.Search(
            self.target, self.base, self.models, self.evaluate, self.fisher, **options
        )


def reproducible(journal: str) -> list[str]:
    """The journal's lines without times and sessions."""
    with open(journal, encoding="utf-8") as file:
        events = [line for line in file if line.endswith("\n")]
    kinds = ("timing", "session")
    return [line for line in events if json.loads(line)["event"]["type"] not in kinds]


if __name__ == "__main__":
    options = json.loads(sys.argv[4]) if len(sys.argv) > 4 else {}
    problem = Problem(float(sys.argv[3]) if len(sys.argv) > 3 else 0.0)
    problem.search(journal=sys.argv[1], **options).run().save(sys.argv[2])
