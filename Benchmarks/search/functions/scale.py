"""The scale of a problem's scores: its optimum and its median, by brute force, kept in files.

Regret r(v) = clip((optimum - v) / (optimum - median), 0, 1): 0 is the optimum found, 1 no better
than a median random point.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from .problem import Aggregate, Array, Problem

#: Points of the survey (a power of two), and the rest of the search for the optimum.
SURVEY, STARTS, CHILDREN, ROUNDS = 4096, 24, 16, 30
#: Networks take longer.
NETWORK_SURVEY, NETWORK_CHILDREN, NETWORK_ROUNDS = 2048, 6, 16


@dataclass(frozen=True)
class Scale:
    """What an optimiser sees, and the same of the population's scores."""

    optimum: float
    median: float
    true_optimum: float
    true_median: float
    best: list[float]

    def regret(self, values: Array) -> Array:
        """Of values as optimisers see them."""
        return np.clip((self.optimum - values) / (self.optimum - self.median), 0, 1)

    def true_gap(self, values: Array) -> Array:
        """Of true values; not clipped, as a recommendation is one point."""
        return (self.true_optimum - values) / (self.true_optimum - self.true_median)


def scale(problem: Problem, folder: Path, how: Aggregate = "mean") -> Scale:
    """The scale of a problem, measured where the folder does not hold it."""
    path = folder / f"{problem.name}-{how}.json"
    if path.is_file():
        return Scale(**json.loads(path.read_text(encoding="utf-8")))
    found = _measure(problem, how)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}")
    partial.write_text(json.dumps(asdict(found)) + "\n", encoding="utf-8")
    os.replace(partial, path)
    return found


def _measure(problem: Problem, how: Aggregate) -> Scale:
    # Seconds to import, and only needed here.
    from scipy.stats import qmc

    network = problem.name.startswith("network")
    count = NETWORK_SURVEY if network else SURVEY
    survey = qmc.Sobol(problem.d, seed=1).random(count)
    known = getattr(problem, "best", None)
    seen = problem.values(survey, how)
    best, optimum = _climb(problem, how, False, survey, seen, network)
    if known is not None and (value := float(problem.values(known[None], how)[0])) > optimum:
        best, optimum = known, value
    if not problem.merging:
        median = float(np.median(seen))
        return Scale(optimum, median, optimum, median, best.tolist())
    true = problem.true_values(survey, how)
    # The optimum of what is seen is the best start there is for that of what is true.
    starts = np.vstack([survey, best])
    values = np.append(true, problem.true_values(best[None], how))
    _, true_optimum = _climb(problem, how, True, starts, values, network)
    return Scale(
        optimum, float(np.median(seen)), true_optimum, float(np.median(true)), best.tolist()
    )


def _climb(
    problem: Problem, how: Aggregate, true: bool, points: Array, values: Array, network: bool
) -> tuple[Array, float]:
    """The best point and value: mutations of the best points of the survey, ever smaller ones."""
    score = problem.true_values if true else problem.values
    random = np.random.default_rng(2)
    order = np.argsort(-values)[:STARTS]
    best, heights = points[order].copy(), values[order].copy()
    children = NETWORK_CHILDREN if network else CHILDREN
    rounds = NETWORK_ROUNDS if network else ROUNDS
    final = 0.005 if problem.merging else 1e-6
    for size in np.geomspace(0.25, final, rounds):
        shape = (len(best), children, problem.d)
        # Some children change few coordinates.
        moved = random.random(shape) < random.uniform(0.25, 1, (*shape[:2], 1))
        tried = np.clip(best[:, None] + random.normal(0, size, shape) * moved, 0, 1)
        found = score(tried.reshape(-1, problem.d), how).reshape(shape[:2])
        winner = found.argmax(1)
        rows = np.arange(len(best))
        # Equal scores move too: plateaus of counted examples are walked over.
        better = found[rows, winner] >= heights
        best[better] = tried[rows, winner][better]
        heights[better] = found[rows, winner][better]
        # The worst quarter starts again at the best one.
        rank = np.argsort(heights)
        quarter = len(rank) // 4
        best[rank[:quarter]] = best[rank[-quarter:]]
        heights[rank[:quarter]] = heights[rank[-quarter:]]
    top = int(heights.argmax())
    return best[top], float(heights[top])
