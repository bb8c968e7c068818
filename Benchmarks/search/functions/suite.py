"""The whole set of problems, drawn from one seed."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np

from .basin import Basin
from .classic import classics
from .network import Network
from .problem import Problem
from .threshold import Threshold

#: Seed of the set that figures are given for.
SET_SEED = 1
DIMENSIONS = (2, 4, 6, 8)


def problems(set_seed: int, cache: Path) -> dict[str, Problem]:
    """Six classics and twelve merging-like problems by name.

    Another seed draws other problems of the same families; the classics' formulas stay.
    """

    def seed(family: str, d: int = 0) -> list[int]:
        return [set_seed, zlib.crc32(family.encode()), d]

    found: list[Problem] = classics(np.random.default_rng(seed("classic")))
    for d, examples, useless in zip(DIMENSIONS, (500, 120, 60, 150), (0, 0, 1, 1), strict=True):
        random = np.random.default_rng(seed("threshold", d))
        found.append(Threshold(d, random, examples, useless))
    for d, examples, harmful in zip(DIMENSIONS, (250, 200, 100, 50), (0, 1, 0, 1), strict=True):
        random = np.random.default_rng(seed("basin", d))
        found.append(Basin(d, random, examples, harmful))
    for d, examples, fisher, stretch in zip(
        DIMENSIONS,
        (400, 150, 100, 80),
        (False, True, False, True),
        (1.0, 1.0, 1.5, 1.0),
        strict=True,
    ):
        found.append(Network(d, seed("network", d), cache, examples, fisher, stretch))
    return {problem.name: problem for problem in found}
