"""The ways to merge the specialists that the demo and the benchmark compare.

Whatever is tuned is tuned on validation pictures; test pictures are only counted at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from problem import DOMAINS, Problem, Weights, load, log_probs, network

import dfmerge
import dfmerge.torch

TRIALS = 60
PAPER_SAMPLES = 30  # the authors' number of pictures per model
SAMPLES = 100  # ours, and Fisher merging's
COEFFICIENTS = [k / 20 for k in range(1, 21)]


@dataclass(frozen=True)
class Row:
    """What one merged network scores, per domain, from 0 to 1."""

    name: str
    validation: dict[str, float]
    test: dict[str, float]
    note: str = ""

    @property
    def mean_test(self) -> float:
        return mean(self.test)


def mean(scores: dict[str, float]) -> float:
    return sum(scores.values()) / len(scores)


class Comparison:
    """One problem, one network in memory, and a row for every method."""

    def __init__(self, problem: Problem, seed: int = 0) -> None:
        self.problem = problem
        self.seed = seed
        self.module = network().eval()
        self.base = load(problem.base)
        self.models = {name: load(path) for name, path in problem.models.items()}

    def row(self, name: str, weights: Weights | None, note: str = "") -> Row:
        """Scores weights, or what stands in the module already."""
        if weights is not None:
            self.module.load_state_dict(weights)
        validation = self.problem.evaluate(self.module, "validation")
        return Row(name, validation, self.problem.evaluate(self.module, "test"), note)

    def fisher(self, samples: int) -> dfmerge.torch.Fisher:
        """Fisher values on a fixed draw of validation pictures, labels not needed."""
        data = self.problem.fisher_data()
        return dfmerge.torch.Fisher(
            self.module, data=data, log_probs=log_probs, samples=samples, seed=self.seed
        )

    def alone(self) -> Iterator[Row]:
        yield self.row("generalist", self.base)
        rows = [self.row(f"specialist: {name}", self.models[name]) for name in DOMAINS]
        yield from rows
        own = {name: row for name, row in zip(DOMAINS, rows, strict=True)}
        yield Row(
            "each on its own domain",
            {name: row.validation[name] for name, row in own.items()},
            {name: row.test[name] for name, row in own.items()},
            "four networks",
        )

    def average(self) -> Row:
        return self.row("average", dfmerge.merge(None, self.models, method="average"))

    def task_arithmetic(self) -> Row:
        """The best single coefficient on validation."""
        rows = [
            self.row(
                "task arithmetic",
                dfmerge.merge(
                    self.base, self.models, method="task_arithmetic", options={"coefficients": c}
                ),
                f"coefficient {c:.2f}",
            )
            for c in COEFFICIENTS
        ]
        return max(rows, key=lambda row: mean(row.validation))

    def fisher_merging(self) -> Row:
        """Equal weights; every model's Fisher measured at the model itself."""
        fisher = self.fisher(SAMPLES)
        fishers: dict[str, Weights] = {}
        for name, weights in self.models.items():
            self.module.load_state_dict(weights)
            fishers[name] = {key: torch.zeros_like(value) for key, value in weights.items()}
            fisher.measure(name, fishers[name])
        return self.row(
            "Fisher merging", dfmerge.merge(None, self.models, method="fisher", fishers=fishers)
        )

    def search(
        self, name: str, folder: Path, samples: int | None, **options: Any
    ) -> tuple[Row, dfmerge.Result]:
        """Bayesian optimisation of the coefficients; continues the journal in `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        search = dfmerge.Search(
            self.module,
            self.base,
            self.models,
            lambda trial: self.problem.evaluate(self.module, "validation"),
            self.fisher(samples) if samples else None,
            trials=TRIALS,
            seed=self.seed,
            journal=folder / "journal.jsonl",
            **options,
        )
        result = search.run()  # leaves the best candidate in the module
        result.save(folder / "merged.safetensors")
        chosen = ", ".join(f"{result.coefficients[name]:.2f}" for name in DOMAINS)
        note = f"coefficients {chosen}"
        if samples:
            note += f"; exponent {result.exponent:.2f}"
        return self.row(name, None, note), result
