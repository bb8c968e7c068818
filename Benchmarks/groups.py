"""What coefficients by group gain, by number of dimensions and trials.

A synthetic merge whose best coefficients differ by model and group: four models of G tensors, the
score 1 less the mean squared distance from the best merge, in units of what lies between it and the
best merge with one coefficient per model. 0 is that merge, 1 the best of all; below 0 a search with
groups has found less than one without could have.

Run: python Benchmarks/groups.py [SEEDS]; writes build/bench/groups.json.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path

import numpy as np

import dfmerge

MODELS = ("a", "b", "c", "d")
TRIALS = (60, 120, 240)
ELEMENTS = 64


def run(groups: int, seed: int, grouped: bool) -> list[float]:
    """Share of the gain that is reached after each of TRIALS."""
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

    def evaluate(trial: dfmerge.Trial) -> float:
        return 1 - miss(np.stack([target[name] for name in names])) / unit

    result = dfmerge.Search(
        target, base, models, evaluate, tasks=["score"], fisher_mode="none", seed=seed,
        trials=max(TRIALS), groups=f"layers:{groups}" if grouped else None, progress=False,
    ).run()  # fmt: skip
    values = [trial["value"] for trial in result.trials]
    return [max(values[:trials]) for trials in TRIALS]


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
