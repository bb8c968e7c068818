"""Regret curves of runs, and what is read from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from functions.scale import Scale
from records import Record
from trajectory import INITIAL


def raised(scales: dict[str, Scale], records: Iterable[Record]) -> dict[str, Scale]:
    """The scales with the optimum that any run has found, where brute force found less."""
    best: dict[str, float] = {}
    for record in records:
        name = record["function"]
        best[name] = max(best.get(name, -np.inf), max(record["values"]))
    return {
        name: Scale(
            max(scale.optimum, best.get(name, scale.optimum)),
            scale.median,
            scale.true_optimum,
            scale.true_median,
            scale.best,
        )
        for name, scale in scales.items()
    }


@dataclass(frozen=True)
class Curves:
    """Regret after each evaluation: (seeds, evaluations) per function, of one optimiser."""

    regrets: dict[str, np.ndarray]

    @staticmethod
    def of(records: Sequence[Record], scales: dict[str, Scale]) -> Curves:
        """The curves of one optimiser's records of equal budget."""
        found: dict[str, list[np.ndarray]] = {}
        for record in sorted(records, key=lambda record: record["seed"]):
            best = np.maximum.accumulate(record["values"])
            curve = scales[record["function"]].regret(best)
            found.setdefault(record["function"], []).append(curve)
        return Curves({name: np.stack(curves) for name, curves in found.items()})

    def within(self, functions: Sequence[str]) -> Curves | None:
        """Only these functions; None where one was not run."""
        if not functions or any(name not in self.regrets for name in functions):
            return None
        return Curves({name: self.regrets[name] for name in functions})

    def first(self, seeds: int) -> Curves:
        """Only the first seeds."""
        return Curves({name: curves[:seeds] for name, curves in self.regrets.items()})

    @property
    def seeds(self) -> int:
        return min(len(curves) for curves in self.regrets.values())

    @property
    def mean(self) -> np.ndarray:
        """Regret after each evaluation, mean over seeds, then over functions."""
        return np.mean([curves.mean(0) for curves in self.regrets.values()], 0)

    @property
    def median(self) -> np.ndarray:
        """Regret after each evaluation, median over seeds, then mean over functions."""
        return np.mean([np.median(curves, 0) for curves in self.regrets.values()], 0)

    @property
    def area(self) -> float:
        """Mean regret over the evaluations behind the start."""
        return float(self.mean[INITIAL:].mean())

    @property
    def area_error(self) -> float:
        """Standard error of the area, from the spread over seeds."""
        variances = [
            curves[:, INITIAL:].mean(1).var(ddof=1) / len(curves)
            for curves in self.regrets.values()
            if len(curves) > 1
        ]
        return float(np.sqrt(np.sum(variances)) / len(self.regrets)) if variances else 0.0

    def last(self, function: str) -> float:
        """Median regret at the end on one function."""
        return float(np.median(self.regrets[function][:, -1]))
