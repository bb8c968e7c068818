#!/usr/bin/env python3
"""Checks that the code in the catalogue of the Swift documentation is code that is compiled.

Every block of an article in a language of ``SOURCES`` stands word for word, lines in one piece, in
a file that the tests compile or run. The indentation of a block as a whole does not count. (What
the tutorial shows is made of compiled files: tutorial_steps.py.)

Usage: check-docs.py [ROOT]
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

CATALOGUE = "Sources/DFMerge/DFMerge.docc"
#: Where the code of a language is compiled, or run, by the tests.
SOURCES = {
    "swift": ["examples/swift/**/*.swift", "Tests/DFMergeTests/*.swift"],
    "python": ["examples/python/**/*.py"],
    "c": ["examples/c/*.c", "examples/c/*.h"],
    "cpp": ["examples/cpp/*.cpp"],
}
BLOCK = re.compile(r"^```([a-z+]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def pieces(text: str, count: int) -> Iterator[str]:
    """All runs of ``count`` lines of a text, without their common indentation."""
    lines = text.splitlines()
    for start in range(len(lines) - count + 1):
        yield textwrap.dedent("\n".join(lines[start : start + count]))


def block_problems(root: Path) -> Iterator[str]:
    """Blocks of articles that no compiled file holds."""
    articles = sorted((root / CATALOGUE).rglob("*.md"))
    for article in articles:
        for language, code in BLOCK.findall(article.read_text()):
            if language not in SOURCES:
                continue
            wanted = textwrap.dedent(code).rstrip("\n")
            count = wanted.count("\n") + 1
            files = [path for pattern in SOURCES[language] for path in root.glob(pattern)]
            if not any(wanted in pieces(path.read_text(), count) for path in files):
                name = article.relative_to(root)
                yield (
                    f"{name}: this {language} block is in none of "
                    f"{', '.join(SOURCES[language])}:\n{textwrap.indent(wanted, '    ')}"
                )
    if not articles:
        yield f"{CATALOGUE}: there are no articles"


def main() -> int:
    """Prints all problems."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent)
    problems = list(block_problems(root))
    for problem in problems:
        print(f"check-docs.py: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
