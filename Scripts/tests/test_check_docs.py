"""The checks of the documentation must find what they are there for."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CATALOGUE = Path("Sources/DFMerge/DFMerge.docc")

ARTICLE = """# Swift

```swift
let a = 1
let b = 2
```

```text
anything
```
"""
SOURCE = """func example() {
  // before
  let a = 1
  let b = 2
}
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """An article, and the file whose lines it shows."""
    example = tmp_path / "examples/swift/Sources/Example"
    for folder in (tmp_path / CATALOGUE, example, tmp_path / "Tests/DFMergeTests"):
        folder.mkdir(parents=True)
    (tmp_path / CATALOGUE / "Swift.md").write_text(ARTICLE)
    (example / "Example.swift").write_text(SOURCE)
    return tmp_path


def check(checkout: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "Scripts/check-docs.py"), str(checkout)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_code_that_is_compiled_passes(checkout: Path) -> None:
    found = check(checkout)
    assert (found.returncode, found.stderr) == (0, "")


@pytest.mark.parametrize(
    ("before", "after"),
    [("let b = 2", "let b = 3"), ("let a = 1\n", "let a = 1\n\n"), ("let a", "  let a")],
)
def test_a_block_that_is_not_compiled_fails(checkout: Path, before: str, after: str) -> None:
    article = checkout / CATALOGUE / "Swift.md"
    article.write_text(ARTICLE.replace(before, after))
    found = check(checkout)
    assert found.returncode == 1
    assert "Swift.md: this swift block" in found.stderr


def test_a_catalogue_without_articles_fails(checkout: Path) -> None:
    shutil.rmtree(checkout / CATALOGUE)
    found = check(checkout)
    assert found.returncode == 1
    assert "no articles" in found.stderr


def test_a_link_to_nothing_stops_the_documentation(tmp_path: Path) -> None:
    catalogue = tmp_path / "DFMerge.docc"
    shutil.copytree(ROOT / CATALOGUE, catalogue)
    page = catalogue / "Articles/SwiftDoor.md"
    page.write_text(page.read_text() + "\nSee ``NoSuchType``.\n")
    script = ROOT / "Scripts/build-docs.sh"
    command = [str(script), str(catalogue), str(tmp_path / "site")]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode != 0
    assert "'NoSuchType' doesn't exist" in found.stdout + found.stderr
