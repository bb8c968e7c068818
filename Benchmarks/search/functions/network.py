"""Family `network`: real merging. Tiny networks are fine-tuned on d tasks and merged.

    weighted by Fisher information: theta = theta0 + M sum(F_m x_m tau_m) / sum(F_m)
    else:                           theta = theta0 + stretch sum(x_m tau_m)

Training takes a few seconds per problem; the weights are kept in the cache folder.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from .problem import Array, Problem
from .training import Array32, Batch, embed, gradient, initial, tasks, train

PRETRAINING, FINE_TUNING, RATE = 15, 350, 3e-3
TRAINING_EXAMPLES, POPULATION = 1500, 1000
#: Keeps the Fisher weights' sum away from zero.
EPSILON = 1e-8
#: Merged networks that are in memory together.
CHUNK = 64


@dataclass(frozen=True)
class _Merge:
    """The networks to merge, and what the merged one is scored on."""

    base: Array32
    #: (models, weights): what one unit of each coefficient adds.
    vectors: Array32
    scored: list[Batch]
    population: list[Batch]


class Network(Problem):
    """The true scores are those on 1000 test examples per task."""

    def __init__(
        self, d: int, seed: list[int], cache: Path, examples: int, fisher: bool, stretch: float
    ) -> None:
        self.name, self.d, self.tasks, self.examples = f"network-{d}", d, d, examples
        self._seed, self._fisher, self._stretch = seed, fisher, stretch
        self._path = cache / f"{self.name}-{'-'.join(map(str, seed))}.npz"

    @cached_property
    def _merge(self) -> _Merge:
        """Made when it is first needed: training takes time."""
        random = np.random.default_rng(self._seed)
        teachers = tasks(random, self.d, likeness=float(random.uniform(0.6, 0.8)))
        if not self._path.is_file():
            data = [t.draw(random, TRAINING_EXAMPLES) for t in teachers]
            _save(self._path, *_fine_tune(self._seed, data))
        with np.load(self._path) as stored:
            base: Array32 = stored["base"]
            vectors: Array32 = stored["vectors"]
            information: Array32 = stored["information"]
        if self._fisher:
            weights = information + EPSILON
            vectors = self.d * weights * vectors / weights.sum(0)
        fresh = np.random.default_rng([*self._seed, 1])
        return _Merge(
            base,
            (vectors * self._stretch).astype(np.float32),
            [t.draw(fresh, self.examples) for t in teachers],
            [t.draw(fresh, POPULATION) for t in teachers],
        )

    def task_scores(self, points: Array, examples: int | None = None) -> Array:
        count = self.examples if examples is None else examples
        return self._accuracy(points, [(x[:count], y[:count], h) for x, y, h in self._merge.scored])

    def true_task_scores(self, points: Array) -> Array:
        return self._accuracy(points, self._merge.population)

    def _accuracy(self, points: Array, batches: list[Batch]) -> Array:
        points = np.atleast_2d(points)
        rows = []
        for start in range(0, len(points), CHUNK):
            some = points[start : start + CHUNK].astype(np.float32)
            merged = self._merge.base + some @ self._merge.vectors
            columns = [
                ((embed(merged, inputs)[-1] @ head).argmax(-1) == labels).mean(-1)
                for inputs, labels, head in batches
            ]
            rows.append(np.stack(columns, 1))
        return np.concatenate(rows)


def _fine_tune(seed: list[int], data: list[Batch]) -> tuple[Array32, Array32, Array32]:
    """Base, task vectors and Fisher information of the models."""
    random = np.random.default_rng([*seed, 2])

    def some(batch: Batch, count: int) -> Batch:
        chosen = random.integers(len(batch[1]), size=count)
        return batch[0][chosen], batch[1][chosen], batch[2]

    base = train(initial(random), lambda: [some(b, 16) for b in data], PRETRAINING, RATE)
    models = [train(base, lambda b=b: [some(b, 64)], FINE_TUNING, RATE) for b in data]
    information = [gradient(m, b, squared=True) for m, b in zip(models, data, strict=True)]
    return base, np.stack(models) - base, np.stack(information)


def _save(path: Path, base: Array32, vectors: Array32, information: Array32) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Another process may be making the same file; each writes its own and the last one stays.
    partial = path.with_suffix(f".{os.getpid()}.npz")
    np.savez(partial, base=base, vectors=vectors, information=information)
    os.replace(partial, path)
