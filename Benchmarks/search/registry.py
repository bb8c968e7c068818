"""Every optimiser of the benchmark by name, and which of them can run here."""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

OURS = "dfmerge"


@dataclass(frozen=True)
class Entry:
    """Where an optimiser's class is, and the package (its module, its distribution) it needs."""

    place: str
    module: str
    distribution: str | None = None
    #: The only version that counts, where one does.
    version: str | None = None
    options: dict[str, Any] = field(default_factory=dict)


ENTRIES: dict[str, Entry] = {
    OURS: Entry("adapter:Optimizer", "dfmerge"),
    "dfmerge, uninformed": Entry("adapter:Optimizer", "dfmerge", options={"informed": False}),
    "dfmerge, paper": Entry("adapter:Optimizer", "dfmerge", options={"preset": "paper"}),
    "BoTorch log NEI": Entry("peers_botorch:BoTorchLogNEI", "botorch", "botorch"),
    "BoTorch log EI": Entry("peers_botorch:BoTorchLogEI", "botorch", "botorch"),
    "Optuna GP": Entry("peers:OptunaGP", "optuna", "optuna"),
    "Optuna TPE": Entry("peers:OptunaTPE", "optuna", "optuna"),
    "authors' EI": Entry(
        "peers:BayesianOptimization", "bayes_opt", "bayesian-optimization", "2.0.3"
    ),
    "scikit-optimize": Entry("peers:ScikitOptimize", "skopt", "scikit-optimize"),
    "CMA-ES": Entry("peers:CMAES", "cma", "cma"),
    "random": Entry("peers:Random", "numpy"),
    "Sobol": Entry("peers:Sobol", "scipy"),
}
#: Those that take no measurable time.
CHEAP = ("random", "Sobol")


def is_ours(name: str) -> bool:
    """Whether the optimiser is of this package."""
    return name.startswith(OURS)


def available(name: str) -> bool:
    """Whether the optimiser's package is installed."""
    entry = ENTRIES[name]
    if importlib.util.find_spec(entry.module) is None:
        return False
    if name == "Optuna GP":
        # Optuna does not install torch, which this sampler of it needs.
        return importlib.util.find_spec("torch") is not None
    return entry.version is None or version(name) == entry.version


@cache
def version(name: str) -> str:
    """What tells results of one state of an optimiser from those of another."""
    entry = ENTRIES[name]
    if is_ours(name):
        return _own_version()
    return importlib.metadata.version(entry.distribution) if entry.distribution else "1"


def make(name: str, **arguments: Any) -> Any:
    """The optimiser, ready to be asked."""
    entry = ENTRIES[name]
    module, _, attribute = entry.place.partition(":")
    factory: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    return factory(**{**entry.options, **arguments})


def _own_version() -> str:
    """The library's digest: any change of the library makes results of its own."""
    from dfmerge import _loader

    return hashlib.sha256(Path(_loader.lib._name).read_bytes()).hexdigest()[:12]
