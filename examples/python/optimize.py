"""Tune two parameters with four workers, stop in the middle, and go on from the journal.

    python examples/python/optimize.py [JOURNAL]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import dfmerge

SPACE = {"rate": (0.0, 1.0), "scale": (0.0, 2.0)}


def evaluate(trial: dfmerge.OptimizerTrial) -> float | None:
    """What takes minutes in earnest. Larger is better; None is a failed evaluation."""
    time.sleep(0.01)
    rate, scale = trial.params["rate"], trial.params["scale"]
    if scale > 1.9:
        return None
    return 1 - (rate - 0.3) ** 2 - (scale - 1.2) ** 2 / 4


def main() -> None:
    """Two runs over one journal, as before and after a stop."""
    folder = tempfile.mkdtemp() if len(sys.argv) < 2 else ""
    journal = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(folder) / "optimize.jsonl"
    for trials in (15, 30):
        with dfmerge.Optimizer(SPACE, journal=journal, trials=trials, seed=1) as optimizer:
            optimizer.optimize(evaluate, n_jobs=4)
            print(optimizer)
            best = optimizer.best_trial
            print(f"best {best.params}, score {best.value:.4f}, expected within {best.interval}")
    print("journal:", journal)


if __name__ == "__main__":
    main()
