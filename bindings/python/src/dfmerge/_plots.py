"""Charts of a finished search, drawn with matplotlib (the `plots` extra)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import _charts

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
        What `Result.to_dict()` returns, format 1.

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
    dimensions = len(_charts.axes_of(result))
    found = [
        Panel(
            "Progress",
            "Score of every trial, and the best so far. Hollow: initial design; filled: chosen "
            "by the search; crosses on the axis: failed; dotted line: the chosen trial.",
            3.0,
            lambda part: _charts.draw_progress(part, result),
        ),
        Panel(
            "Coefficients by trial",
            "Each model's coefficient in every trial; the ringed point is the chosen one.",
            0.5 + 0.85 * dimensions,
            lambda part: _charts.draw_coefficients(part, result),
        ),
    ]
    if any(trial.get("scores") for trial in result["trials"]):
        tasks = len(result["tasks"])
        found.append(
            Panel(
                "Scores by task",
                "Every trial's score (ticks), the chosen trial (dot), and the best score any "
                "trial reached on that task alone (ring).",
                0.9 + 0.4 * tasks,
                lambda part: _charts.draw_scores(part, result),
            )
        )
    if result.get("slices"):
        rows = math.ceil(len(result["slices"]) / 3)
        found.append(
            Panel(
                "What the search has learnt",
                "Expected score along each coefficient, the others at the chosen point; band: "
                "two standard deviations of the model; dashed: the chosen value.",
                0.4 + 2.1 * rows,
                lambda part: _charts.draw_slices(part, result),
            )
        )
    if result.get("length_scales"):
        found.append(
            Panel(
                "Importance",
                "1 / length scale of the model: the longer the bar, the faster the score "
                "changes with that coefficient.",
                0.8 + 0.32 * len(result["length_scales"]),
                lambda part: _charts.draw_importance(part, result),
            )
        )
    return found


def check_format(result: Mapping[str, Any]) -> None:
    """Raise ValueError unless the result is of the format this module knows."""
    if result.get("format") != 1:
        raise ValueError(
            f"the result has format {result.get('format')!r}; this version reads format 1"
        )
