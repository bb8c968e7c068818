"""What a report calls things: a search merges models, an optimizer has parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Words:
    """The words in which the two kinds of results differ."""

    title: str
    chosen: str
    #: What has a value, and what that is called.
    subject: str
    value: str
    #: Title and caption of the chart of the points, name of a dimension.
    course: str
    course_caption: str
    dimension: str
    learner: str
    phases: tuple[str, ...]


_SEARCH = Words(
    title="Model merging search",
    chosen="Chosen merge",
    subject="Model",
    value="Coefficient",
    course="Coefficients by trial",
    course_caption="Each model's coefficient in every trial",
    dimension="coefficient",
    learner="search",
    phases=("evaluate", "fisher", "merge", "optimizer"),
)
_OPTIMIZER = Words(
    title="Optimisation",
    chosen="Chosen parameters",
    subject="Parameter",
    value="Value",
    course="Parameters by trial",
    course_caption="Each parameter in every trial",
    dimension="parameter",
    learner="optimiser",
    phases=("evaluate",),
)


def words_of(result: Mapping[str, Any]) -> Words:
    """The words for a result, by its kind."""
    return _OPTIMIZER if result.get("kind") == "optimizer" else _SEARCH
