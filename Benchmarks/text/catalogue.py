"""The library's methods on the text tasks: what each is given, and what is tuned on validation.

Options are the defaults; what a method's authors tune on validation data is tuned here, on their
grid where they give one. Methods for two models or for adapters are not among them; df_merge, dppa
and fisher have rows of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


def steps(first: float, last: float, step: float) -> tuple[float, ...]:
    """An even grid, its ends included."""
    count = round((last - first) / step)
    return tuple(round(first + step * number, 4) for number in range(count + 1))


@dataclass(frozen=True)
class Tuned:
    """A method, and the grid of the one option that is chosen on validation, if any is."""

    title: str
    option: str = ""
    grid: tuple[float, ...] = ()
    #: Whether the change from the base is proportional to the option: one merge serves the grid.
    proportional: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    #: Gram matrices of the inputs of linear layers, measured on training texts without labels.
    grams: bool = False


COEFFICIENTS = steps(0.1, 1.0, 0.1)
LAMBDAS = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0)
#: That of the authors of TSV-M and Iso-C.
SPECTRAL = steps(0.1, 3.0, 0.1)

TUNED: dict[str, Tuned] = {
    "average": Tuned("average"),
    "task_arithmetic": Tuned(
        "task arithmetic, best single", "coefficients", COEFFICIENTS, proportional=True
    ),
    "ties": Tuned("TIES, best lambda", "lambda", LAMBDAS, proportional=True),
    "dare": Tuned("DARE, best coefficient", "coefficients", COEFFICIENTS, proportional=True),
    "dare_ties": Tuned("DARE-TIES, best lambda", "lambda", COEFFICIENTS, proportional=True),
    "breadcrumbs": Tuned(
        "Breadcrumbs, best coefficient", "coefficients", steps(0.2, 2.0, 0.2), proportional=True
    ),
    "breadcrumbs_ties": Tuned(
        "Breadcrumbs-TIES, best lambda", "lambda", steps(0.2, 2.0, 0.2), proportional=True
    ),
    "della": Tuned("DELLA, best lambda", "lambda", LAMBDAS, proportional=True),
    "della_linear": Tuned(
        "DELLA without election, best coefficient", "coefficients", COEFFICIENTS, proportional=True
    ),
    "sce": Tuned("SCE, better select_topk of 1 and 0.1", "select_topk", (1.0, 0.1)),
    "pcb": Tuned(
        "PCB-Merging, best coefficient", "coefficients", steps(0.8, 2.2, 0.2), proportional=True
    ),
    "model_stock": Tuned("Model Stock"),
    "karcher": Tuned("Karcher mean"),
    "multislerp": Tuned("Multi-SLERP of the changes"),
    "opcm": Tuned("OPCM, in the order of the tasks"),
    "iso_c": Tuned("Iso-C, best lambda", "lambda", SPECTRAL, proportional=True),
    "iso_cts": Tuned("Iso-CTS, best lambda", "lambda", SPECTRAL, proportional=True),
    "tsv_m": Tuned("TSV-M, best lambda", "lambda", SPECTRAL, proportional=True),
    "regmean": Tuned(
        "RegMean, best off_diagonal", "off_diagonal", (0.1, 0.5, 0.7, 0.9, 1.0), grams=True
    ),
}
#: One model for each task, so beside the others and not among them.
PER_TASK = {"emr": "EMR-Merging (a model for each task)"}
