"""Tiny networks in numpy: a tanh encoder of three layers, trained under fixed heads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from .problem import Array

Array32 = npt.NDArray[np.float32]
#: Inputs and labels of a batch, and the head (embedding, classes) of its task.
Batch = tuple[Array32, npt.NDArray[np.int64], Array32]

WIDTHS = (16, 40, 40, 10)
SIZE = sum(a * b + b for a, b in pairwise(WIDTHS))


def initial(random: np.random.Generator) -> Array32:
    """Weights of an untrained encoder, flat."""
    parts = []
    for a, b in pairwise(WIDTHS):
        parts += [random.normal(0, a**-0.5, a * b), np.zeros(b)]
    return np.concatenate(parts).astype(np.float32)


def layers(weights: Array32) -> list[tuple[Array32, Array32]]:
    """Matrix and bias of each layer; leading axes of `weights` are kept."""
    found, start = [], 0
    for a, b in pairwise(WIDTHS):
        matrix = weights[..., start : start + a * b].reshape(*weights.shape[:-1], a, b)
        start += a * b
        found.append((matrix, weights[..., None, start : start + b]))
        start += b
    return found


def embed(weights: Array32, inputs: Array32) -> list[Array32]:
    """Activations of every layer, the inputs first; the last layer is linear."""
    activations = [inputs]
    parts = layers(weights)
    for depth, (matrix, bias) in enumerate(parts):
        out = activations[-1] @ matrix + bias
        activations.append(out if depth == len(parts) - 1 else np.tanh(out))
    return activations


def gradient(weights: Array32, batch: Batch, squared: bool = False) -> Array32:
    """Mean gradient of the cross-entropy; `squared`: mean of the examples' squared gradients,
    which is the diagonal of the empirical Fisher information."""
    inputs, labels, head = batch
    activations = embed(weights, inputs)
    logits = activations[-1] @ head
    logits -= logits.max(1, keepdims=True)
    error = np.exp(logits)
    error /= error.sum(1, keepdims=True)
    error[np.arange(len(labels)), labels] -= 1
    back = error @ head.T
    count = len(labels)
    parts: list[Array32] = []
    for depth in reversed(range(len(WIDTHS) - 1)):
        before = activations[depth]
        power = 2 if squared else 1
        outer = (before**power).T @ back**power / count
        parts = [outer.ravel(), (back**power).sum(0) / count, *parts]
        if depth:
            back = (back @ layers(weights)[depth][0].T) * (1 - before**2)
    return np.concatenate(parts)


def train(weights: Array32, batches: Callable[[], list[Batch]], steps: int, rate: float) -> Array32:
    """Adam, with the rate growing over the first steps."""
    weights = weights.copy()
    mean, square = np.zeros_like(weights), np.zeros_like(weights)
    for step in range(1, steps + 1):
        slope = np.mean([gradient(weights, batch) for batch in batches()], 0)
        mean += 0.1 * (slope - mean)
        square += 0.001 * (slope**2 - square)
        scaled = mean / (1 - 0.9**step) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
        weights -= np.float32(rate * min(1.0, step / 20)) * scaled
    return weights


@dataclass(frozen=True)
class Task:
    """A classification task: a teacher's labels of inputs of the task's own distribution."""

    centre: Array32
    spread: Array32
    linear: Array
    bent: Array
    head: Array32

    def draw(self, random: np.random.Generator, count: int) -> Batch:
        """Fresh examples; the labels are noisy where two classes are close."""
        inputs = self.centre + random.normal(size=(count, WIDTHS[0])) * self.spread
        root = WIDTHS[0] ** 0.5
        seen = inputs @ self.linear / root + 0.7 * np.tanh(1.5 * inputs @ self.bent / root)
        logits = seen @ self.head
        labels = (logits + random.gumbel(0, 0.15, logits.shape)).argmax(1)
        return inputs.astype(np.float32), labels, self.head


def tasks(random: np.random.Generator, count: int, likeness: float) -> list[Task]:
    """Teachers that share `likeness` of what they look at."""
    shape = (WIDTHS[0], WIDTHS[-1])
    common = random.normal(size=shape)
    found = []
    for _ in range(count):
        classes = int(random.integers(2, 6))
        own = random.normal(size=shape)
        found.append(
            Task(
                centre=random.normal(0, 0.8, WIDTHS[0]).astype(np.float32),
                spread=random.uniform(0.5, 1.4, WIDTHS[0]).astype(np.float32),
                linear=1.3 * (likeness * common + (1 - likeness) * 1.3 * own),
                bent=random.normal(size=shape),
                head=(2.0 * WIDTHS[-1] ** -0.5 * random.normal(size=(WIDTHS[-1], classes))).astype(
                    np.float32
                ),
            )
        )
    return found
