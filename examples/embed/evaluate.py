"""The evaluation of host.c: how close the live weights are to 0.5, 0.9, 0.5, 0.9, ..."""

from __future__ import annotations


def evaluate(memory: memoryview) -> float:
    """Scores the candidate whose weights are in `memory`; larger is better."""
    with memory.cast("f") as weights:  # NumPy: numpy.frombuffer(memory, "float32")
        wanted = (0.5, 0.9)
        error = sum((w - wanted[i % 2]) ** 2 for i, w in enumerate(weights))
        return 1 - error / len(weights)
