"""One merge in a process of its own; prints the growth of its private memory as JSON.

    python memory_run.py '{"base": ..., "models": [...], "method": ..., "out": ..., ...}'

The object holds the arguments of `dfmerge.merge`, with paths. Without `out`, the inputs are read
into memory first, and outputs are made: the growth is what the merge takes beyond inputs and
outputs, which is what `dfmerge.plan` predicts. Nothing but dfmerge is imported.
"""

from __future__ import annotations

import json
import sys
from array import array
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parent.parent / "merge"))

from process import PeakSampler, status

import dfmerge


def loaded(path: str) -> dict[str, dfmerge.Tensor]:
    """A checkpoint's tensors in memory of their own."""
    weights = dfmerge.load(path)
    return {name: weights.tensor(name).copy() for name in weights}


def in_memory(given: dict[str, Any]) -> dict[str, Any]:
    """The arguments with what lies at their paths, and with a place for the result."""
    found = dict(given)
    if given["base"] is not None:
        found["base"] = loaded(given["base"])
    for key in ("models", "fishers", "grams"):
        if key in given:
            found[key] = [loaded(path) for path in given[key]]
    found["out"] = loaded(given["base"] or given["models"][0])
    return found


def touch() -> None:
    """Merge a few numbers: pages of the library that are touched once are not the merge's."""
    vectors = [{"vector": array("f", [number] * 64)} for number in range(4)]
    dfmerge.merge(None, vectors[1:], "average", out=vectors[0])


def main() -> None:
    """Merge once."""
    given: dict[str, Any] = json.loads(sys.argv[1])
    touch()
    if "out" not in given:
        given = in_memory(given)
    # Without the speed of the machine, whose measuring takes memory itself.
    predicted = dfmerge.plan(**given, estimate=False)["peak_memory"]
    before = status("RssAnon")
    with PeakSampler() as sampler:
        dfmerge.merge(**given, progress=False)
    print(json.dumps({"peak": sampler.peak - before, "predicted": predicted}))


if __name__ == "__main__":
    main()
