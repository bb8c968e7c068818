#!/usr/bin/env python3
"""Writes the code that documents print into files, so that it can be built and run as printed.

code_blocks.py document GUIDE.md FOLDER    program.cpp (the first cpp block), CMakeLists.txt (cmake
                                           blocks), commands.sh (sh blocks), blocks.cpp (a program
                                           that runs the other cpp blocks one after the other) and
                                           plain-N.cpp (those that begin with "// -fno-exceptions")
code_blocks.py head SOURCE                 prints the commands of a source file's head comment: its
                                           lines that are indented by four spaces or more
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PLAIN = "// -fno-exceptions"


def fail(message: str) -> None:
    sys.exit(f"code_blocks.py: error: {message}")


def head_commands(text: str) -> list[str]:
    """The indented lines of the comment that a source file begins with."""
    lines = []
    for line in text.splitlines():
        inside = re.match(r"^(?:/\*| \*|//|#)(.*)$", line)
        if inside is None:
            break
        lines.append(inside.group(1))
        if line.endswith("*/"):
            break
    return [line.strip() for line in lines if line.startswith("    ")]


def write_document(text: str, folder: Path) -> dict[str, int]:
    """Writes the blocks of a Markdown text; returns how many there are of each language."""
    blocks = FENCE.findall(text)
    of = {name: [body for language, body in blocks if language == name] for name, _ in blocks}
    cpp = of.get("cpp", [])
    if not cpp or "int main()" not in cpp[0]:
        fail("the first cpp block is no program; it must have an int main()")
    (folder / "program.cpp").write_text(cpp[0])
    (folder / "CMakeLists.txt").write_text("\n".join(of.get("cmake", [])))
    (folder / "commands.sh").write_text("set -euo pipefail\n" + "".join(of.get("sh", [])))
    parts = ['#include "doc_fixture.hpp"\n']
    calls = []
    for number, body in enumerate(cpp[1:], start=2):
        if body.startswith(PLAIN):
            (folder / f"plain-{number}.cpp").write_text(body)
            continue
        parts.append(f"struct block_{number} : doc_fixture {{\nvoid run() {{\n{body}}}\n}};\n")
        calls.append(f"    block_{number}().run();\n")
    parts.append("int main() {\n" + "".join(calls) + "}\n")
    (folder / "blocks.cpp").write_text("\n".join(parts))
    return {name: len(bodies) for name, bodies in of.items()}


def main(arguments: list[str]) -> None:
    match arguments:
        case ["document", guide, folder]:
            counts = write_document(Path(guide).read_text(), Path(folder))
            print(f"{guide}: " + ", ".join(f"{n} {name}" for name, n in sorted(counts.items())))
        case ["head", source]:
            commands = head_commands(Path(source).read_text())
            if not commands:
                fail(f"{source} has no commands in its head comment; say there how to build it")
            print("\n".join(commands))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
