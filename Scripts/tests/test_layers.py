"""Swift's own concurrency stays in front of the core, where no other door comes by it."""

from __future__ import annotations

import re
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[2] / "Sources"
CONCURRENCY = re.compile(
    r"\b(async|await|Task|TaskGroup|AsyncStream|AsyncSequence|actor|CheckedContinuation)\b"
    r"|import (Dispatch|_Concurrency)"
)


def code_of(path: Path) -> str:
    """A file without its comments and texts."""
    return re.sub(r'//.*|"[^"\n]*"', "", path.read_text())


def test_concurrency_stands_in_one_folder() -> None:
    found = {
        path.relative_to(SOURCES).parts[:2]
        for path in SOURCES.rglob("*.swift")
        if "DFMerge.docc" not in path.parts and CONCURRENCY.search(code_of(path))
    }
    # A pool's threads do not come along into a forked child, and one that starts at load time would
    # be there in every host.
    assert found == {("DFMerge", "Background")}
