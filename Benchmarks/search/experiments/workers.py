"""Four workers that finish out of order, against one: how many evaluations more do they need?

Evaluations take random times. A worker that is free asks at once, while the others' scores are not
in; every score is told when its evaluation ends. One worker is the run with its own start.
"""

from __future__ import annotations

import heapq

import numpy as np
import registry
from crossing import needed
from functions.problem import Problem
from plan import Plan
from records import Job, Record, rounded, select
from regret import Curves, raised
from table import Row, row, show
from trajectory import INITIAL

from experiments import own

NAME = "workers"
WORKERS = 4
#: What the workers get of the one worker's budget, and what they should need of it.
ALLOWANCE, GOAL = 1.25, 1.15
#: Spread of the logarithm of an evaluation's duration.
SPREAD = 0.5


def jobs(plan: Plan) -> list[Job]:
    """Our optimiser, with one worker and with four."""
    optimisers = {registry.OURS: plan.amount.ours}
    budget = round(ALLOWANCE * plan.amount.budget)
    alone = plan.jobs(own.NAME, optimisers, plan.names())
    return alone + plan.jobs(NAME, optimisers, plan.names(), str(WORKERS), budget)


def run(job: Job, problem: Problem) -> Record:
    """One run, in the order in which the evaluations end."""
    optimiser = registry.make(
        job.optimiser, d=problem.d, seed=job.run_seed, budget=job.budget, n_init=INITIAL, init=None
    )
    random = np.random.default_rng([job.run_seed, 13])
    durations = np.exp(random.normal(0, SPREAD, job.budget))
    #: End, number and point of the evaluations that are under way.
    running: list[tuple[float, int, list[float]]] = []
    now, asked = 0.0, 0
    values: list[float] = []
    while len(values) < job.budget:
        while asked < job.budget and len(running) < int(job.variant):
            heapq.heappush(running, (now + durations[asked], asked, optimiser.ask()))
            asked += 1
        now, _, point = heapq.heappop(running)
        values.append(float(problem.values(np.asarray(point))[0]))
        optimiser.tell(point, values[-1])
    return {"values": rounded(values)}


def rows(plan: Plan, stored: dict[str, list[Record]]) -> list[Row]:
    """Evaluations of the workers over those of one worker, at equal mean regret."""
    one, four = (
        select(stored[name], optimiser=registry.OURS, budget=budget)
        for name, budget in (
            (own.NAME, plan.amount.budget),
            (NAME, round(ALLOWANCE * plan.amount.budget)),
        )
    )
    scales = raised(plan.scales(), [*one, *four])
    alone = Curves.of(one, scales).within(plan.names())
    together = Curves.of(four, scales).within(plan.names())
    if alone is None or together is None:
        return []
    seeds = min(alone.seeds, together.seeds)
    single, several = alone.first(seeds).mean, together.first(seeds).mean
    marks = [mark for mark in (20, 30, 40, 50, 60) if mark <= len(single)] or [len(single)]
    ratios = {mark: needed(several, float(single[mark - 1])) / mark for mark in marks}
    show(
        f"{WORKERS} workers out of order, {len(alone.regrets)} functions, {seeds} seeds",
        ["evaluations", "regret of one", "of four", "four need"],
        [[m, float(single[m - 1]), float(several[m - 1]), f"{ratios[m] * m:.1f}"] for m in marks],
    )
    last = marks[-1]
    note = None if single[last - 1] >= several[-1] else "not reached within that"
    return [
        row(
            f"{WORKERS} workers: evaluations over one worker's, at its regret after {last}",
            ratios[last],
            "x",
            at_most=GOAL,
            note=note,
        ),
        row(
            f"{WORKERS} workers: the same, mean over marks from {marks[0]} to {last}",
            float(np.mean(list(ratios.values()))),
            "x",
        ),
    ]
