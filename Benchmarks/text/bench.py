"""What every method of the benchmark works on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from data import Task, load_tasks, scores
from finetune import Recipe, checkpoints, digest, load
from model import SentenceEncoder, Weights, assign, encoder, pretrained_weights
from results import Results
from safetensors.torch import save_file


@dataclass
class Bench:
    """Tasks, base, fine-tuned models, and one module that every candidate is written into."""

    cache: Path
    tasks: dict[str, Task]
    base: Weights
    base_path: Path
    model_paths: dict[str, Path]
    models: dict[str, Weights]
    module: SentenceEncoder
    results: Results

    def score(self, weights: Weights, split: str) -> dict[str, float]:
        """Accuracy per task of the encoder with these weights."""
        assign(self.module, weights)
        return scores(self.module, self.tasks, split)

    def record(self, key: str, weights: Weights, **details: object) -> None:
        """Score weights on validation and test and keep the figures."""
        val = self.score(weights, "val")
        self.results.put(key, val, self.score(weights, "test"), **details)


def prepare(data: Path, cache: Path) -> Bench:
    """Read the tasks, fine-tune what is not cached, load everything."""
    base = pretrained_weights()
    pretrained = encoder(base)
    tasks = load_tasks(data, pretrained)
    paths = checkpoints(cache / "finetuned", tasks, base, Recipe())
    base_path = cache / "pretrained.safetensors"
    if not base_path.is_file():
        save_file(base, base_path)
    models = {name: load(path) for name, path in paths.items()}
    digests = [digest(weights) for weights in (base, *models.values())]
    fingerprint = hashlib.sha256("".join(digests).encode()).hexdigest()
    results = Results(cache / "results.json", fingerprint)
    return Bench(cache, tasks, base, base_path, paths, models, encoder(base), results)
