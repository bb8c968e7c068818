"""Every method of the library as this benchmark calls it: at its default options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from inputs import Inputs

import dfmerge

MODELS = 3
#: Methods that factorise or solve: their time is that of the factorisations.
FACTORISED = frozenset({"iso_c", "iso_cts", "lora_svd", "opcm", "regmean", "tsv_m"})
#: Methods that select or sort among many elements: they compute more than they move.
SELECTING = frozenset(
    {"breadcrumbs", "breadcrumbs_ties", "della", "della_linear", "dppa", "pcb", "sce", "ties"}
)


@dataclass(frozen=True)
class Called:
    """A method, and what it is given."""

    name: str
    base: bool
    models: int
    #: "none", "fisher" or "gram": what comes with each model.
    data: str
    for_adapters: bool

    @property
    def factorises(self) -> bool:
        """Whether its time is that of factorisations."""
        return self.name in FACTORISED

    @property
    def is_elementwise(self) -> bool:
        """Whether its time should be that of moving the bytes."""
        return self.name not in FACTORISED | SELECTING and not self.for_adapters

    def arguments(self, inputs: Inputs[Any]) -> dict[str, Any]:
        """The arguments of `dfmerge.merge`, without `out`."""
        given: dict[str, Any] = {
            "base": inputs.base if self.base else None,
            "models": (inputs.adapters if self.for_adapters else inputs.models)[: self.models],
            "method": self.name,
        }
        if self.data != "none":
            given[self.data + "s"] = getattr(inputs, self.data + "s")[: self.models]
        return given


def called(only: set[str] | None = None) -> list[Called]:
    """The library's methods, or those of them that are named."""
    methods = {method["id"]: method for method in dfmerge.methods()}
    if only and (unknown := sorted(only - methods.keys())):
        raise SystemExit(f"no such methods: {', '.join(unknown)}; there are {', '.join(methods)}")
    return [
        Called(
            name, method["needs_base"], min(MODELS, method["most_models"] or MODELS),
            method["model_data"], method["for_adapters"],
        )
        for name, method in methods.items()
        if only is None or name in only
    ]  # fmt: skip
