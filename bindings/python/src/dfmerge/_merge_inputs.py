"""What a merge is given, as the library takes it: models, what comes with them, outputs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ._handles import parsed
from ._loader import lib
from ._weights import Weights, labelled_view, read


def without_aliases(
    target: dict[str, Any], names: set[str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """The arrays without further names of the same memory, which tied tensors have.

    Kept is the first of an array's names that is one of ``names``, else the first; the others come
    as a mapping to it.
    """
    places: dict[Any, list[str]] = {}
    for name, array in target.items():
        view = labelled_view("the output", name, array, writable=True)
        # Tensors without elements may share an address and still be different ones.
        own = None if view.nbytes else name
        places.setdefault((view.address, view.dtype, view.shape, own), []).append(name)
    found, aliases = {}, {}
    for tied in places.values():
        kept = next((name for name in tied if name in names), tied[0])
        found[kept] = target[kept]
        aliases.update({name: kept for name in tied if name != kept})
    return found, aliases


def names_of(source: Any) -> set[str]:
    return {entry["name"] for entry in parsed(lib.dfm_weights_describe, source.handle.value)}


def models_by_name(models: Any) -> dict[str, Any]:
    if isinstance(models, Mapping) and not isinstance(models, Weights):
        for name in models:
            if not isinstance(name, str) or not name:
                raise TypeError(f"models has the name {name!r}; names are texts, not empty")
        return dict(models)
    if isinstance(models, (str, os.PathLike)) or not isinstance(models, Sequence):
        raise TypeError(
            f"models is a {type(models).__name__}; pass a dict or a list of models, "
            "each a path, a state dict or a module"
        )
    return {f"model {number}": source for number, source in enumerate(models)}


def model_data(fishers: Any, grams: Any) -> Any:
    """What comes with the models; the library knows by the method which of the two it is."""
    if fishers is not None and grams is not None:
        raise TypeError("fishers and grams were given; a method takes one of them")
    return fishers if grams is None else _Grams(grams)


@dataclass(frozen=True)
class _Grams:
    """What was given as Gram matrices, for messages."""

    given: Any


def read_data(
    fishers: Any, names: list[str], aliases: Mapping[str, str] | None = None
) -> list[Any]:
    if fishers is None:
        return []
    argument, what = "fishers", "Fisher"
    if isinstance(fishers, _Grams):
        argument, what, fishers = "grams", "Gram matrices", fishers.given
    if isinstance(fishers, Mapping):
        if set(fishers) != set(names):
            raise ValueError(
                f"{argument} are given for {sorted(fishers)} but the models are {sorted(names)}; "
                "give one for each model"
            )
        fishers = [fishers[name] for name in names]
    if len(fishers) != len(names):
        raise ValueError(
            f"{argument} has the length {len(fishers)} but there are {len(names)} models; "
            "give one for each model, in their order"
        )
    return [
        read(source, f"the {what} of {name}", aliases)
        for name, source in zip(names, fishers, strict=True)
    ]
