"""Charts about tasks and baselines: scores, floors, the Pareto front, margins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ._axes import parameters_of
from ._charts import BLUE, GRID, INK, ORANGE, RED, decimal, label, lowest_shown, style
from ._words import words_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase


def _floors(result: Mapping[str, Any]) -> dict[str, float]:
    """The lowest acceptable scores by task."""
    return {t: float(f) for t, f in ((result.get("options") or {}).get("floors") or {}).items()}


def _complete(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The trials with a score for every task."""
    tasks = result["tasks"]
    return [
        trial
        for trial in result["trials"]
        if trial["state"] == "complete"
        and trial.get("scores")
        and all(trial["scores"].get(task) is not None for task in tasks)
    ]


def _lowest(result: Mapping[str, Any], task: str) -> float | None:
    """Where a task's axis starts, its floor included; None shows every trial."""
    values = [float(trial["scores"][task]) for trial in _complete(result)]
    low, floor = lowest_shown(values), _floors(result).get(task)
    return low if low is None or floor is None else min(low, floor)


def draw_scores(part: FigureBase, result: Mapping[str, Any]) -> None:
    axes = part.subplots()
    style(axes, grid="x")
    tasks, floors = list(result["tasks"]), _floors(result)
    chosen = (result.get("best") or {}).get("scores") or {}
    lows = [_lowest(result, task) for task in tasks]
    kept = [low for low in lows if low is not None]
    # One axis for all tasks: it starts at the lowest of theirs, if none shows every trial.
    start = min(kept) if kept and len(kept) == len(tasks) else None
    for row, task in enumerate(tasks):
        every = [
            float(t["scores"][task])
            for t in result["trials"]
            if t.get("scores") and t["scores"].get(task) is not None
        ]
        if every:
            shown = [value for value in every if start is None or value >= start]
            axes.scatter(shown, [row] * len(shown), marker="|", s=90, color=BLUE, alpha=0.45)
            if start is not None and len(shown) < len(every):
                axes.scatter([start], [row], marker="<", s=26, color=GRID)
            axes.scatter(
                [max(every)], [row], s=80, facecolors="none", edgecolors=BLUE, linewidths=1.4
            )
        if task in floors:
            axes.plot([floors[task]] * 2, [row - 0.36, row + 0.36], color=RED, linewidth=2)
        if chosen.get(task) is not None:
            axes.scatter([float(chosen[task])], [row], s=34, color=ORANGE, zorder=4)
    axes.set_yticks(range(len(tasks)), [label(task) for task in tasks])
    axes.set_ylim(len(tasks) - 0.4, -0.6)
    axes.set_xlabel("score")


def draw_front(part: FigureBase, result: Mapping[str, Any]) -> None:
    """Which trials no other beats on all tasks: a plane for two tasks, lines across for more."""
    axes = part.subplots()
    if len(result["tasks"]) == 2:
        _draw_plane(axes, result)
    else:
        _draw_lines(axes, result)


def _legend(axes: Axes) -> None:
    axes.legend(
        fontsize=8, frameon=False, labelcolor=INK, ncols=4, loc="lower left",
        bbox_to_anchor=(0, 1), borderaxespad=0,
    )  # fmt: skip


def _draw_plane(axes: Axes, result: Mapping[str, Any]) -> None:
    style(axes, grid="both")
    first, second = result["tasks"]
    lows = [_lowest(result, task) for task in (first, second)]

    def place(trial: Mapping[str, Any]) -> tuple[float, float]:
        """Its scores; what lies far below stands on the edge."""
        x, y = (
            trial["scores"][task] if low is None else max(trial["scores"][task], low)
            for task, low in zip((first, second), lows, strict=True)
        )
        return x, y

    points = {trial["number"]: place(trial) for trial in _complete(result)}
    front = sorted(points[number] for number in result["pareto"] if number in points)
    others = [point for number, point in points.items() if number not in result["pareto"]]
    if others:
        axes.scatter(
            [x for x, _ in others], [y for _, y in others], s=16, facecolors="none",
            edgecolors=BLUE, alpha=0.9, label="other trials",
        )  # fmt: skip
    if front:
        xs, ys = zip(*front, strict=True)
        # A step, for what lies between two trials of the front has not been reached: with more of
        # the first score than one has, the next one's second score is the best there is.
        axes.step(xs, ys, where="pre", color=BLUE, linewidth=1.2)
        axes.scatter(xs, ys, s=30, color=BLUE, label="front", zorder=3)
    best = points.get((result.get("best") or {}).get("number", -1))
    if best:
        axes.scatter([best[0]], [best[1]], s=46, color=ORANGE, label="chosen", zorder=4)
    floors = _floors(result)
    if first in floors:
        axes.axvline(floors[first], color=RED, linewidth=1.2, label="floor")
    if second in floors:
        name = None if first in floors else "floor"
        axes.axhline(floors[second], color=RED, linewidth=1.2, label=name)
    axes.set_xlabel(label(first))
    axes.set_ylabel(label(second))
    _legend(axes)


def _draw_lines(axes: Axes, result: Mapping[str, Any]) -> None:
    style(axes, grid="x")
    tasks, trials, floors = list(result["tasks"]), _complete(result), _floors(result)
    ends: list[tuple[float, float]] = []
    for task in tasks:
        values = [float(t["scores"][task]) for t in trials]
        values += [floors[task]] if task in floors else []
        low, high = _lowest(result, task), max(values, default=1.0)
        if low is None:
            low = min(values, default=0.0)
        ends.append((low, high) if high > low else (low - 0.5, low + 0.5))

    def height(value: float, index: int) -> float:
        low, high = ends[index]
        return max((value - low) / (high - low), 0.0)

    front, chosen = set(result["pareto"]), (result.get("best") or {}).get("number")
    named: set[str] = set()
    for trial in trials:
        number = trial["number"]
        if number == chosen:
            name, color, width, alpha, order = "chosen", ORANGE, 2.2, 1.0, 5
        elif number in front:
            name, color, width, alpha, order = "front", BLUE, 1.3, 0.8, 4
        else:
            name, color, width, alpha, order = "other trials", GRID, 0.7, 0.7, 2
        axes.plot(
            range(len(tasks)),
            [height(float(trial["scores"][task]), i) for i, task in enumerate(tasks)],
            color=color, linewidth=width, alpha=alpha, zorder=order,
            label=None if name in named else name,
        )  # fmt: skip
        named.add(name)
    for index, task in enumerate(tasks):
        if task in floors:
            level = height(floors[task], index)
            axes.plot(
                [index - 0.12, index + 0.12], [level, level], color=RED, linewidth=2.4, zorder=6,
                label=None if "floor" in named else "floor",
            )  # fmt: skip
            named.add("floor")
        for level, value in zip((-0.03, 1.03), ends[index], strict=True):
            axes.text(
                index, level, f"{value:.3g}", ha="center", va="top" if level < 0 else "bottom",
                fontsize=7, color=INK,
            )  # fmt: skip
    axes.set_ylim(-0.14, 1.14)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlim(-0.4, len(tasks) - 0.6)
    # Many or long names need the room of a slope.
    slanted = len(tasks) > 4 or any(len(str(task)) > 14 for task in tasks)
    axes.set_xticks(
        range(len(tasks)), [label(task) for task in tasks], rotation=25 if slanted else 0,
        ha="right" if slanted else "center",
    )  # fmt: skip
    if named:
        _legend(axes)


def margins_of(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The merges without a search that the chosen trial is compared with, each once."""
    margin = result.get("margin") or {}
    found: list[Mapping[str, Any]] = []
    for key in ("average", "baseline"):
        one = margin.get(key)
        if one and one["name"] not in [other["name"] for other in found]:
            found.append(one)
    return found


def draw_margins(part: FigureBase, result: Mapping[str, Any]) -> None:
    axes = part.subplots()
    style(axes, grid="x")
    rows = margins_of(result)
    for row, margin in enumerate(rows):
        if margin.get("interval"):
            axes.plot(margin["interval"], [row, row], color=BLUE, linewidth=2.2, alpha=0.55)
        axes.scatter([margin["difference"]], [row], s=40, color=ORANGE, zorder=3)
        axes.annotate(
            decimal(margin["difference"], sign="+"), (margin["difference"], row), xytext=(0, 7),
            textcoords="offset points", ha="center", fontsize=8, color=INK,
        )  # fmt: skip
    axes.axvline(0, color=INK, linewidth=1)
    axes.set_yticks(range(len(rows)), [f"over {label(margin['name'])}" for margin in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel(words_of(result).margin_axis)


def draw_table(part: FigureBase, result: Mapping[str, Any]) -> None:
    """The chosen coefficients by model and group, as a map with numbers."""
    axes = part.subplots()
    style(axes, grid="")
    groups = [str(group["name"]) for group in result["groups"]]
    models, chosen = parameters_of(result), result["best"]["coefficients"]
    values = [[float(chosen[model][group]) for group in groups] for model in models]
    highest = max(abs(value) for row in values for value in row) or 1.0
    for row, numbers in enumerate(values):
        for column, value in enumerate(numbers):
            # Area says how much, colour whether it is added or taken away.
            axes.scatter(
                [column], [row], s=30 + 420 * abs(value) / highest, marker="s",
                color=BLUE if value >= 0 else RED, alpha=0.3, linewidths=0,
            )  # fmt: skip
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=8, color=INK)
    slanted = len(groups) > 5 or any(len(group) > 12 for group in groups)
    axes.set_xticks(
        range(len(groups)), [label(group) for group in groups], rotation=25 if slanted else 0,
        ha="right" if slanted else "center",
    )  # fmt: skip
    axes.set_yticks(range(len(models)), [label(model) for model in models])
    axes.set_xlim(-0.6, len(groups) - 0.4)
    axes.set_ylim(len(models) - 0.4, -0.6)
