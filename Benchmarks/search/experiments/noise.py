"""A score of 200 fresh examples per evaluation: is the point that is recommended truly good?

Every optimiser starts with the same points and meets the same draws at equal true scores. The
variance of a score is told to those that take one. What counts is the true score of the point that
the optimiser recommends after the last evaluation.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import registry
from functions.problem import Problem
from functions.scale import Scale
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
#: The true gap of every function and seed.
Gaps = dict[tuple[str, int], float]


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
    """The true gap of what is recommended: ours, and ours less that of the best peer."""
    functions = plan.names(merging=True)
    gaps = _gaps(plan, stored[NAME], functions)
    if not gaps:
        return []
    lines = []
    for name, found in sorted(gaps.items(), key=lambda item: _mean(item[1])):
        seeds = len(found) // len(functions)
        lines.append([name, seeds, _mean(found), _spread(found), CHOICE.get(name, OBSERVED)])
    show(
        f"Scores of {EXAMPLES} fresh examples, {len(functions)} merging-like functions: the true "
        "score of the recommended point, 0 the true optimum, 1 the median",
        ["optimiser", "seeds", "true gap", "", "recommends"],
        lines,
    )
    if registry.OURS not in gaps:
        return []
    ours = gaps[registry.OURS]
    rows = [row("noise: our true gap", _mean(ours), "regret")]
    # On the same functions and seeds, which have the same start.
    differences = {
        name: {key: ours[key] - gap for key, gap in found.items() if key in ours}
        for name, found in gaps.items()
        if not registry.is_ours(name)
    }
    if differences:
        best = max(differences, key=lambda name: _mean(differences[name]))
        found = differences[best]
        rows.append(
            row(
                "noise: our true gap less the best peer's",
                _mean(found),
                "regret",
                at_most=0.0,
                note=f"{best}, {len(found)} runs of each, {_spread(found) or 'one seed'}",
            )
        )
    return rows


def _gaps(plan: Plan, records: Sequence[Record], functions: Sequence[str]) -> dict[str, Gaps]:
    """Per optimiser that was run on every function: the gaps of the seeds that all of them have."""
    scales = plan.scales()
    found: dict[str, Gaps] = {}
    for name in dict.fromkeys(record["optimiser"] for record in records):
        runs = select(records, optimiser=name, function=tuple(functions))
        seeds = [{r["seed"] for r in runs if r["function"] == f} for f in functions]
        common = set.intersection(*seeds)
        chosen = [run for run in runs if run["seed"] in common]
        if chosen:
            found[name] = {(r["function"], r["seed"]): _gap(r, scales) for r in chosen}
    return found


def _gap(record: Record, scales: dict[str, Scale]) -> float:
    value = record["recommended"][str(record["budget"])]
    return float(scales[record["function"]].true_gap(np.array(value)))


def _mean(gaps: Gaps) -> float:
    return float(np.mean(list(gaps.values())))


def _spread(gaps: Gaps) -> str:
    """Standard error of the mean, functions being given and seeds drawn; empty for one seed."""
    per_function: dict[str, list[float]] = {}
    for (function, _), gap in gaps.items():
        per_function.setdefault(function, []).append(gap)
    variances = [np.var(v, ddof=1) / len(v) for v in per_function.values() if len(v) > 1]
    return f"±{np.sqrt(np.sum(variances)) / len(per_function):.4f}" if variances else ""
