"""The merges in memory that are timed: what they read and write, and what they should reach."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

import dfmerge

Array = NDArray[Any]
DTYPES: dict[str, Any] = {"F32": np.float32, "BF16": ml_dtypes.bfloat16, "F16": np.float16}
#: Values are drawn for so many elements and repeated: the arithmetic does not see the difference.
DRAWN = 1 << 22


@dataclass(frozen=True)
class Case:
    """One method at one dtype of base, models and output; Fisher values are F32."""

    name: str
    method: str
    dtype: str
    models: int
    options: dict[str, Any] = field(default_factory=dict)
    base: bool = True
    fishers: bool = False
    #: Least share of STREAM triad's bandwidth.
    goal: float | None = None


C = {"coefficients": 0.3}
CASES = [
    Case("DF combine, 6 models F32", "df_merge", "F32", 6, C, fishers=True, goal=0.9),
    Case("DF combine, 6 models BF16, Fishers F32", "df_merge", "BF16", 6, C, fishers=True,
         goal=0.75),
    Case("DF combine, 6 models F16, Fishers F32", "df_merge", "F16", 6, C, fishers=True, goal=0.75),
    Case("weighted sum, 6 models BF16", "average", "BF16", 6, base=False, goal=0.75),
    Case("scale into host memory, F32", "task_arithmetic", "F32", 1, C, goal=0.85),
    Case("DF combine, 6 models F32, exponent 0.5", "df_merge", "F32", 6, {**C, "exponent": 0.5},
         fishers=True),
    Case("DF combine, 6 models F32, exponent 0.3", "df_merge", "F32", 6, {**C, "exponent": 0.3},
         fishers=True),
    Case("Fisher merging, 6 models F32", "fisher", "F32", 6, base=False, fishers=True),
]  # fmt: skip
ACCUMULATE, ACCUMULATE_GOAL = "gradient squares, F32", 0.85


def weights(count: int, dtype: str, seed: int) -> Array:
    """Values of N(0, 0.02)."""
    draws = np.random.default_rng(seed).standard_normal(min(count, DRAWN), np.float32)
    return _repeated(np.asarray(draws * np.float32(0.02), DTYPES[dtype]), count)


def fisher(count: int, seed: int) -> Array:
    """Fisher values exp(N(-14, 4))."""
    draws = np.random.default_rng(seed).standard_normal(min(count, DRAWN), np.float32)
    return _repeated(np.exp(draws * np.float32(4) - np.float32(14)), count)


def _repeated(values: Array, count: int) -> Array:
    out = np.empty(count, values.dtype)
    for start in range(0, count, values.size):
        part = out[start : start + values.size]
        part[:] = values[: part.size]
    return out


class Timed:
    """A case with its arrays, which are of `count` elements each."""

    def __init__(self, case: Case, count: int, threads: int) -> None:
        self.case, self.threads = case, threads
        self.base = {"w": weights(count, case.dtype, 0)} if case.base else None
        numbers = range(1, case.models + 1)
        self.models = [{"w": weights(count, case.dtype, number)} for number in numbers]
        self.fishers = (
            [{"w": fisher(count, number)} for number in numbers] if case.fishers else None
        )
        self.out = {"w": np.zeros(count, DTYPES[case.dtype])}
        read = [*self.models, *(self.fishers or []), *([self.base] if self.base else [])]
        #: Bytes of every input once and of the output once.
        self.bytes = sum(array["w"].nbytes for array in [*read, self.out])

    def gigabytes_per_second(self) -> float:
        """Merge once."""
        start = time.perf_counter()
        dfmerge.merge(
            self.base,
            self.models,
            method=self.case.method,
            options=self.case.options,
            fishers=self.fishers,
            out=self.out,
            threads=self.threads,
        )
        return self.bytes / (time.perf_counter() - start) / 1e9


class Accumulated:
    """Accumulation of gradient squares, which only a search's Fisher callback can call."""

    def __init__(self, count: int, threads: int) -> None:
        self.count = count
        self.gradient = weights(count, "F32", 0)
        target = {"w": np.zeros(count, np.float32)}
        self._timed: list[Any] = []
        self._search = dfmerge.Search(
            target,
            {"w": weights(count, "F32", 1)},
            {"model": {"w": weights(count, "F32", 2)}},
            lambda trial: 0.0,
            self._measure,
            progress=False,
            fisher_mode="dynamic",
            threads=threads,
        )
        #: The gradient and the sum read once each, the sum written once.
        self.bytes = 3 * 4 * count

    def during(self, run: Any) -> None:
        """Call `run`, with this object ready, inside the callback."""
        self._timed = [run]
        self._search.apply({"model": 0.5})

    def _measure(self, request: dfmerge.FisherRequest) -> None:
        self._request = request
        for run in self._timed:
            run()

    def gigabytes_per_second(self) -> float:
        """Add the squares of one gradient."""
        start = time.perf_counter()
        self._request.accumulate("w", self.gradient, 1e-3)
        return self.bytes / (time.perf_counter() - start) / 1e9
