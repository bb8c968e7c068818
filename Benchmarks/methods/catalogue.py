"""Every method of the library as this benchmark calls it: at its default options."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from checkpoints import Architecture, make, make_fishers

import dfmerge

MODELS = 3
#: 127 M parameters: 0.5 GB in F32.
MEDIUM = Architecture(
    "medium", hidden=768, intermediate=3072, layers=12, heads=12, vocabulary=32000
)
#: Methods that factorise or solve: their time is that of the factorisations.
FACTORISED = frozenset({"iso_c", "iso_cts", "lora_svd", "opcm", "regmean", "tsv_m"})
#: Methods that select or sort among many elements: they compute more than they move.
SELECTING = frozenset(
    {"breadcrumbs", "breadcrumbs_ties", "copa", "della", "della_linear", "dppa", "pcb", "sce",
     "ties"}
)  # fmt: skip


@dataclass(frozen=True)
class Called:
    """A method, and what it is given."""

    name: str
    base: bool
    models: int
    fishers: bool

    @property
    def is_elementwise(self) -> bool:
        """Whether its time should be that of moving the bytes."""
        return self.name not in FACTORISED | SELECTING

    def arguments(self, base: Any, models: list[Any], fishers: list[Any]) -> dict[str, Any]:
        """The arguments of `dfmerge.merge`, without `out`."""
        given: dict[str, Any] = {
            "base": base if self.base else None,
            "models": models[: self.models],
            "method": self.name,
        }
        if self.fishers:
            given["fishers"] = fishers[: self.models]
        return given


def called(only: set[str] | None = None) -> list[Called]:
    """The methods that merge checkpoints, without those that need adapters or Gram matrices."""
    found = []
    for method in dfmerge.methods():
        wanted = only is None or method["id"] in only
        if not wanted or method["for_adapters"] or method["model_data"] not in ("none", "fisher"):
            continue
        models = min(MODELS, method["most_models"] or MODELS)
        found.append(
            Called(method["id"], method["needs_base"], models, method["model_data"] == "fisher")
        )
    return found


def files(folder: Path, architecture: Architecture, dtype: str) -> tuple[str, list[str], list[str]]:
    """Paths of a base, models and Fisher values, made where they are missing."""
    name = f"{architecture.name}-{dtype}"
    base, *models = make(folder / name, architecture, MODELS, dtype=dtype)
    fishers = make_fishers(folder / f"{architecture.name}-fishers", architecture, MODELS)
    return str(base), [str(path) for path in models], [str(path) for path in fishers]
