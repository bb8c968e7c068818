"""A score of 200 fresh examples per evaluation: is the point that is recommended truly good?

Every optimiser starts with the same points and meets the same draws at equal true scores. The
variance of a score is told to those that take one. What counts is the true score of the point that
the optimiser recommends after the last evaluation.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import registry
from functions.problem import Problem
from plan import Plan
from records import Job, Record, select
from table import Row, row, show
from trajectory import follow

NAME = "noise"
EXAMPLES = 200
#: How each optimiser chooses; all others recommend their best observed point.
CHOICE = {
    registry.OURS: "best posterior mean, variances told",
    "BoTorch log NEI": "best posterior mean among evaluated points, variances told (train_Yvar)",
    "BoTorch log EI": "best posterior mean among evaluated points, variances told (train_Yvar)",
}
OBSERVED = "best observed"


def jobs(plan: Plan) -> list[Job]:
    """Our optimiser and each peer on the merging-like problems."""
    return plan.jobs(
        NAME, {registry.OURS: plan.amount.ours, **plan.amount.peers}, plan.names(merging=True)
    )


def run(job: Job, problem: Problem) -> Record:
    """One run."""

    def score(x: np.ndarray, number: int) -> tuple[float, float]:
        true = float(np.clip(problem.true_values(x)[0], 0, 1))
        random = np.random.default_rng([job.run_seed, 11, number])
        # The draw's quantile is common to all optimisers: the same luck at the same evaluation.
        right = int((random.random(EXAMPLES) < true).sum())
        # One example more of each kind: no variance of zero where all are right.
        share = (right + 1) / (EXAMPLES + 2)
        return right / EXAMPLES, share * (1 - share) / EXAMPLES

    return follow(job, problem, shared=True, score=score)


def rows(plan: Plan, stored: dict[str, list[Record]]) -> list[Row]:
    """The true gap of what is recommended: ours, and the best peer's."""
    records, functions = stored[NAME], plan.names(merging=True)
    scales = plan.scales()
    lines: list[list[Any]] = []
    gaps: dict[str, float] = {}
    for name in dict.fromkeys(record["optimiser"] for record in records):
        per_function, errors, seeds = [], [], []
        for function in functions:
            runs = select(records, optimiser=name, function=function)
            if not runs:
                break
            found = scales[function].true_gap(np.array([_recommended(run) for run in runs]))
            per_function.append(found.mean())
            errors.append(found.var(ddof=1) / len(found) if len(found) > 1 else 0.0)
            seeds.append(len(runs))
        else:
            gap, error = float(np.mean(per_function)), float(np.sqrt(sum(errors)) / len(functions))
            gaps[name] = gap
            chosen = CHOICE.get(name, OBSERVED)
            lines.append([name, min(seeds), gap, f"±{error:.4f}", chosen])
    if not lines:
        return []
    head = ["optimiser", "seeds", "true gap", "", "recommends"]
    show(
        f"Scores of {EXAMPLES} fresh examples, {len(functions)} merging-like functions: the true "
        "score of the recommended point, 0 the true optimum, 1 the median",
        head,
        sorted(lines, key=lambda line: line[2]),
    )
    peers = {name: gap for name, gap in gaps.items() if not registry.is_ours(name)}
    if registry.OURS not in gaps or not peers:
        return []
    best = min(peers, key=lambda name: peers[name])
    return [
        row("noise: our true gap", gaps[registry.OURS], "regret"),
        row(
            "noise: our true gap less the best peer's",
            gaps[registry.OURS] - peers[best],
            "regret",
            at_most=0.0,
            note=f"{best}: {peers[best]:.4f}",
        ),
    ]


def _recommended(record: Record) -> float:
    return float(record["recommended"][str(record["budget"])])
