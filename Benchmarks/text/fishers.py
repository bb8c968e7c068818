"""Fisher information of the encoder on fixed rows of each task's validation split."""

from __future__ import annotations

import numpy as np
import torch
from bench import Bench
from data import Batch, Row, Task, collate
from model import SentenceEncoder, Weights
from torch import Tensor

import dfmerge.torch


def estimator(bench: Bench, samples: int, seed: int) -> dfmerge.torch.Fisher:
    """Exact expectation over the labels, on `samples` rows per task.

    The rows are the reference's: one stream of draws through all tasks in their order, so that
    the same seed measures the same texts as in the reference's table.
    """
    stream = np.random.RandomState(seed)
    rows: dict[str, list[tuple[Task, Row]]] = {}
    for name, task in bench.tasks.items():
        pool = task.rows["val"]
        drawn = stream.choice(len(pool), size=min(samples, len(pool)), replace=False)
        chosen = sorted((pool[i] for i in drawn), key=lambda row: len(row.ids))
        rows[name] = [(task, row) for row in chosen]
    return dfmerge.torch.Fisher(
        bench.module, rows, _logits, samples=None, collate=_collate, vectorize="graph"
    )


def measure(bench: Bench, samples: int, seed: int) -> dict[str, Weights]:
    """The Fisher of every fine-tuned model on its own task."""
    fisher = estimator(bench, samples, seed)
    measured: dict[str, Weights] = {}
    for name, weights in bench.models.items():
        bench.module.load_state_dict(weights)
        measured[name] = {key: torch.zeros_like(value) for key, value in weights.items()}
        fisher.measure(name, measured[name])
    return measured


def _collate(rows: list[tuple[Task, Row]]) -> tuple[Task, Batch]:
    return rows[0][0], collate(row for _, row in rows)


def _logits(module: SentenceEncoder, batch: tuple[Task, Batch]) -> Tensor:
    task, texts = batch
    return task.logits(module, texts)
