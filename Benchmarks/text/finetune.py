"""Fine-tunes the encoder on each task, once: the checkpoints that the benchmark merges.

The recipe is fixed, down to the order of the parameters (the gradient's norm is summed in it), so
that one machine and thread count give the same bytes each time.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import random
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from data import Row, Task, collate
from model import SentenceEncoder, Weights, encoder
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

FINGERPRINT_KEY = "recipe"


@dataclass(frozen=True)
class Recipe:
    """AdamW, warm-up over the first tenth of the steps, then linear decay to 0; bf16 autocast."""

    seed: int = 0
    epochs: int = 2
    learning_rate: float = 1e-4
    weight_decay: float = 0.01
    batch: int = 32
    # Batches are drawn from pools of this many, sorted by length within the pool.
    pool: int = 8
    warm_up: float = 0.1
    gradient_norm: float = 1.0
    autocast: str = "bfloat16"

    def fingerprint(self, task: Task, base: str) -> str:
        """Everything that the checkpoint depends on, as JSON text."""
        return json.dumps(
            {**asdict(self), "task": task.name, "train": task.fingerprint, "base": base},
            sort_keys=True,
        )


def digest(weights: Weights) -> str:
    """SHA-256 over names and values."""
    h = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        h.update(name.encode())
        h.update(tensor.contiguous().numpy().tobytes())
    return h.hexdigest()


def checkpoints(
    folder: Path, tasks: dict[str, Task], base: Weights, recipe: Recipe
) -> dict[str, Path]:
    """Return each task's checkpoint, making those that are missing or of another recipe."""
    folder.mkdir(parents=True, exist_ok=True)
    of_base = digest(base)
    paths: dict[str, Path] = {}
    for name, task in tasks.items():
        path, fingerprint = folder / f"{name}.safetensors", recipe.fingerprint(task, of_base)
        paths[name] = path
        if stored_fingerprint(path) == fingerprint:
            continue
        print(f"fine-tuning on {name} (about a minute) ...", flush=True)
        start = time.perf_counter()
        weights = finetune(base, task, recipe)
        # Whole or absent: an interrupted run must not leave half a file under the final name.
        partial = path.with_suffix(".partial")
        save_file(weights, partial, {FINGERPRINT_KEY: fingerprint})
        os.replace(partial, path)
        print(f"  {time.perf_counter() - start:.0f} s", flush=True)
    return paths


def stored_fingerprint(path: Path) -> str | None:
    """The recipe that a checkpoint was made by; None if there is no checkpoint."""
    if not path.is_file():
        return None
    with safe_open(path, "pt") as file:
        return (file.metadata() or {}).get(FINGERPRINT_KEY)


def load(path: Path) -> Weights:
    """A checkpoint's tensors, sorted by name."""
    return dict(sorted(load_file(path).items()))


def finetune(base: Weights, task: Task, recipe: Recipe, stop_after: int | None = None) -> Weights:
    """Return the weights after training on the task, or after the first `stop_after` steps."""
    torch.manual_seed(recipe.seed)
    module = encoder(base)
    parameters = [p for _, p in sorted(module.named_parameters())]
    optimizer = torch.optim.AdamW(
        parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    count = len(task.rows["train"])
    steps = recipe.epochs * math.ceil(count / recipe.batch)
    for step, rows in enumerate(_minibatches(task.rows["train"], recipe), 1):
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * _schedule(step, steps, recipe.warm_up)
        loss = _loss(module, task, rows)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, recipe.gradient_norm)
        optimizer.step()
        if step == stop_after:
            break
    return {name: p.detach().clone() for name, p in sorted(module.named_parameters())}


def _loss(module: SentenceEncoder, task: Task, rows: list[Row]) -> Tensor:
    batch = collate(rows)
    with torch.autocast("cpu", torch.bfloat16):
        z = module(batch.ids, batch.mask, batch.types)
    # The anchors' product stays in float32, outside autocast.
    return functional.cross_entropy(task.logits_of(z), batch.labels)


def _schedule(step: int, steps: int, warm_up: float) -> float:
    return min(step / (warm_up * steps), (steps - step + 1) / ((1 - warm_up) * steps), 1.0)


def _minibatches(rows: list[Row], recipe: Recipe) -> Iterator[list[Row]]:
    """All epochs' batches: shuffled, sorted by length within pools, shuffled again."""
    rng = random.Random(recipe.seed)
    size, pool = recipe.batch, recipe.pool * recipe.batch
    for _ in range(recipe.epochs):
        order = rows[:]
        rng.shuffle(order)
        pools = [
            sorted(order[j : j + pool], key=lambda row: len(row.ids))
            for j in range(0, len(order), pool)
        ]
        batches = [q[j : j + size] for q in pools for j in range(0, len(q), size)]
        rng.shuffle(batches)
        yield from batches
