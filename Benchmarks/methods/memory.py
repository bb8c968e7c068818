"""The part of memory: what every method takes beside what `dfmerge.plan` predicts."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from catalogue import MODELS, Called
from inputs import NARROW, TINY, files
from process import RunError, run
from results import Results

RUNNER = Path(__file__).with_name("memory_run.py")
#: How far the measured peak may be from the prediction: a share of it, or so many bytes where that
#: is more. Processes touch some hundred KB more or less: the library's tables, the stacks.
SHARE, SLACK = 0.05, 1e6


def peaks(
    methods: list[Called], folder: Path, dtypes: list[str], threads: int, results: Results
) -> None:
    """Merge by every method in memory and from files to files, each in a process of its own."""
    merged = folder / "merged"
    for dtype in dtypes:
        for method in methods:
            whole = method.factorises or method.for_adapters or method.data == "gram"
            inputs = files(folder, NARROW if whole else TINY, dtype, MODELS)
            given = method.arguments(inputs) | {"threads": threads}
            # The scalings of adapters are in their configuration files.
            if not method.for_adapters:
                _row(results, method, f"in memory {dtype}", given)
            _row(results, method, f"files {dtype}", given | {"out": str(merged)})
            shutil.rmtree(merged, ignore_errors=True)


def _row(results: Results, method: Called, what: str, given: dict[str, Any]) -> None:
    name = f"{method.name}, {what}: peak"
    try:
        report = run([sys.executable, RUNNER, json.dumps(given)]).report
    except RunError as error:
        results.add(name, None, "MB", at_least=0, note=str(error)[-200:])
        return
    measured, predicted = report["peak"], report["predicted"]
    slack = max(SHARE * predicted, SLACK)
    # What a factorisation takes depends on the values: a plan says the most.
    least = None if method.factorises else round((predicted - slack) / 1e6, 1)
    most = round((predicted + slack) / 1e6, 1)
    note = f"{predicted / 1e6:.1f} MB predicted: {measured / predicted - 1:+.1%}"
    results.add(name, measured / 1e6, "MB", least, most, note)
