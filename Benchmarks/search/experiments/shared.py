"""The same ten uniform points first, for all: a lucky start counts for nothing."""

from __future__ import annotations

import registry
from comparison import compare
from functions.problem import Problem
from plan import Plan
from records import Job, Record
from regret import Curves
from table import Row, row, show
from trajectory import follow

NAME = "shared"
#: Our median regret at the end on any function over the best peer's, and what is added to it.
FACTOR, SLACK = 1.5, 0.01


def jobs(plan: Plan) -> list[Job]:
    """Our optimiser, and each peer."""
    optimisers = {
        registry.OURS: plan.amount.ours,
        "dfmerge, paper": plan.amount.ours_few,
        **plan.amount.peers,
    }
    return plan.jobs(NAME, optimisers, plan.names())


def run(job: Job, problem: Problem) -> Record:
    """One run."""
    return follow(job, problem, shared=True)


def rows(plan: Plan, stored: dict[str, list[Record]]) -> list[Row]:
    """Our area over the best peer's, and the function on which we are worst."""
    found: list[Row] = []
    for title, functions in (("all", plan.names()), ("merging-like", plan.names(merging=True))):
        summary = compare(f"The same start, {title} functions", plan, stored[NAME], functions)
        ours = summary.get(registry.OURS)
        peers = {name: c for name, c in summary.items() if not registry.is_ours(name)}
        if ours is None or not peers:
            continue
        best = min(peers, key=lambda name: peers[name].area)
        seeds = f"{ours.seeds} seeds"
        found.append(row(f"same start, {title}: our AUC", ours.area, "regret", note=seeds))
        found.append(
            row(
                f"same start, {title}: our AUC over the best peer's",
                ours.first(peers[best].seeds).area / peers[best].area,
                "x",
                at_most=1.0,
                note=f"{best}: {peers[best].area:.4f}, both with {peers[best].seeds} seeds",
            )
        )
        if title == "all":
            found.append(_worst(ours, peers))
    return found


def _worst(ours: Curves, peers: dict[str, Curves]) -> Row:
    """Per function: our median regret at the end less what the best peer's allows."""
    lines, excesses = [], {}
    for function in ours.regrets:
        best = min(peers, key=lambda name: peers[name].last(function))
        allowed = FACTOR * peers[best].last(function) + SLACK
        excesses[function] = ours.last(function) - allowed
        lines.append([function, ours.last(function), peers[best].last(function), best, allowed])
    show(
        "Median regret at the end",
        ["function", "ours", "best peer's", "which", "allowed"],
        lines,
    )
    worst = max(excesses, key=lambda function: excesses[function])
    return row(
        f"same start: our median regret at the end less {FACTOR} x the best peer's + {SLACK}",
        excesses[worst],
        "regret",
        at_most=0.0,
        note=f"the worst function, {worst}; {sum(e > 0 for e in excesses.values())} miss",
    )
