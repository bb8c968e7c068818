"""A worker of a shared study, as a program: ``python optuna_worker.py STORAGE NAME TRIALS``."""

from __future__ import annotations

import sys
import time

import optuna

from dfmerge.optuna import Sampler


def objective(trial: optuna.Trial) -> float:
    """0.09 at worst, 0 at x = 0.3."""
    x = trial.suggest_float("x", 0, 1)
    time.sleep(0.01)
    return (x - 0.3) ** 2


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.load_study(study_name=sys.argv[2], storage=sys.argv[1], sampler=Sampler(seed=1))
    study.optimize(objective, n_trials=int(sys.argv[3]))
