"""One merge in memory in a process of its own; prints the growth of its private memory as JSON.

    python memory_run.py '{"base": ..., "models": [...], "fishers": [...], "method": ..., ...}'

The paths are read into memory first, and outputs are made: the growth is what the merge takes
beyond inputs and outputs, which is what `dfmerge.plan` predicts.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

sys.path.append(str(Path(__file__).resolve().parent.parent / "merge"))

from process import PeakSampler, status

import dfmerge


def loaded(path: str | None) -> dict[str, torch.Tensor] | None:
    """Tensors in memory of their own: `load_file` maps."""
    if path is None:
        return None
    file = Path(path, "model.safetensors") if Path(path).is_dir() else Path(path)
    return {name: value.clone() for name, value in load_file(file).items()}


def main() -> None:
    """Merge once."""
    given: dict[str, Any] = json.loads(sys.argv[1])
    given["base"] = loaded(given["base"])
    for key in ("models", "fishers"):
        if key in given:
            given[key] = [loaded(path) for path in given[key]]
    like = given["base"] or given["models"][0]
    given["out"] = {name: torch.ones_like(value) for name, value in like.items()}
    plan = dfmerge.plan(**given)
    before = status("RssAnon")
    with PeakSampler() as sampler:
        dfmerge.merge(**given)
    print(json.dumps({"peak": sampler.peak - before, "predicted": plan["peak_memory"]}))


if __name__ == "__main__":
    main()
