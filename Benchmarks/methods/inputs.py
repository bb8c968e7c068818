"""What the methods are given: a base and models, and what comes with them, under one folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from adapter_files import normal_factors, write_adapter
from checkpoints import DTYPES, TINY, Architecture, make, make_fishers

import dfmerge

#: 75 M parameters, 0.3 GB in F32: many times a cache, and twenty methods take minutes.
MEDIUM = Architecture("medium", hidden=768, intermediate=3072, layers=6, heads=12, vocabulary=32000)
#: Matrices of one size, so that all threads have the largest at a time, as a plan takes it, and
#: small, for a large vocabulary takes minutes to factorise and shows the same.
NARROW = Architecture("narrow", hidden=640, intermediate=640, layers=2, heads=10, vocabulary=640)
#: Layers of the adapters, with the sizes of their output and input, and their rank.
ADAPTED = {f"layers.{number}.proj": (1024, 1536) for number in range(8)}
RANK = 16

T = TypeVar("T")


@dataclass(frozen=True)
class Inputs(Generic[T]):
    """A base, models and their data: paths, or what was read from them."""

    base: T
    models: list[T]
    fishers: list[T] = field(default_factory=list)
    grams: list[T] = field(default_factory=list)
    adapters: list[T] = field(default_factory=list)


def files(folder: Path, architecture: Architecture, dtype: str, count: int) -> Inputs[str]:
    """Paths of a base, models and Fisher values, made where they are missing."""
    name = f"{architecture.name}-{dtype}"
    base, *models = make(folder / name, architecture, count, dtype=dtype)
    fishers = make_fishers(folder / f"{architecture.name}-fishers", architecture, count)
    grams, adapters = [], []
    if architecture is NARROW:
        grams = [_gram(folder / f"{name}-gram-{number}.safetensors") for number in range(count)]
        adapters = [_adapter(folder / f"adapter-{dtype}-{n}", n, dtype) for n in range(count)]
    return Inputs(
        str(base), *([str(path) for path in paths] for paths in (models, fishers, grams, adapters))
    )


def _gram(path: Path) -> Path:
    """Gram matrices of normal inputs, twice as many as the layer has features."""
    if not path.is_file():
        draws = np.random.default_rng(len(path.name))
        grams = {}
        for name, shape in NARROW.shapes().items():
            if len(shape) == 2 and "embed" not in name:
                x = draws.standard_normal((2 * shape[1], shape[1]), dtype=np.float32)
                grams[name] = x.T @ x / np.float32(len(x))
        dfmerge.save(grams, path)
    return path


def _adapter(path: Path, number: int, dtype: str) -> Path:
    draws = np.random.default_rng(number)
    return write_adapter(path, normal_factors(draws, ADAPTED, RANK, DTYPES[dtype]), RANK, RANK)


__all__ = ["MEDIUM", "NARROW", "TINY", "Inputs", "files"]
