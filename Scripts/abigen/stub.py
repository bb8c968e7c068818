"""A C library of empty functions with the header's types, for tools that read debug information.

They do not read Swift's: of the library itself they see the symbols only.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from pathlib import Path

from abigen.model import AbigenError
from abigen.toolchain import attempt

_TYPES_CHANGED, _REMOVED = 4, 8


def source(header: Path, record: Path) -> str:
    """The C text: every function of the header, doing nothing; every callback type used once."""
    content = json.loads(record.read_text(encoding="utf-8"))
    lines = [f'#include "{header.resolve()}"']
    for function in content["functions"]:
        items = [
            f"{parameter['type']} p{number}"
            for number, parameter in enumerate(function["parameters"])
        ]
        returns = function["returns"]
        body = "" if returns == "void" else " return 0; "
        lines.append(f"{returns} {function['name']}({', '.join(items) or 'void'}) {{{body}}}")
    return "\n".join(lines) + "\n"


def build(header: Path, record: Path, folder: Path) -> Path:
    """Compiles the stub with all its debug information."""
    content = json.loads(record.read_text(encoding="utf-8"))
    text, library = folder / "stub.c", folder / "libdfmerge-stub.so"
    text.write_text(source(header, record), encoding="utf-8")
    command = ["gcc", "-g", "-O0", "-fPIC", "-shared", "-fno-eliminate-unused-debug-types"]
    command += ["-Wno-unused-parameter", f"-Wl,-soname,libdfmerge.so.{content['abi']}"]
    _run([*command, "-o", str(library), str(text)])
    return library


def dump(header: Path, record: Path) -> str:
    """What abidw writes of the stub, free of what differs from machine to machine."""
    with tempfile.TemporaryDirectory() as folder:
        library = build(header, record, Path(folder))
        written = Path(folder) / "stub.abi"
        command = ["abidw", "--no-corpus-path", "--no-comp-dir-path", "--no-show-locs"]
        _run([*command, "--out-file", str(written), str(library)])
        text = written.read_text(encoding="utf-8")
    # Nor the folder and the architecture of the machine that wrote it.
    return re.sub(r" (?:path|comp-dir-path|producer|architecture)='[^']*'", "", text)


def differs(stored: Path, header: Path, record: Path) -> list[str]:
    """Compares the stub of the present header with the dump of a released version."""
    with tempfile.TemporaryDirectory() as folder:
        library = build(header, record, Path(folder))
        # A const that is dropped breaks programs that are compiled anew; abidiff calls it harmless.
        flags = ["--harmless", "--no-added-syms", "--no-show-locs"]
        return _compared(stored.name, [*flags, str(stored), str(library)])


def symbols_removed(released: Path, library: Path) -> list[str]:
    """Compares the symbols of the library, and their versions, with those of a released record."""
    content = json.loads(released.read_text(encoding="utf-8"))
    names = [function["name"] for function in content["functions"]]
    with tempfile.TemporaryDirectory() as folder:
        text, script = Path(folder) / "symbols.c", Path(folder) / "symbols.map"
        text.write_text("".join(f"void {name}(void) {{}}\n" for name in names), encoding="utf-8")
        node = f"DFMERGE_{content['abi']}.0"
        script.write_text(f"{node} {{ global: {'; '.join(names)}; local: *; }};\n", "utf-8")
        before = Path(folder) / f"libdfmerge-{content['version']}.so"
        command = ["gcc", "-fPIC", "-shared", f"-Wl,-soname,libdfmerge.so.{content['abi']}"]
        _run([*command, f"-Wl,--version-script={script}", "-o", str(before), str(text)])
        return _compared(released.name, ["--no-added-syms", str(before), str(library)])


def _compared(name: str, arguments: list[str]) -> list[str]:
    _need("abidiff")
    result = attempt(["abidiff", "--no-architecture", *arguments])
    if result.returncode & ~(_TYPES_CHANGED | _REMOVED):
        raise AbigenError(f"abidiff failed ({result.returncode}): {result.stderr or result.stdout}")
    if result.returncode == 0:
        return []
    return [f"abidiff finds changes since {name}:\n{result.stdout.strip()}"]


def _need(tool: str) -> None:
    if shutil.which(tool) is None:
        raise AbigenError(f"{tool} is not in PATH; install the package abigail-tools")


def _run(command: list[str]) -> None:
    _need(command[0])
    result = attempt(command)
    if result.returncode != 0:
        raise AbigenError(f"`{command[0]}` failed ({result.returncode}): {result.stderr}")
