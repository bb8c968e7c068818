"""One optimiser on one problem, one evaluation after the other."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import registry
from functions.problem import Problem
from records import Job, Record, rounded

INITIAL = 10
#: Evaluations after which the recommended point is asked for.
MARKS = (20, 40, 60)
#: A score and its variance, at a point and for an evaluation's number.
Score = Callable[[np.ndarray, int], tuple[float, float | None]]


def shared_start(job: Job, d: int) -> np.ndarray:
    """The uniform points that every optimiser of this function and seed begins with."""
    return np.random.default_rng([job.run_seed, 5]).random((INITIAL, d))


def follow(job: Job, problem: Problem, shared: bool, score: Score | None = None) -> Record:
    """Ask, score, tell, for the job's budget.

    Where an optimiser fails, a random point is evaluated or the best observed one recommended, and
    the failure is counted.
    """
    d = problem.d
    optimiser = registry.make(
        job.optimiser,
        d=d,
        seed=job.run_seed,
        budget=job.budget,
        n_init=INITIAL,
        init=shared_start(job, d) if shared else None,
    )
    run = _Run(np.random.default_rng([job.run_seed, 7]), d)
    values: list[float] = []
    ask_ms: list[float] = []
    tell_ms: list[float] = []
    recommended: dict[str, float] = {}
    best = np.full(d, 0.5)
    for number in range(job.budget):
        # Processor time: other programs on the machine do not count.
        start = time.process_time()
        x, asked = run.point(optimiser)
        ask_ms.append(1e3 * (time.process_time() - start))
        value, variance = score(x, number) if score else (float(problem.values(x)[0]), None)
        if not values or value > max(values):
            best = x
        values.append(value)
        start = time.process_time()
        if asked is not None:
            run.attempt(lambda: optimiser.tell(asked, value, variance))  # noqa: B023
        tell_ms.append(1e3 * (time.process_time() - start))
        if number + 1 in MARKS or number + 1 == job.budget:
            chosen = run.attempt(optimiser.recommend)
            place = best if chosen is None else np.asarray(chosen, float)
            recommended[str(number + 1)] = float(problem.true_values(place)[0])
    return {
        "values": rounded(values),
        "recommended": recommended,
        "ask_ms": rounded(ask_ms, 4),
        "tell_ms": rounded(tell_ms, 4),
        "failures": run.failures,
        "error": run.error,
    }


class _Run:
    """Counts what goes wrong and puts random points in its place."""

    def __init__(self, random: np.random.Generator, d: int) -> None:
        self.random, self.d = random, d
        self.failures = 0
        self.error: str | None = None

    def attempt(self, act: Callable[[], Any]) -> Any:
        """The act's result; None, and one failure more, where it raises."""
        try:
            return act()
        except Exception as error:  # A peer may raise anything; the others' runs go on.
            self.failures += 1
            self.error = self.error or f"{type(error).__name__}: {error}"[:300]
            return None

    def point(self, optimiser: Any) -> tuple[np.ndarray, Any]:
        """The point to evaluate, and what to tell the optimiser it was, if anything."""
        asked = self.attempt(optimiser.ask)
        if asked is not None:
            x = np.asarray(asked, float)
            if x.shape == (self.d,) and all(map(math.isfinite, x)):
                return np.clip(x, 0, 1), asked
            self.failures += 1
            self.error = self.error or f"asked for {asked}"[:300]
        # Peers take points that they did not ask for; ours would refuse it.
        return self.random.random(self.d), None
