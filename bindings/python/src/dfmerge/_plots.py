"""Charts of a finished search, drawn with matplotlib (the `plots` extra)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import _axes, _charts, _charts_tasks
from ._words import words_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure, FigureBase

WIDTH = 8.0


@dataclass(frozen=True)
class Panel:
    """One chart: what it is called, what it shows in a sentence, how to draw it."""

    title: str
    caption: str
    height: float
    draw: Callable[[FigureBase], None]


def figure_class() -> type[Figure]:
    """matplotlib's Figure, without pyplot and its global state."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "report() and plot() draw with matplotlib, which is not installed; "
            "pip install 'dfmerge[plots]'"
        ) from error
    return Figure


def plot(result: Mapping[str, Any]) -> Figure:
    """Draw every panel below one another.

    Parameters
    ----------
    result : mapping
        What `Result.to_dict()` returns, format 2.

    Returns
    -------
    matplotlib.figure.Figure
        Independent of pyplot: show it in a notebook or save it with ``savefig``.

    Raises
    ------
    ImportError
        matplotlib is not installed; the message names the extra that brings it.
    """
    drawn = panels(result)
    heights = [panel.height for panel in drawn]
    figure = figure_class()(figsize=(WIDTH, sum(heights)), layout="constrained")
    parts = figure.subfigures(len(drawn), 1, height_ratios=heights, squeeze=False)[:, 0]
    for part, panel in zip(parts, drawn, strict=True):
        part.suptitle(panel.title, fontsize=11, fontweight="bold", x=0.01, ha="left")
        panel.draw(part)
    return figure


def panels(result: Mapping[str, Any]) -> list[Panel]:
    """The panels for which the result has data, in reading order."""
    check_format(result)
    return [*_course(result), *_tasks(result), *_model(result)]


def _course(result: Mapping[str, Any]) -> list[Panel]:
    """What was tried and how well it went."""
    words = words_of(result)
    found = [
        Panel(
            "Progress",
            words.progress,
            3.0,
            lambda part: _charts.draw_progress(part, result),
        )
    ]
    rows = len(_charts_tasks.margins_of(result))
    if rows:
        found.append(
            Panel(
                words.margin,
                words.margin_caption,
                0.9 + 0.45 * rows,
                lambda part: _charts_tasks.draw_margins(part, result),
            )
        )
    if _axes.groups_of(result) and result.get("best"):
        models = len(_axes.parameters_of(result))
        found.append(
            Panel(
                "Chosen coefficients by group",
                "Each model's coefficient in each group of tensors; the squares' areas are the "
                "coefficients' sizes, red ones below 0.",
                1.2 + 0.5 * models,
                lambda part: _charts_tasks.draw_table(part, result),
            )
        )
    found.append(
        Panel(
            words.course,
            f"{words.course_caption}; the ringed point is the chosen one."
            + _axes.room_note(result),
            0.5 + 0.85 * len(_axes.shown_axes(result)),
            lambda part: _charts.draw_coefficients(part, result),
        )
    )
    return found


def _tasks(result: Mapping[str, Any]) -> list[Panel]:
    """How the tasks fared."""
    found = []
    if any(trial.get("scores") for trial in result["trials"]):
        tasks = len(result["tasks"])
        found.append(
            Panel(
                "Scores by task",
                "Every trial's score (ticks), the chosen trial (dot), the best score any trial "
                "reached on that task alone (ring), and the floor where there is one (red bar). "
                "Grey at the left: trials far below.",
                0.9 + 0.4 * tasks,
                lambda part: _charts_tasks.draw_scores(part, result),
            )
        )
    if result.get("pareto") and len(result["tasks"]) > 1:
        plane = len(result["tasks"]) == 2
        found.append(
            Panel(
                "Between the tasks",
                "The front: trials that no other trial beats on all tasks, so that more on one "
                "costs something on another. "
                + (
                    "Trials up and to the right are better; those far below are on the edge."
                    if plane
                    else "Each line is a trial; each axis runs from the lowest to the highest "
                    "score of its task, trials far below standing at its foot."
                ),
                3.8 if plane else 3.4,
                lambda part: _charts_tasks.draw_front(part, result),
            )
        )
    return found


def _model(result: Mapping[str, Any]) -> list[Panel]:
    """What the model of the scores has learnt."""
    found = []
    words = words_of(result)
    if result.get("slices"):
        rows = math.ceil(min(len(result["slices"]), _axes.SHOWN_AXES) / 3)
        found.append(
            Panel(
                f"What the {words.learner} has learnt",
                f"Expected score along each {words.dimension}, the others at the chosen point; "
                "band: two standard deviations of the model; dashed: the chosen value."
                + _axes.room_note(result),
                0.4 + 2.1 * rows,
                lambda part: _charts.draw_slices(part, result),
            )
        )
    if result.get("importance"):
        count = min(len(result["importance"]), _axes.SHOWN_AXES)
        found.append(
            Panel(
                "Importance",
                f"Each {words.dimension}'s share of how much the model expects the score to vary "
                "over the whole search space; ℓ: its length scale, short where the score changes "
                "fast.",
                0.8 + 0.32 * count,
                lambda part: _charts.draw_importance(part, result),
            )
        )
    return found


def check_format(result: Mapping[str, Any]) -> None:
    """Raise ValueError unless the result is of the format this module knows."""
    if result.get("format") != 2:
        raise ValueError(
            f"the result has format {result.get('format')!r}; this version reads format 2"
        )
