"""One model per task against one model of the aggregate, for three aggregates."""

from __future__ import annotations

import numpy as np
import registry
from functions.problem import AGGREGATES, Aggregate, Array, Problem, aggregate
from plan import Plan
from records import Job, Record, rounded, select
from regret import Curves, raised
from table import Row, row, show
from trajectory import INITIAL

NAME = "tasks"
#: What is modelled; every task's score is told.
MODELLED = ("aggregate", "tasks")


def jobs(plan: Plan) -> list[Job]:
    """Our optimiser on the merging-like problems."""
    optimisers = {registry.OURS: plan.amount.ours_few}
    functions = plan.names(merging=True)
    return [
        job
        for how in AGGREGATES
        for modelled in MODELLED
        for job in plan.jobs(NAME, optimisers, functions, f"{how} {modelled}")
    ]


def run(job: Job, problem: Problem) -> Record:
    """One run."""
    how, modelled = _variant(job.variant)
    names = [f"task {m}" for m in range(problem.tasks)]
    optimiser = registry.make(
        job.optimiser,
        d=problem.d,
        seed=job.run_seed,
        budget=job.budget,
        n_init=INITIAL,
        init=None,
        tasks=names,
        aggregate=how,
        modelling=modelled,
    )
    values: list[float] = []
    for _ in range(job.budget):
        point = optimiser.ask()
        scores: Array = problem.task_scores(np.asarray(point)[None])
        values.append(float(aggregate(scores, how)[0]))
        optimiser.tell(point, dict(zip(names, map(float, scores[0]), strict=True)))
    chosen = np.asarray(optimiser.recommend())
    return {
        "values": rounded(values),
        "recommended": float(problem.true_values(chosen, how)[0]),
    }


def rows(plan: Plan, stored: dict[str, list[Record]]) -> list[Row]:
    """The areas under the regret curves, and their ratio."""
    found: list[Row] = []
    lines = []
    functions = plan.names(merging=True)
    for how in AGGREGATES:
        of_both = [select(stored[NAME], variant=f"{how} {modelled}") for modelled in MODELLED]
        scales = raised(plan.scales(how), [*of_both[0], *of_both[1]])
        one, several = (Curves.of(runs, scales).within(functions) for runs in of_both)
        if one is None or several is None:
            continue
        for modelled, runs, curves in zip(MODELLED, of_both, (one, several), strict=True):
            gaps = [float(scales[r["function"]].true_gap(np.array(r["recommended"]))) for r in runs]
            lines.append(
                [
                    how,
                    modelled,
                    curves.seeds,
                    curves.area,
                    f"±{curves.area_error:.4f}",
                    float(curves.mean[-1]),
                    float(np.mean(gaps)),
                ]
            )
        found.append(
            row(
                f"tasks modelled apart, {how}: AUC over that of modelling the {how}",
                several.area / one.area,
                "x",
                note=f"{one.seeds} seeds, {len(functions)} functions",
            )
        )
    if lines:
        head = ["aggregate", "modelled", "seeds", "AUC", "", "at the end", "true gap recommended"]
        show("One model per task, or one of the aggregate", head, lines)
    return found


def _variant(text: str) -> tuple[Aggregate, str]:
    how, _, modelled = text.partition(" ")
    return next(name for name in AGGREGATES if name == how), modelled
