"""How a merge of the file benchmarks is asked for, under mergekit's names of the methods."""

from __future__ import annotations

from pathlib import Path
from typing import Any

COEFFICIENT, TIES_DENSITY, DARE_DENSITY = 0.3, 0.2, 0.5
#: mergekit's parameters of each model.
MERGEKIT: dict[str, dict[str, float]] = {
    "linear": {"weight": 1.0},
    "task_arithmetic": {"weight": COEFFICIENT},
    "ties": {"weight": 1.0, "density": TIES_DENSITY},
    "dare_ties": {"weight": 1.0, "density": DARE_DENSITY},
}
#: Our method and its options: mergekit's arithmetic where it has the method.
OURS: dict[str, tuple[str, dict[str, Any]]] = {
    "linear": ("average", {}),
    "task_arithmetic": ("task_arithmetic", {"coefficients": COEFFICIENT}),
    "ties": (
        "ties",
        {"density": TIES_DENSITY, "scope": "tensor", "trim": "exact", "zero_sign": "positive"},
    ),
    # The paper's: trimmed over the whole model, which takes more passes.
    "ties_of_model": ("ties", {"density": TIES_DENSITY}),
    "dare_ties": ("dare_ties", {"density": DARE_DENSITY}),
}
#: mergekit's method beside ours where the names differ.
PEERS = {"ties_of_model": "ties"}
METHODS = tuple(OURS)


def mergekit_config(method: str, folders: list[Path]) -> dict[str, Any]:
    """mergekit's configuration of a merge in bfloat16."""
    base, *models = (str(folder.resolve()) for folder in folders)
    entries = [{"model": model, "parameters": MERGEKIT[method]} for model in models]
    settings: dict[str, Any] = {"merge_method": method, "dtype": "bfloat16", "models": entries}
    if method != "linear":
        settings["base_model"] = base
    return settings


def arguments(method: str, folders: list[Path], out: Path, threads: int) -> dict[str, Any]:
    """The arguments of `dfmerge.merge` for the same merge."""
    base, *models = (str(folder) for folder in folders)
    name, options = OURS[method]
    return {
        "base": base,
        "models": models,
        "method": name,
        "options": options,
        "out": str(out),
        "threads": threads,
    }
