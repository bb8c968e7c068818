"""Own starts: every optimiser begins as it does by itself, ours with points good for merging."""

from __future__ import annotations

import registry
from comparison import compare
from functions.problem import Problem
from plan import Plan
from records import Job, Record
from table import Row, row
from trajectory import follow

UNINFORMED = "dfmerge, uninformed"
NAME = "own"


def jobs(plan: Plan) -> list[Job]:
    """Our optimiser with both starts; the peers in the full benchmark."""
    few = plan.amount.ours_few
    optimisers = {registry.OURS: plan.amount.ours, UNINFORMED: plan.amount.ours}
    optimisers |= {"dfmerge, paper": few, **dict.fromkeys(registry.CHEAP, few)}
    if plan.amount.own_starts:
        optimisers |= plan.amount.peers
    return plan.jobs(NAME, optimisers, plan.names())


def run(job: Job, problem: Problem) -> Record:
    """One run."""
    return follow(job, problem, shared=False)


def rows(plan: Plan, stored: dict[str, list[Record]]) -> list[Row]:
    """The area under the regret curve, and regret on the way."""
    found: list[Row] = []
    for title, functions in (("all", plan.names()), ("merging-like", plan.names(merging=True))):
        summary = compare(f"Own starts, {title} functions", plan, stored[NAME], functions)
        for name, curves in summary.items():
            if not registry.is_ours(name):
                continue
            what = f"own start, {title}, {name}"
            seeds = f"{curves.seeds} seeds"
            found.append(row(f"{what}: AUC", curves.area, "regret", note=seeds))
            for mark in (20, 40, 60):
                if mark <= len(curves.mean):
                    value = float(curves.mean[mark - 1])
                    found.append(row(f"{what}: at {mark}", value, "regret"))
    return found
