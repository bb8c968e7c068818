"""Benchmark of the search's optimiser beside its peers, on problems that behave like merging.

    make bench-search                        # about a quarter of an hour on two cores
    python Benchmarks/search/run.py --quick  # seconds: does everything run?
    python Benchmarks/search/run.py --full   # every installed peer, many hours
    python Benchmarks/search/run.py noise workers --optimisers dfmerge "Optuna GP"
    python Benchmarks/search/run.py --set-seed 7    # other problems of the same families

Runs accumulate in build/bench/search/*.jsonl and are not repeated; those of our own optimiser
belong to the state of the library that made them. Peers that are installed take part
(pip install -r Benchmarks/search/requirements.txt).
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
from pathlib import Path

import pool
import registry
from figure import draw
from functions.problem import AGGREGATES, Aggregate
from functions.suite import SET_SEED, problems
from plan import AMOUNTS, Plan
from records import Job, Store
from table import Row, verdict

EXPERIMENTS = ("own", "shared", "noise", "workers", "tasks", "stages", "timing")


def main() -> int:
    """Run what is missing, then print every table and write every row there is."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("experiments", nargs="*", metavar="experiment", help=str(EXPERIMENTS))
    parser.add_argument("--quick", action="store_true", help="2 functions, 1 seed, 15 evaluations")
    parser.add_argument("--full", action="store_true", help="every peer and all seeds")
    parser.add_argument("--report", action="store_true", help="only show what has been run")
    parser.add_argument("--optimisers", nargs="+", choices=registry.ENTRIES, help="only these")
    parser.add_argument("--functions", nargs="+", help="only these functions")
    parser.add_argument("--seeds", type=int, help="seeds of every optimiser")
    parser.add_argument("--set-seed", type=int, default=SET_SEED, help="draws the problems")
    parser.add_argument("--procs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--out", type=Path, default=Path("build/bench"))
    given = parser.parse_args()
    if unknown := set(given.experiments) - set(EXPERIMENTS):
        parser.error(f"no experiment {sorted(unknown)}; there are {', '.join(EXPERIMENTS)}")
    folder = given.out / "search" / ("quick" if given.quick else "")
    plan = _plan(given, folder)
    chosen = given.experiments or list(EXPERIMENTS)
    if not given.report:
        _name_missing()
        # A dictionary: two experiments may ask for the same run.
        jobs: dict[Job, None] = {}
        for name in chosen:
            jobs |= dict.fromkeys(importlib.import_module(f"experiments.{name}").jobs(plan))
        hows: tuple[Aggregate, ...] = AGGREGATES if "tasks" in chosen else ("mean",)
        optima = [
            (name, how) for how in hows for name in plan.names(None if how == "mean" else True)
        ]
        try:
            pool.run(list(jobs), optima, given.set_seed, folder, given.procs)
        except KeyboardInterrupt:
            print("\nstopped; what is done is kept, and the next run continues")
            return 130
    missed = _report(plan, folder, given.out / f"search{_suffix(given)}.json")
    # Nothing is to be expected of so few evaluations.
    return 0 if given.quick else min(1, missed)


def _plan(given: argparse.Namespace, folder: Path) -> Plan:
    amount = AMOUNTS["quick" if given.quick else "full" if given.full else "default"]
    amount = amount.changed(given.functions, given.seeds, given.optimisers or ())
    cache = pool.cache_folder(folder)
    found = problems(given.set_seed, cache)
    if amount.functions:
        found = {name: found[name] for name in amount.functions}
    only = tuple(given.optimisers) if given.optimisers else None
    return Plan(amount, given.set_seed, found, pool.scale_folder(cache, given.set_seed), only)


def _suffix(given: argparse.Namespace) -> str:
    """Figures of less, or of other problems, get files of their own."""
    suffix = "-quick" if given.quick else ""
    suffix += f"-set-{given.set_seed}" if given.set_seed != SET_SEED else ""
    return suffix + ("-some" if given.functions else "")


def _name_missing() -> None:
    missing = [name for name in registry.ENTRIES if not registry.available(name)]
    if missing:
        print(
            f"not installed, so left out: {', '.join(missing)} "
            "(pip install -r Benchmarks/search/requirements.txt)"
        )


def _report(plan: Plan, folder: Path, out: Path) -> int:
    """Every experiment's table and rows; the number of goals that were missed."""
    stored = {
        name: plan.current(list(Store(folder / f"{name}.jsonl").load().values()))
        for name in EXPERIMENTS
    }
    rows: list[Row] = []
    for name in EXPERIMENTS:
        if stored[name]:
            rows += importlib.import_module(f"experiments.{name}").rows(plan, stored)
    draw(plan, stored, out.with_suffix(".png"))
    print()
    for found in rows:
        print(verdict(found))
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_suffix(".partial")
    partial.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    os.replace(partial, out)
    missed = sum(found["meets"] is False for found in rows)
    print(f"\n{out}: {len(rows)} rows, {missed} goals missed")
    return missed


if __name__ == "__main__":
    raise SystemExit(main())
