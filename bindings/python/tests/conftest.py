"""Options and small models shared by the tests."""

from __future__ import annotations

import signal
from typing import Any

import numpy as np
import pytest

# A shell starts background jobs with Ctrl-C ignored, and children inherit that: the tests that
# send it would test nothing then.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the long campaigns in full")


@pytest.fixture
def long(request: pytest.FixtureRequest) -> bool:
    """Whether the long campaigns are asked for."""
    return bool(request.config.getoption("--long"))


def random_weights(rng: np.random.Generator, tensors: int) -> dict[str, np.ndarray[Any, Any]]:
    """Float32 tensors of random rank and size, scalars and empty ones among them."""
    weights: dict[str, np.ndarray[Any, Any]] = {
        "scalar": np.asarray(rng.normal(), np.float32),
        "empty": np.zeros((0, 3), np.float32),
    }
    for index in range(tensors):
        shape = tuple(int(n) for n in rng.integers(1, 9, rng.integers(1, 4)))
        weights[f"t{index}"] = np.asarray(rng.normal(size=shape), np.float32)
    return weights


def near(
    rng: np.random.Generator, weights: dict[str, np.ndarray[Any, Any]], step: float = 0.1
) -> dict[str, np.ndarray[Any, Any]]:
    """A fine-tune: the same tensors, moved a little."""
    return {
        name: np.asarray(value + step * rng.normal(size=value.shape), value.dtype)
        for name, value in weights.items()
    }
