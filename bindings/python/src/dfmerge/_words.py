"""What a report calls things: a search merges models, an optimizer has parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Words:
    """The words in which the kinds of results differ."""

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
    #: What the chart of the scores says of its marks.
    progress: str
    #: Title, caption and axis of the chart of the margins.
    margin: str
    margin_caption: str
    margin_axis: str = "difference of the expected scores"


_MARKS = (
    "Score of every trial, and the best so far. Hollow: initial design; filled: chosen by the {}; "
    "marks on the axis: far below the others, or no whole score; band: 95 % interval of the "
    "noise-free score of the trial that the final model expects most of so far; dotted line: the "
    "chosen trial."
)
_MARGIN = "Margin over merging without a search"
_MARGIN_CAPTION = (
    "How far the chosen trial's expected score is above plain averaging and the best of the simple "
    "merges that were evaluated; line: 95 % interval, which takes the two scores as independent."
)


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
    progress=_MARKS.format("search"),
    margin=_MARGIN,
    margin_caption=_MARGIN_CAPTION,
)
_SOUP = Words(
    title="Greedy soup",
    chosen="Chosen soup",
    subject="Model",
    value="Weight",
    course="Weights by trial",
    course_caption="Each model's weight in the average of every trial",
    dimension="weight",
    learner="search",
    phases=("evaluate", "merge"),
    progress=(
        "Score of every trial, and the best so far. Hollow: a model alone; filled: the soup with "
        "one more; marks on the axis: far below the others, or failed; dotted line: the chosen "
        "soup."
    ),
    margin="What the soup gains",
    margin_caption=(
        "How far its score is above that of the best model alone and, where it was scored, of the "
        "average of all models."
    ),
    margin_axis="difference of the scores",
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
    progress=_MARKS.format("optimiser"),
    margin=_MARGIN,
    margin_caption=_MARGIN_CAPTION,
)


def words_of(result: Mapping[str, Any]) -> Words:
    """The words for a result, by its kind."""
    if result.get("soup"):
        return _SOUP
    return _OPTIMIZER if result.get("kind") == "optimizer" else _SEARCH
