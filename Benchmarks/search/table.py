"""Tables in Markdown, and the rows of search.json."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Row = dict[str, Any]


def row(
    name: str,
    value: float | None,
    unit: str,
    at_most: float | None = None,
    at_least: float | None = None,
    note: str | None = None,
) -> Row:
    """A figure; with a goal it says whether it is met. None was not measured."""
    goals = [f">= {at_least:g}"] if at_least is not None else []
    goals += [f"<= {at_most:g}"] if at_most is not None else []
    meets = None
    if goals and value is not None:
        meets = (at_least is None or value >= at_least) and (at_most is None or value <= at_most)
    found: Row = {
        "name": name,
        "value": None if value is None else float(f"{value:.4g}"),
        "unit": unit,
        "goal": " and ".join(goals) or None,
        "meets": meets,
    }
    return {**found, "note": note} if note else found


def show(title: str, head: Sequence[str], lines: Sequence[Sequence[Any]]) -> None:
    """Print a table; figures get four digits behind the point."""
    cells = [[_cell(value) for value in line] for line in [head, *lines]]
    widths = [max(len(line[k]) for line in cells) for k in range(len(head))]
    print(f"\n{title}\n")
    for index, line in enumerate(cells):
        print("| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |")
        if index == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")


def verdict(found: Row) -> str:
    """A row in a line."""
    mark = {None: "      ", True: "meets ", False: "MISSES"}[found["meets"]]
    value = "-" if found["value"] is None else f"{found['value']:.4g}"
    goal = f"; goal {found['goal']}" if found["goal"] else ""
    note = f" ({found['note']})" if "note" in found else ""
    return f"{mark}  {found['name']}: {value} {found['unit']}{goal}{note}"


def _cell(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
