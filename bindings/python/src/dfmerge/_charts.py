"""The single charts of a report, each drawn into a matplotlib figure or subfigure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any, cast

from ._axes import Axis, interval_of, shown_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase
    from matplotlib.ticker import MaxNLocator

# Mid-tones that keep contrast on white and on near-black, and differ in lightness for readers
# who do not see all hues. INK and GRID stand for the page's own colours (see `_report`).
BLUE, ORANGE, RED = "#3f7fd0", "#d9822b", "#d14b5a"
INK, GRID = "#5a5b5c", "#b9babb"

_LONGEST_LABEL = 28


def label(text: object, longest: int = _LONGEST_LABEL) -> str:
    """A name as matplotlib text: one line, not too long, nothing read as mathematics."""
    line = "".join(c if c.isprintable() else " " for c in str(text))
    if len(line) > longest:
        line = line[: longest - 1] + "…"
    return line.replace("$", r"\$")


def decimal(value: float, digits: int = 4, sign: str = "") -> str:
    """With so many decimals, or so many digits and an exponent where those would not tell it."""
    plain = value == 0 or 1e-4 <= abs(value) < 1e6
    return f"{value:{sign}.{digits}{'f' if plain else 'g'}}"


def axis_label(axis: Axis) -> str:
    """A dimension's name: of a long model's name its group leaves less."""
    if not axis.group:
        return label(axis.name)
    group = label(axis.group, 14)
    return f"{label(axis.model, _LONGEST_LABEL - 3 - len(group))} · {group}"


def style(axes: Axes, *, grid: str = "y") -> None:
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


def lowest_shown(values: Sequence[float]) -> float | None:
    """Where an axis starts so that collapsed trials do not flatten the rest; None shows them all.

    The median less twice what the best is above it.
    """
    if not values:
        return None
    middle = median(values)
    low = middle - 2 * (max(values) - middle)
    return low if min(values) < low < middle else None


def draw_progress(part: FigureBase, result: Mapping[str, Any]) -> None:
    axes = part.subplots()
    style(axes)
    trials = result["trials"]
    values = [(t, value) for t in trials if (value := _value(t)) is not None]
    low = lowest_shown([value for _, value in values])
    kinds = {
        "initial": ("none", "o"),
        "informed": ("none", "D"),
        "observation": ("none", "s"),
        "search": (BLUE, "o"),
        "alone": ("none", "o"),
        "soup": (BLUE, "o"),
    }
    for origin, (face, marker) in kinds.items():
        own = [
            (t["number"], value)
            for t, value in values
            if t["origin"] == origin and (low is None or value >= low)
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
    settled = [t["number"] for t in trials if t["state"] == "subset"]
    failed = [t["number"] for t in trials if _value(t) is None and t["state"] != "subset"]
    below = [t["number"] for t, value in values if low is not None and value < low]
    for at, marker, color, name in (
        (below, "v", GRID, "far below"),
        (settled, "^", BLUE, "subset only"),
        (failed, "x", RED, "failed"),
    ):
        if at:
            axes.scatter(
                at,
                [0.0] * len(at),
                s=30,
                marker=marker,
                color=color,
                linewidths=1.5,
                label=name,
                transform=axes.get_xaxis_transform(),
                clip_on=False,
                zorder=4,
            )
    _draw_best_so_far(axes, trials)
    if low is not None:
        top = axes.get_ylim()[1]
        axes.set_ylim(low - 0.08 * (top - low), top)
    target = (result.get("options") or {}).get("target")
    if target is not None:
        axes.axhline(target, color=INK, linewidth=0.9, linestyle=(0, (5, 3)), label="target")
    if axes.get_legend_handles_labels()[0]:
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


def _draw_best_so_far(axes: Axes, trials: list[Mapping[str, Any]]) -> None:
    """The highest score so far, and what the final model expects of the best trial so far."""
    numbers: list[int] = []
    best: list[float] = []
    expected: list[tuple[int, float, float]] = []
    for trial in trials:
        value = _value(trial)
        if value is None:
            continue
        numbers.append(trial["number"])
        best.append(max(value, best[-1]) if best else value)
        mean, sd = trial.get("mean"), trial.get("sd")
        if mean is not None and sd is not None and (not expected or mean > expected[-1][1]):
            expected.append((trial["number"], float(mean), float(sd)))
    if not best:
        return
    last = trials[-1]["number"]
    axes.step(
        [*numbers, last], [*best, best[-1]], where="post", color=ORANGE, linewidth=1.8,
        label="best so far",
    )  # fmt: skip
    if expected:
        at = [*(number for number, _, _ in expected), last]
        low = [mean - 1.96 * sd for _, mean, sd in expected]
        high = [mean + 1.96 * sd for _, mean, sd in expected]
        axes.fill_between(
            at, [*low, low[-1]], [*high, high[-1]], step="post", color=ORANGE, alpha=0.2,
            linewidth=0, label="95 % of its expected score",
        )  # fmt: skip


def draw_coefficients(part: FigureBase, result: Mapping[str, Any]) -> None:
    shown, trials = shown_axes(result), result["trials"]
    intervals = [interval_of(axis, result) for axis in shown]
    # Of one interval, they are compared; of several, the widest would flatten the others.
    alike = len(set(intervals)) == 1
    grid = part.subplots(len(shown), 1, sharex=True, sharey=alike, squeeze=False)[:, 0]
    best = (result.get("best") or {}).get("number")
    for axes, axis, interval in zip(grid, shown, intervals, strict=True):
        style(axes)
        points = [(t, axis.of(t)) for t in trials]
        for is_chosen, face in ((True, BLUE), (False, "none")):
            own = [
                (t["number"], x)
                for t, x in points
                if x is not None and (t["origin"] in ("search", "soup")) == is_chosen
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
        if not alike and interval is not None:
            axes.update_datalim([(0, end) for end in interval], updatex=False)
        axes.margins(y=0.12)
        axes.set_ylabel(axis_label(axis), rotation=0, ha="right", va="center")
    _trial_axis(grid[-1], result)
    grid[-1].set_xlabel("trial")


def draw_slices(part: FigureBase, result: Mapping[str, Any]) -> None:
    shown = {axis.name: axis for axis in shown_axes(result)}
    slices = [curve for curve in result["slices"] if curve["name"] in shown]
    rows, columns = math.ceil(len(slices) / 3), min(3, len(slices))
    grid = part.subplots(rows, columns, sharey=True, squeeze=False)
    best = result.get("best")
    for axes in grid.flat[len(slices) :]:
        axes.set_visible(False)
    for index, (axes, curve) in enumerate(zip(grid.flat, slices, strict=False)):
        style(axes)
        low = [m - 2 * s for m, s in zip(curve["mean"], curve["sd"], strict=True)]
        high = [m + 2 * s for m, s in zip(curve["mean"], curve["sd"], strict=True)]
        axes.fill_between(curve["at"], low, high, color=BLUE, alpha=0.22, linewidth=0)
        axes.plot(curve["at"], curve["mean"], color=BLUE, linewidth=1.6)
        at = shown[curve["name"]].of(best) if best else None
        if at is not None:
            axes.axvline(at, color=ORANGE, linewidth=1.2, linestyle="--")
        axes.set_xlabel(axis_label(shown[curve["name"]]))
        if index % columns == 0:
            axes.set_ylabel("expected score")


def draw_importance(part: FigureBase, result: Mapping[str, Any]) -> None:
    axes = part.subplots()
    style(axes, grid="x")
    shown = {axis.name: axis for axis in shown_axes(result)}
    shares = sorted(
        ((name, float(share)) for name, share in result["importance"].items() if name in shown),
        key=lambda item: -item[1],
    )
    scales = result.get("length_scales") or {}
    bars = axes.barh(range(len(shares)), [share for _, share in shares], color=BLUE, height=0.6)
    notes = [
        f"{100 * share:.0f} %" + (f"  (ℓ = {float(scales[name]):.3g})" if name in scales else "")
        for name, share in shares
    ]
    axes.bar_label(bars, notes, padding=4, fontsize=8, color=INK)
    axes.set_yticks(range(len(shares)), [axis_label(shown[name]) for name, _ in shares])
    axes.invert_yaxis()
    # Where the longest bar's note has no room, it stands beyond the axis.
    axes.set_xlim(0, min(max((share for _, share in shares), default=1.0) * 1.25, 1.0) or 1.0)
    axes.set_xlabel("share of the score's variation")
