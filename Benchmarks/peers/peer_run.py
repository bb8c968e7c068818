"""Runs jobs of one list in the peers' environment, one after the other.

    python peer_run.py JOBS.json FOUND.json

A job is {"peer", "call", "parameters", "base", "models", "fishers", "grams", "out", "arithmetic",
"dtype"};
the result is written to OUT/merged.safetensors. For each job FOUND has {"seconds"} of the call with
its reading and writing, or {"problem"}, what it raised. Importing is not counted.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

CALLS = {"mergekit": "mergekit_calls", "fusion_bench": "fusion_calls", "peft": "peft_calls"}


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Merge, twice: the first call of a peer imports what it needs."""
    try:
        module = importlib.import_module(CALLS[job["peer"]])
        for _ in range(2):
            start = time.perf_counter()
            module.merge(job)
            seconds = time.perf_counter() - start
        return {"seconds": seconds}
    except Exception as error:
        traceback.print_exc()
        return {"problem": f"{type(error).__name__}: {str(error)[:300]}"}


def main() -> None:
    """Run all jobs; what the peers print is thrown away."""
    given, found = sys.argv[1:]
    reports = []
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        for job in json.loads(Path(given).read_text(encoding="utf-8")):
            reports.append(run(job))
    Path(found).write_text(json.dumps(reports), encoding="utf-8")


if __name__ == "__main__":
    main()
