"""Scores in two stages: what does it cost to reach the regret that full evaluations reach?

The first stage is the first quarter of every task's examples and costs a quarter of an evaluation;
the optimiser then says whether the rest is worth its cost. Only full evaluations count as found.
"""

from __future__ import annotations

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

NAME = "stages"
#: The first stage's share of the examples, and of the cost.
SHARE = 0.25
MARKS = (20, 40, 60)


def jobs(plan: Plan) -> list[Job]:
    """Our optimiser on the merging-like problems, with full evaluations and with two stages."""
    optimisers = {registry.OURS: plan.amount.ours_few}
    functions = plan.names(merging=True)
    return plan.jobs(own.NAME, optimisers, functions) + plan.jobs(NAME, optimisers, functions)


def run(job: Job, problem: Problem) -> Record:
    """One run; `values` holds the best full score for every whole evaluation spent."""
    names = [f"task {m}" for m in range(problem.tasks)]
    optimiser = registry.make(
        job.optimiser,
        d=problem.d,
        seed=job.run_seed,
        budget=job.budget,
        n_init=INITIAL,
        init=None,
        tasks=names,
        subset_share=SHARE,
    )
    first = max(1, round(SHARE * problem.examples))
    # Accuracies: nothing is worse than 0, which stands until the first full evaluation.
    best = np.zeros(job.budget)
    spent, started, ended = 0.0, 0, 0
    # The last evaluation may need a whole unit.
    while spent + 1 <= job.budget + 1e-9:
        point = optimiser.ask()
        started += 1
        subset = problem.task_scores(np.asarray(point)[None], first)[0]
        spent += SHARE
        if not optimiser.tell_subset(point, dict(zip(names, map(float, subset), strict=True))):
            ended += 1
            continue
        scores = problem.task_scores(np.asarray(point)[None])[0]
        spent += 1 - SHARE
        optimiser.tell(point, dict(zip(names, map(float, scores), strict=True)))
        known = int(np.ceil(spent - 1e-9)) - 1
        best[known:] = np.maximum(best[known:], scores.mean())
    return {"values": rounded(best.tolist()), "started": started, "ended": ended}


def rows(plan: Plan, stored: dict[str, list[Record]]) -> list[Row]:
    """Cost of two stages over that of full evaluations, at equal mean regret."""
    functions = plan.names(merging=True)
    full = select(stored[own.NAME], optimiser=registry.OURS, function=tuple(functions))
    staged = select(stored[NAME], optimiser=registry.OURS)
    scales = raised(plan.scales(), [*full, *staged])
    one = Curves.of(full, scales).within(functions)
    two = Curves.of(staged, scales).within(functions)
    if one is None or two is None:
        return []
    seeds = min(one.seeds, two.seeds)
    single, double = one.first(seeds).mean, two.first(seeds).mean
    marks = [mark for mark in MARKS if mark <= len(single)] or [len(single)]
    costs = {mark: needed(double, float(single[mark - 1])) for mark in marks}
    show(
        f"Two stages, {len(functions)} merging-like functions, {seeds} seeds",
        ["evaluations", "regret", "two stages at that cost", "they need"],
        [[m, float(single[m - 1]), float(double[m - 1]), f"{costs[m]:.1f}"] for m in marks],
    )
    ended = sum(r["ended"] for r in staged) / sum(r["started"] for r in staged)
    last = marks[-1]
    return [
        row(
            f"two stages: cost over that of full evaluations, at their regret after {last}",
            costs[last] / last,
            "x",
            note=f"{100 * ended:.0f} % of the evaluations ended after the first stage"
            + ("" if double[-1] <= single[last - 1] else "; not reached"),
        )
    ]
