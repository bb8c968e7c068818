"""The options of the packaging tests."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also build the sdist's library in full")


@pytest.fixture
def long(request: pytest.FixtureRequest) -> bool:
    """Whether the long builds are asked for."""
    return bool(request.config.getoption("--long"))
