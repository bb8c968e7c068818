"""The single charts of a report, each drawn into a matplotlib figure or subfigure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase
    from matplotlib.ticker import MaxNLocator

# Mid-tones that keep contrast on white and on near-black, and differ in lightness for readers
# who do not see all hues. INK and GRID stand for the page's own colours (see `_report`).
BLUE, ORANGE, RED = "#3f7fd0", "#d9822b", "#d14b5a"
INK, GRID = "#5a5b5c", "#b9babb"

_LONGEST_LABEL = 28


def axes_of(result: Mapping[str, Any]) -> list[str]:
    """Names of the search's dimensions: models, and "exponent" where it was searched."""
    names = list(result["models"])
    exponents = {trial.get("exponent") for trial in result["trials"]} - {None}
    return [*names, "exponent"] if len(exponents) > 1 else names


def position(point: Mapping[str, Any], name: str, models: Sequence[str]) -> float | None:
    """A trial's or the best point's value in one dimension."""
    value = point["coefficients"].get(name) if name in models else point.get("exponent")
    return None if value is None else float(value)


def label(text: object) -> str:
    """A name as matplotlib text: one line, not too long, nothing read as mathematics."""
    line = "".join(c if c.isprintable() else " " for c in str(text))
    if len(line) > _LONGEST_LABEL:
        line = line[: _LONGEST_LABEL - 1] + "…"
    return line.replace("$", r"\$")


def _style(axes: Axes, *, grid: str = "y") -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GRID)
    axes.tick_params(colors=INK, labelsize=8, length=3)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set_color(INK)
        axis.label.set_fontsize(9)
    if grid:
        axes.grid(True, axis=grid, color=GRID, linewidth=0.5, alpha=0.6)  # type: ignore[arg-type]
    axes.set_axisbelow(True)
    axes.patch.set_visible(False)


def _trial_axis(axes: Axes, result: Mapping[str, Any]) -> None:
    """Number the trials along x, in whole numbers, with the ends clear of the frame."""
    last = max((int(trial["number"]) for trial in result["trials"]), default=0)
    margin = 0.5 + 0.02 * last
    axes.set_xlim(-margin, last + margin)
    cast("MaxNLocator", axes.xaxis.get_major_locator()).set_params(integer=True, min_n_ticks=1)


def _value(trial: Mapping[str, Any]) -> float | None:
    value = trial.get("value")
    if trial["state"] != "complete" or value is None or not math.isfinite(value):
        return None
    return float(value)


def draw_progress(part: FigureBase, result: Mapping[str, Any]) -> None:
    axes = part.subplots()
    _style(axes)
    trials = result["trials"]
    kinds = {"initial": ("none", "o"), "informed": ("none", "D"), "search": (BLUE, "o")}
    for origin, (face, marker) in kinds.items():
        own = [
            (t["number"], value)
            for t in trials
            if t["origin"] == origin and (value := _value(t)) is not None
        ]
        if own:
            axes.scatter(
                [n for n, _ in own],
                [value for _, value in own],
                s=22,
                marker=marker,
                facecolors=face,
                edgecolors=BLUE,
                linewidths=1.1,
                label=origin,
                zorder=3,
            )
    failed = [t["number"] for t in trials if _value(t) is None]
    if failed:
        axes.scatter(
            failed,
            [0.0] * len(failed),
            s=30,
            marker="x",
            color=RED,
            linewidths=1.5,
            label="failed",
            transform=axes.get_xaxis_transform(),
            clip_on=False,
            zorder=4,
        )
    numbers: list[int] = []
    best: list[float] = []
    for trial in trials:
        value = _value(trial)
        if value is not None:
            numbers.append(trial["number"])
            best.append(max(value, best[-1]) if best else value)
    if best:
        axes.step(
            [*numbers, trials[-1]["number"]],
            [*best, best[-1]],
            where="post",
            color=ORANGE,
            linewidth=1.8,
            label="best so far",
        )
        axes.legend(
            fontsize=8, frameon=False, labelcolor=INK, ncols=5, loc="lower left",
            bbox_to_anchor=(0, 1), borderaxespad=0,
        )  # fmt: skip
    chosen = result.get("best") or {}
    if chosen.get("value") is not None and chosen.get("number") is not None:
        axes.axvline(chosen["number"], color=ORANGE, linewidth=0.8, linestyle=(0, (2, 3)))
    _trial_axis(axes, result)
    axes.set_xlabel("trial")
    axes.set_ylabel("score")


def draw_coefficients(part: FigureBase, result: Mapping[str, Any]) -> None:
    names, models, trials = axes_of(result), result["models"], result["trials"]
    grid = part.subplots(len(names), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    best = (result.get("best") or {}).get("number")
    for axes, name in zip(grid, names, strict=True):
        _style(axes)
        points = [(t, position(t, name, models)) for t in trials]
        for wanted, face in (("search", BLUE), ("", "none")):
            own = [
                (t["number"], x)
                for t, x in points
                if x is not None and (t["origin"] == "search") == (wanted == "search")
            ]
            if own:
                axes.scatter(
                    *zip(*own, strict=True), s=9, facecolors=face, edgecolors=BLUE, linewidths=0.9
                )
        ring = [(t["number"], x) for t, x in points if x is not None and t["number"] == best]
        if ring:
            axes.scatter(
                *zip(*ring, strict=True), s=70, facecolors="none", edgecolors=ORANGE, linewidths=1.6
            )
        axes.margins(y=0.12)
        axes.set_ylabel(label(name), rotation=0, ha="right", va="center")
    _trial_axis(grid[-1], result)
    grid[-1].set_xlabel("trial")


def draw_scores(part: FigureBase, result: Mapping[str, Any]) -> None:
    axes = part.subplots()
    _style(axes, grid="x")
    tasks = list(result["tasks"])
    chosen = (result.get("best") or {}).get("scores") or {}
    for row, task in enumerate(tasks):
        every = [
            float(t["scores"][task])
            for t in result["trials"]
            if t.get("scores") and t["scores"].get(task) is not None
        ]
        if every:
            axes.scatter(every, [row] * len(every), marker="|", s=90, color=BLUE, alpha=0.45)
            axes.scatter(
                [max(every)], [row], s=80, facecolors="none", edgecolors=BLUE, linewidths=1.4
            )
        if chosen.get(task) is not None:
            axes.scatter([float(chosen[task])], [row], s=34, color=ORANGE, zorder=4)
    axes.set_yticks(range(len(tasks)), [label(task) for task in tasks])
    axes.set_ylim(len(tasks) - 0.4, -0.6)
    axes.set_xlabel("score")


def draw_slices(part: FigureBase, result: Mapping[str, Any]) -> None:
    slices = result["slices"]
    rows, columns = math.ceil(len(slices) / 3), min(3, len(slices))
    grid = part.subplots(rows, columns, sharey=True, squeeze=False)
    models, best = result["models"], result.get("best")
    for axes in grid.flat[len(slices) :]:
        axes.set_visible(False)
    for index, (axes, curve) in enumerate(zip(grid.flat, slices, strict=False)):
        _style(axes)
        low = [m - 2 * s for m, s in zip(curve["mean"], curve["sd"], strict=True)]
        high = [m + 2 * s for m, s in zip(curve["mean"], curve["sd"], strict=True)]
        axes.fill_between(curve["at"], low, high, color=BLUE, alpha=0.22, linewidth=0)
        axes.plot(curve["at"], curve["mean"], color=BLUE, linewidth=1.6)
        at = position(best, curve["name"], models) if best else None
        if at is not None:
            axes.axvline(at, color=ORANGE, linewidth=1.2, linestyle="--")
        axes.set_xlabel(label(curve["name"]))
        if index % columns == 0:
            axes.set_ylabel("expected score")


def draw_importance(part: FigureBase, result: Mapping[str, Any]) -> None:
    axes = part.subplots()
    _style(axes, grid="x")
    scales = sorted(result["length_scales"].items(), key=lambda item: float(item[1]))
    inverse = [1 / float(scale) if float(scale) > 0 else 0.0 for _, scale in scales]
    bars = axes.barh(range(len(scales)), inverse, color=BLUE, height=0.6)
    axes.bar_label(
        bars, [f"ℓ = {float(s):.3g}" for _, s in scales], padding=4, fontsize=8, color=INK
    )
    axes.set_yticks(range(len(scales)), [label(name) for name, _ in scales])
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_xlabel("1 / length scale")
