"""Optimisers side by side: the table that several experiments print."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from plan import Plan
from records import Record, select
from regret import Curves, raised
from table import show

MARKS = (20, 40, 60)
#: Evaluations at a run's end that the times are a mean of.
TIMED = 5


def compare(
    title: str, plan: Plan, records: Sequence[Record], functions: Sequence[str]
) -> dict[str, Curves]:
    """Print the table; the curves of every optimiser that was run on all the functions."""
    scales = raised(plan.scales(), records)
    found: dict[str, Curves] = {}
    lines: list[list[Any]] = []
    for name in dict.fromkeys(record["optimiser"] for record in records):
        runs = select(records, optimiser=name, function=tuple(functions))
        curves = Curves.of(runs, scales).within(functions)
        if curves is None:
            continue
        found[name] = curves
        marks = [float(curves.mean[m - 1]) if m <= len(curves.mean) else "-" for m in MARKS]
        spent = [np.mean(r["ask_ms"][-TIMED:]) + np.mean(r["tell_ms"][-TIMED:]) for r in runs]
        lines.append(
            [
                name,
                curves.seeds,
                curves.area,
                f"±{curves.area_error:.4f}",
                *marks,
                f"{np.median(spent):.1f}",
                sum(r["failures"] for r in runs),
            ]
        )
    head = ["optimiser", "seeds", "AUC", "", *(f"at {m}" for m in MARKS), "ms", "failures"]
    if lines:
        show(f"{title} ({len(functions)})", head, sorted(lines, key=lambda line: line[2]))
    return found
