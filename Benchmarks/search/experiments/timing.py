"""What an ask and a tell cost in processor time, and whether memory stays flat."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import registry
from functions.problem import Problem
from plan import Plan
from records import Job, Record, rounded, select
from table import Row, row

NAME = "timing"
#: Evaluations told before the measured ones, and the milliseconds that an ask and a tell may take.
GOALS = {60: 20.0, 500: 500.0}
#: The least that is worth having.
AIM = {60: 10.0}
#: Asks that are measured per run.
MEASURED = 5
#: Optimisers made and dropped before memory is looked at, and after.
WARM, WATCHED = 3, 10
#: Megabytes that memory may grow by meanwhile.
GROWTH = 1.0
FUNCTION, SEEDS = "threshold-6", 3


def jobs(plan: Plan) -> list[Job]:
    """Our optimiser in six dimensions; the quick benchmark leaves it out."""
    if FUNCTION not in plan.names():
        return []
    optimisers = {registry.OURS: SEEDS}
    found = [
        job for count in GOALS for job in plan.jobs(NAME, optimisers, [FUNCTION], "time", count)
    ]
    return found + plan.jobs(NAME, {registry.OURS: 1}, [FUNCTION], "memory")


def run(job: Job, problem: Problem) -> Record:
    """One run of either kind."""
    return _memory(job, problem) if job.variant == "memory" else _time(job, problem)


def _time(job: Job, problem: Problem) -> Record:
    """The points told before are half uniform, half near the best, as a search leaves them."""
    random = np.random.default_rng([job.run_seed, 17])
    uniform = random.random((job.budget, problem.d))
    best = uniform[int(problem.values(uniform).argmax())]
    near = np.clip(best + random.normal(0, 0.1, uniform.shape), 0, 1)
    points = np.where(np.arange(job.budget)[:, None] % 2 == 0, uniform, near)
    optimiser = _make(job, problem, points)
    asks, tells = [], []
    for number in range(job.budget + MEASURED):
        start = time.process_time()
        point = optimiser.ask()
        middle = time.process_time()
        score = float(problem.values(np.asarray(point))[0])
        before = time.process_time()
        optimiser.tell(point, score)
        after = time.process_time()
        if number >= job.budget:
            asks.append(1e3 * (middle - start))
            tells.append(1e3 * (after - before))
    return {"ask_ms": rounded(asks, 4), "tell_ms": rounded(tells, 4)}


def _memory(job: Job, problem: Problem) -> Record:
    """Private memory before and after a number of whole runs."""
    used = []
    for _ in range(WARM + WATCHED):
        optimiser = _make(job, problem, None)
        for _ in range(job.budget):
            point = optimiser.ask()
            optimiser.tell(point, float(problem.values(np.asarray(point))[0]))
        del optimiser
        used.append(_private_megabytes())
    return {"megabytes": rounded(used[WARM - 1 :], 6)}


def _make(job: Job, problem: Problem, points: np.ndarray | None) -> Any:
    return registry.make(
        job.optimiser, d=problem.d, seed=job.run_seed, budget=job.budget, n_init=10, init=points
    )


def _private_megabytes() -> float:
    with open("/proc/self/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) / 1024
    return 0.0


def rows(plan: Plan, stored: dict[str, list[Record]]) -> list[Row]:
    """Medians of ask plus tell, and the growth."""
    found: list[Row] = []
    for count, goal in GOALS.items():
        runs = select(stored[NAME], variant="time", budget=count)
        if not runs:
            continue
        spent = [
            ask + tell
            for run in runs
            for ask, tell in zip(run["ask_ms"], run["tell_ms"], strict=True)
        ]
        aim = f"; the aim is {AIM[count]:g}" if count in AIM else ""
        found.append(
            row(
                f"time: ask and tell at n = {count}, d = 6, processor time",
                float(np.median(spent)),
                "ms",
                at_most=goal,
                note=f"{min(spent):.1f} to {max(spent):.1f}{aim}",
            )
        )
    for run in select(stored[NAME], variant="memory"):
        used = run["megabytes"]
        name = f"memory: growth over {WATCHED} searches of {run['budget']} evaluations"
        found.append(
            row(name, used[-1] - used[0], "MB", at_most=GROWTH, note=f"from {used[0]:.0f} MB")
        )
    return found
