"""The rows of a benchmark: collected, printed as a table, written as JSON."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Row = dict[str, Any]

#: The least number of repeats that a row with a goal is a median of.
REPEATS = 7
#: Share of the best round's processor time per second below which a round was disturbed.
CALM = 0.95
#: Rounds that are tried for each that counts.
PATIENCE = 4


class Results:
    """Rows of {"name", "value", "unit", "goal", "meets"}, and "note" where one is needed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[Row] = []

    def add(
        self,
        name: str,
        value: float | None,
        unit: str,
        at_least: float | None = None,
        at_most: float | None = None,
        note: str | None = None,
    ) -> None:
        """Add a row; with a goal it says whether the value meets it. None was not measured."""
        goals = [f">= {at_least:g}"] if at_least is not None else []
        goals += [f"<= {at_most:g}"] if at_most is not None else []
        meets = None
        if goals and value is not None:
            meets = (at_least is None or value >= at_least) and (
                at_most is None or value <= at_most
            )
        row: Row = {
            "name": name,
            "value": None if value is None else float(f"{value:.4g}"),
            "unit": unit,
            "goal": " and ".join(goals) or None,
            "meets": meets,
        }
        if note:
            row["note"] = note
        self.rows.append(row)
        self._show(row)

    def extend(self, rows: Iterable[Row]) -> None:
        """Take over rows that another process has measured and shown."""
        self.rows.extend(rows)

    def heading(self, text: str) -> None:
        """Print a line above the rows that follow."""
        print(f"\n{text}", flush=True)

    def load(self, when: str) -> None:
        """Note the machine's load, which disturbs every timing."""
        self.add(f"load average {when}", os.getloadavg()[0], "processes")

    def finish(self) -> int:
        """Write the JSON file; the exit status is 1 where a goal was missed."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".partial")
        partial.write_text(json.dumps(self.rows, indent=1) + "\n", encoding="utf-8")
        os.replace(partial, self.path)
        missed = sum(row["meets"] is False for row in self.rows)
        print(f"\n{self.path}: {len(self.rows)} rows, {missed} goals missed")
        return 1 if missed else 0

    @staticmethod
    def _show(row: Row) -> None:
        value = "-" if row["value"] is None else f"{row['value']:.4g}"
        verdict = {None: "", True: "ok", False: "MISSED"}[row["meets"]]
        line = f"{row['name']:58} {value:>9} {row['unit']:9} {row['goal'] or '':20} {verdict}"
        print(line.rstrip() + (f"  ({row['note']})" if "note" in row else ""), flush=True)


def alternated(
    sides: dict[str, Callable[[], float]], repeats: int = REPEATS, patience: int = PATIENCE
) -> dict[str, list[float]]:
    """Run the sides in turn, so that a disturbance meets all of them; one warm-up each first.

    A round in which a side got clearly less processor time per second than in its best round was
    disturbed by other programs and is run again, up to `patience` rounds for each that is asked
    for; if too few are left then, the least disturbed ones count.
    """
    for run in sides.values():
        run()
    rounds: list[dict[str, tuple[float, float]]] = []
    for _ in range(patience * repeats):
        found = {}
        for name, run in sides.items():
            wall, processor = time.perf_counter(), time.process_time()
            value = run()
            share = (time.process_time() - processor) / (time.perf_counter() - wall)
            found[name] = (value, share)
        rounds.append(found)
        best = {name: max(entry[name][1] for entry in rounds) for name in sides}
        # A round is as calm as its most disturbed side.
        rounds.sort(key=lambda entry: -min(entry[name][1] / best[name] for name in sides))
        last = rounds[min(repeats, len(rounds)) - 1]
        if len(rounds) >= repeats and all(last[n][1] >= CALM * best[n] for n in sides):
            break
    return {name: [entry[name][0] for entry in rounds[:repeats]] for name in sides}


def median(values: Iterable[float]) -> float:
    """The median."""
    return statistics.median(values)


def machine() -> str:
    """This machine in a line: processor, number of processors, kernel."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        model = names[0] if names else model
    except OSError:
        pass
    return f"{model}, {os.cpu_count()} CPUs, Linux {platform.release()}"
