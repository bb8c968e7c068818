#!/usr/bin/env python3
"""Writes the files that the tutorial of the Swift documentation shows, step by step.

    tutorial_steps.py FOLDER [ROOT]

A step is a file of the Swift example, which the tests compile, less what later steps bring; the
last one is the whole file. So that nothing stands twice, the steps are made where the documentation
is built: FOLDER/Name-01.swift and so on, FOLDER being the Resources of a copy of the catalogue.
"""

from __future__ import annotations

import sys
from pathlib import Path

SOURCES = "examples/swift/Sources/Specialists"

# What a step leaves out: from the one line that begins with the first text up to the next line that
# begins with the second, which stays.
Cut = tuple[str, str]
STEPS: dict[str, list[list[Cut]]] = {
    "Network.swift": [
        [("  /// The network of a checkpoint.", "}")],
        [("  func probabilities(", "}")],
        [],
    ],
    "NetworkHost.swift": [
        [("  /// One score per task", "}")],
        [("  /// The diagonal Fisher", "}")],
        [],
    ],
    "Specialists.swift": [
        [
            ("  /// What a merge has come to", "  let problem"),
            ("  /// Searches for the best merge", "}"),
        ],
        [
            ("    let run = Search.start", "  }"),
            ("  /// The accuracies of a checkpoint", "  private func data"),
        ],
        [
            ("    try Checkpoint.save(target", "  }"),
            ("  /// The accuracies of a checkpoint", "  private func data"),
        ],
        [],
    ],
}


def cut(lines: list[str], parts: list[Cut], name: str) -> list[str]:
    """The lines less the parts, and less blank lines that then stand before a closing brace.

    Raises
    ------
    ValueError
        Where a part is not in the file, or begins in more than one place.
    """
    kept = lines
    for first, until in parts:
        starts = [index for index, line in enumerate(kept) if line.startswith(first)]
        if len(starts) != 1:
            raise ValueError(
                f"{name}: {len(starts)} lines begin with {first!r}; one should: correct STEPS"
            )
        (start,) = starts
        rest = (index for index in range(start, len(kept)) if kept[index].startswith(until))
        end = next(rest, None)
        if end is None:
            raise ValueError(f"{name}: no line after {first!r} begins with {until!r}; one should")
        kept = kept[:start] + kept[end:]
    return [
        line
        for line, following in zip(kept, [*kept[1:], ""], strict=True)
        if line.strip() or not following.lstrip().startswith("}")
    ]


def steps(root: Path) -> dict[str, str]:
    """The text of every step by its file's name."""
    found = {}
    for name, every in STEPS.items():
        lines = (root / SOURCES / name).read_text(encoding="utf-8").splitlines()
        stem, _, suffix = name.partition(".")
        for number, parts in enumerate(every, 1):
            text = "\n".join(cut(lines, parts, name)) + "\n"
            found[f"{stem}-{number:02}.{suffix}"] = text
    return found


def main() -> int:
    """Write the steps."""
    folder = Path(sys.argv[1])
    root = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).resolve().parents[1]
    try:
        made = steps(root)
    except (OSError, ValueError) as error:
        print(f"tutorial_steps.py: error: {error}", file=sys.stderr)
        return 1
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in made.items():
        (folder / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
