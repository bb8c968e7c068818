"""The table of the benchmark, and what it must show, from results.json."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

from catalogue import PER_TASK, TUNED
from curves import best_so_far, reached
from results import Entry, Results, mean
from searches import SEARCHES

TITLES = {
    "pretrained": "pretrained (zero-shot)",
    "individual": "individual models (own task)",
    **PER_TASK,
    **{name: method.title for name, method in TUNED.items()},
    "fisher": "Fisher merging (uniform), mean of draws",
    **{name: method.title for name, method in SEARCHES.items()},
}
DATA_FREE = ("pretrained", "average", "task_arithmetic", "ties")
#: Rows that are more than one model.
SEVERAL = ("individual", *PER_TASK)
# Points of mean test accuracy by which a row without data or chance may differ.
TOLERANCE = 0.3
# A difference of seed means counts as spread up to this many standard errors.
STANDARD_ERRORS = 2.0
OUTSIDE_SHARE = 0.005
# Of the default, to the score that the paper's preset reaches in all of its own.
EVALUATIONS = 20

Measure = dict[str, Any]


def reference() -> dict[str, Any]:
    """The reference's figures, in percent."""
    path = Path(__file__).with_name("reference_table.json")
    table: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return table


def lines(results: Results) -> list[str]:
    """The table in Markdown: ours, and the reference's mean of each row beside it."""
    table = reference()
    tasks: list[str] = table["tasks"]
    head = ["method", *tasks, "**mean test**", "mean val", "reference: test", "val"]
    head += ["evaluations", "seconds", "of one merge", "peak, MB"]
    out = [_row(head), _row(["---"] * len(head))]
    for method, title in TITLES.items():
        entries = results.of(method)
        theirs = table["rows"].get(method, [])
        if method in SEARCHES:
            out += [
                _row([f"{title}, seed {s}", *_figures([e], tasks), "", "", *_cost([e])])
                for s, e in zip(_seeds(results, method), entries, strict=True)
                if len(entries) > 1
            ]
        if entries:
            best = entries[0].get("best")
            label = f"{title}: {best:g}" if isinstance(best, float) else title
            label += f" ({len(entries)})" if len(entries) > 1 else ""
            cells = [*_figures(entries, tasks), *_reference(theirs), *_cost(entries)]
            out.append(_row([label, *cells]))
    return out


def measures(results: Results) -> list[Measure]:
    """What the benchmark must show: name, value, unit, goal and whether it is met."""
    return [
        *_data_free(results),
        *_paper(results),
        *_default(results),
        *_evaluations(results),
        *_outside(results),
    ]


def _data_free(results: Results) -> Iterator[Measure]:
    for method in DATA_FREE:
        for ours in _test_means(results, method):
            theirs = _reference_means(method)[0]
            goal = f"within {TOLERANCE} of the reference's {theirs:g}"
            yield _measure(f"{method} mean test", ours, "%", goal, abs(ours - theirs) <= TOLERANCE)


def _paper(results: Results) -> Iterator[Measure]:
    """The reference ran few seeds, so the spread of both means counts."""
    ours, theirs = _test_means(results, "paper"), _reference_means("paper")
    if ours:
        error = stdev(theirs) * (1 / len(theirs) + 1 / len(ours)) ** 0.5
        width, centre = STANDARD_ERRORS * error, fmean(theirs)
        goal = f"within {width:.2f} ({STANDARD_ERRORS:g} standard errors) of {centre:.2f}"
        yield _measure(
            "paper mean test", fmean(ours), "%", goal, abs(fmean(ours) - centre) <= width
        )


def _default(results: Results) -> Iterator[Measure]:
    """The default against the best merged row: the reference's, and the one measured here."""
    seeds = _test_means(results, "default")
    if not seeds:
        return
    ours = fmean(seeds)
    best = max(fmean(_reference_means(m)) for m in reference()["rows"] if m not in SEVERAL)
    goal = f"at least the reference's best row, {best:g}"
    yield _measure("default mean test", ours, "%", goal, ours >= best)
    rivals = {
        TITLES[m]: fmean(_test_means(results, m))
        for m in TITLES
        if m not in (*SEVERAL, "default") and results.of(m)
    }
    if rivals:
        title, value = max(rivals.items(), key=lambda item: item[1])
        goal = f"at least 0 ({title}: {value:.2f})"
        yield _measure("default over best other row", ours - value, "points", goal, ours >= value)


def _evaluations(results: Results) -> Iterator[Measure]:
    """After how many evaluations the default is where the paper's preset ends, seed by seed."""
    found: dict[int, int] = {}
    for seed in _seeds(results, "paper"):
        paper, ours = (best_so_far(results, method, seed) for method in ("paper", "default"))
        if paper and ours:
            found[seed] = reached(ours, paper[-1])
    if found:
        seeds = ", ".join(f"seed {seed}: {count}" for seed, count in found.items())
        middle = median(found.values())
        yield _measure(
            "default evaluations to the paper's preset's best validation score, median",
            middle,
            "evaluations",
            f"at most {EVALUATIONS} ({seeds})",
            middle <= EVALUATIONS,
        )


def _outside(results: Results) -> Iterator[Measure]:
    for method in SEARCHES:
        shares = [e["time"]["outside_share"] for e in results.of(method) if "time" in e]
        if shares:
            goal = f"below {100 * OUTSIDE_SHARE:g}"
            name = f"{method} time outside callbacks"
            yield _measure(name, 100 * max(shares), "%", goal, max(shares) < OUTSIDE_SHARE)


def write(results: Results, path: Path) -> None:
    """Print the table and the measures; write the measures as JSON."""
    print("\nAccuracy in percent, on test unless it says validation:\n")
    print("\n".join(lines(results)))
    found = measures(results)
    print()
    for m in found:
        mark = "meets" if m["meets"] else "MISSES"
        print(f"{mark}  {m['name']}: {m['value']:g} {m['unit']}; goal: {m['goal']}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _measure(name: str, value: float, unit: str, goal: str, meets: bool) -> Measure:
    return {"name": name, "value": round(value, 4), "unit": unit, "goal": goal, "meets": meets}


def _reference_means(method: str) -> list[float]:
    return [row["mean_test"] for row in reference()["rows"][method]]


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _figures(entries: list[Entry], tasks: list[str]) -> list[str]:
    cells = [f"{100 * fmean(e['test'][t] for e in entries):.1f}" for t in tasks]
    tests = [100 * mean(e["test"]) for e in entries]
    spread = f" (sd {stdev(tests):.2f})" if len(tests) > 1 else ""
    val = 100 * fmean(mean(e["val"]) for e in entries)
    return [*cells, f"**{fmean(tests):.1f}**{spread}", f"{val:.1f}"]


def _reference(rows: list[dict[str, Any]]) -> list[str]:
    if not rows:
        return ["", ""]
    return [f"{fmean(row[key] for row in rows):.1f}" for key in ("mean_test", "mean_val")]


def _cost(entries: list[Entry]) -> list[str]:
    """Evaluations and seconds of the choice, seconds and peak memory of one merge or the search."""

    def cell(found: list[Any], digits: int) -> str:
        known = [value for value in found if isinstance(value, int | float)]
        return f"{fmean(known):.{digits}f}" if known else ""

    costs = [entry.get("cost", {}) for entry in entries]
    return [
        cell([entry.get("evaluations") for entry in entries], 0),
        cell([entry.get("seconds") for entry in entries], 0),
        cell([cost.get("seconds") for cost in costs], 2),
        cell([cost["peak"] / 1e6 for cost in costs if "peak" in cost], 0),
    ]


def _test_means(results: Results, method: str) -> list[float]:
    return [100 * mean(entry["test"]) for entry in results.of(method)]


def _seeds(results: Results, method: str) -> list[int]:
    return sorted(int(k.rpartition("/")[2]) for k in results.entries if k.startswith(method + "/"))
