"""What `dfmerge.plan` predicts against what the merge then takes.

    python Benchmarks/merge/plan.py [--out FILE]

Merges of different methods, types, sizes, numbers of models and threads, and limits, from files to
files, each in a process of its own. Memory is the growth of private memory (RssAnon) during the
call, sampled; bytes are those that the process passed through read and write calls
(/proc/self/io). Writes a list of {"name", "value", "unit", "goal", "meets"}: measured over
predicted, 1 at best.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from checkpoints import SMALL, TINY, Architecture, make, make_fishers
from process import run
from results import Results, machine

import dfmerge

RUNNER = str(Path(__file__).with_name("dfmerge_run.py"))
LEAST, MOST = 0.9, 1.1
#: The plan's name of what is compared with a field of the runner's report.
COMPARED = {"peak": "peak_memory", "read": "file_bytes_read", "written": "bytes_written"}


@dataclass(frozen=True)
class Job:
    """One merge of `models` models."""

    method: str
    models: int
    dtype: str = "BF16"
    architecture: Architecture = TINY
    fishers: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        more = "".join(f", {name} {value}" for name, value in self.settings.items())
        size = f"{self.architecture.parameters / 1e6:.0f} M"
        return f"{self.method}, {self.models} x {size} {self.dtype}{more}"

    def arguments(self, folder: Path) -> dict[str, Any]:
        """The arguments of `dfmerge.merge`; the inputs are made where they are missing."""
        # The small model's folder is that of the file benchmark.
        name = self.architecture.name
        name += "" if self.architecture is SMALL else f"-{self.dtype}"
        base, *models = make(folder / name, self.architecture, self.models, dtype=self.dtype)
        given: dict[str, Any] = {
            "base": str(base),
            "models": [str(model) for model in models],
            "method": self.method,
            "options": self.options,
            **self.settings,
        }
        if self.fishers:
            paths = make_fishers(folder / f"{name}-fishers", self.architecture, self.models)
            given["fishers"] = [str(path) for path in paths]
        return given


JOBS = [
    Job("average", 4, settings={"threads": 2}),
    Job("average", 8, settings={"threads": 1}),
    Job("task_arithmetic", 4, architecture=SMALL, settings={"threads": 2}),
    Job("task_arithmetic", 2, "F32", settings={"threads": 2, "max_memory": "28MB"}),
    Job("task_arithmetic", 3, "F16", settings={"threads": 8, "dtype": "F32"}),
    Job("df_merge", 3, fishers=True, settings={"threads": 2}),
    Job("df_merge", 6, "F32", fishers=True, settings={"threads": 4, "max_shard_size": "50MB"}),
    Job("fisher", 3, fishers=True, settings={"threads": 2}),
    Job("ties", 4, options={"density": 0.2}, settings={"threads": 2}),
    Job("dare_ties", 3, "F32", options={"density": 0.5}, settings={"threads": 3}),
]


def main() -> int:
    """Print the table and write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("build/bench/merge-plan.json"))
    parser.add_argument("--methods", help="only these, separated by commas")
    given = parser.parse_args()
    results = Results(given.out)
    results.heading(f"Measured over predicted, {machine()}")
    merged = given.out.parent / "merged"
    only = set(given.methods.split(",")) if given.methods else None
    for job in JOBS:
        if only is not None and job.method not in only:
            continue
        arguments = job.arguments(given.out.parent / "models") | {"out": str(merged)}
        shutil.rmtree(merged, ignore_errors=True)
        plan = dfmerge.plan(**arguments)
        report = run([sys.executable, RUNNER, json.dumps(arguments)]).report
        for measured, predicted in COMPARED.items():
            value, expected = report[measured], plan[predicted]
            note = f"{value / 1e6:.1f} of {expected / 1e6:.1f} MB"
            results.add(f"{job}: {measured}", value / expected, "x", LEAST, MOST, note=note)
    shutil.rmtree(merged, ignore_errors=True)
    return results.finish()


if __name__ == "__main__":
    raise SystemExit(main())
