"""Options and small models shared by the tests."""

from __future__ import annotations

import importlib
import importlib.util
import re
import signal
from pathlib import Path
from types import CodeType
from typing import Any

import numpy as np
import pytest

# A shell starts background jobs with Ctrl-C ignored, and children inherit that: the tests that
# send it would test nothing then.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# For tests in files that run without torch too; None where it is not installed.
torch: Any = importlib.import_module("torch") if importlib.util.find_spec("torch") else None

_NEEDS_TORCH = re.compile(r"^(import|from) (dfmerge\.torch|safetensors\.torch|torch\w*)\b", re.M)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "torch: uses torch; put on by name, see conftest.py")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With ``-m "not torch"``, files that could not even be imported without it are left out."""
    if config.option.markexpr == "not torch" and collection_path.name.startswith("test_"):
        return bool(_NEEDS_TORCH.search(collection_path.read_text(encoding="utf-8"))) or None
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that use torch: those in files that import it, and those that name it."""
    for item in items:
        code = getattr(getattr(item, "function", None), "__code__", None)
        if _NEEDS_TORCH.search(item.path.read_text(encoding="utf-8")) or _names_torch(code):
            item.add_marker(pytest.mark.torch)


def _names_torch(code: CodeType | None) -> bool:
    if code is None:
        return False
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return "torch" in code.co_names or any(map(_names_torch, inner))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the long campaigns in full")
    parser.addoption("--no-skips", action="store_true", help="fail if a test is skipped")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With ``--no-skips``, what nobody would ever see is a failure."""
    reporter: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    if session.config.getoption("--no-skips") and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


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
