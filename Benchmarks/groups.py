"""What coefficients by group gain, by number of dimensions and trials.

A synthetic merge whose best coefficients differ by model and group: four models of G tensors. The
score is an accuracy on 500 fresh examples, 0.4 + 0.5 exp(-r / 4), where r is the mean squared
distance from the best merge in units of that of the best merge with one coefficient per model.
Shown is 1 - r of the chosen candidate, without noise: 0 is the best merge without groups, 1 the
best of all; below 0 a search with groups has found less than one without could have.

Run: python Benchmarks/groups.py [SEEDS]; writes build/bench/groups.json.
"""

from __future__ import annotations

import json
import math
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np

import dfmerge

MODELS = ("a", "b", "c", "d")
TRIALS = (60, 120)
ELEMENTS = 64
EXAMPLES = 500


def run(groups: int, seed: int, grouped: bool) -> list[float]:
    """Share of the gain of the candidate that is chosen after each of TRIALS."""
    rng = np.random.default_rng(1000 * groups + seed)
    names = [f"layer.{i}" for i in range(groups)]
    tau = rng.normal(size=(len(MODELS), groups, ELEMENTS))
    best = np.clip(0.35 + 0.15 * rng.normal(size=(len(MODELS), groups)), 0, 1)
    base = {name: np.zeros(ELEMENTS, np.float32) for name in names}
    models = {
        model: {name: tau[m, g].astype(np.float32) for g, name in enumerate(names)}
        for m, model in enumerate(MODELS)
    }
    target = {name: np.zeros(ELEMENTS, np.float32) for name in names}
    wanted = np.einsum("mg,mge->ge", best, tau)

    def miss(merged: np.ndarray) -> float:
        return float(((merged - wanted) ** 2).mean())

    # The best merge with one coefficient per model is a least-squares problem.
    columns = tau.reshape(len(MODELS), -1).T
    shared = np.linalg.lstsq(columns, wanted.ravel(), rcond=None)[0]
    unit = miss((columns @ shared).reshape(wanted.shape))

    def distance() -> float:
        return miss(np.stack([target[name] for name in names])) / unit

    def evaluate(trial: dfmerge.Trial) -> tuple[float, float]:
        right = rng.binomial(EXAMPLES, 0.4 + 0.5 * math.exp(-distance() / 4))
        accuracy = (right + 1) / (EXAMPLES + 2)
        return right / EXAMPLES, accuracy * (1 - accuracy) / EXAMPLES

    shares = []
    with tempfile.TemporaryDirectory() as folder:
        for trials in TRIALS:
            dfmerge.Search(
                target, base, models, evaluate, tasks=["score"], fisher_mode="none", seed=seed,
                trials=trials, groups=f"layers:{groups}" if grouped else None,
                journal=Path(folder) / "run.jsonl", progress=False,
            ).run()  # fmt: skip
            shares.append(1 - distance())
    return shares


def main() -> None:
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    rows = []
    for groups, grouped in ((4, False), (2, True), (4, True), (8, True), (15, True)):
        found = [run(groups, seed, grouped) for seed in range(seeds)]
        dimensions = len(MODELS) * (groups if grouped else 1)
        shares = [statistics.median(column) for column in zip(*found, strict=True)]
        rows.append({"dimensions": dimensions, "trials": TRIALS, "median": shares, "all": found})
        print(dimensions, " ".join(f"{share:6.2f}" for share in shares), flush=True)
    path = Path("build/bench/groups.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
