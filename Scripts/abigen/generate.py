"""The generated files: their names, their text, and what has drifted."""

from __future__ import annotations

import difflib
import tempfile
from pathlib import Path

from abigen import clang_ast, render_ffi, render_header, render_record
from abigen.model import AbigenError, CDeclarations, Interface
from abigen.toolchain import Toolchain

HEADER = "include/dfmerge.h"
FFI = "bindings/python/src/dfmerge/_ffi.py"
RECORD = "include/abi/dfmerge.json"
MAP = "include/abi/dfmerge.map"


def files(interface: Interface, types_header: Path, toolchain: Toolchain) -> dict[str, str]:
    """Path from the root of the repository to text, for every generated file."""
    header = render_header.header(interface, types_header.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dfmerge.h"
        path.write_text(header, encoding="utf-8")
        declared = clang_ast.read(path, toolchain)
    _compare(interface, declared)
    return {
        HEADER: header,
        FFI: render_ffi.ffi(interface, declared),
        RECORD: render_record.record(interface),
        MAP: render_header.version_script(interface),
    }


def _compare(interface: Interface, declared: CDeclarations) -> None:
    """Raises AbigenError unless clang reads the same functions that were written."""
    for function in interface.functions:
        types = [parameter.type for parameter in function.parameters]
        read = declared.functions.get(function.name)
        if read != (function.returns, types):
            raise AbigenError(
                f"{function.name}: written as {(function.returns, types)}, read by clang as {read}"
            )
    written = {function.name for function in interface.functions}
    for name in declared.functions:
        if name not in written:
            raise AbigenError(f"{name} is declared in dfmerge_types.h but has no Swift function")


def write(root: Path, generated: dict[str, str]) -> list[str]:
    """Writes the files that differ; returns their names."""
    changed = []
    for name, text in generated.items():
        path = root / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            changed.append(name)
    return changed


def drift(root: Path, generated: dict[str, str]) -> list[str]:
    """One problem for each committed file that is missing or differs from what is generated."""
    problems = []
    for name, text in generated.items():
        path = root / name
        if not path.exists():
            problems.append(f"{name} is missing; run `python3 Scripts/abigen` and commit it")
            continue
        found = path.read_text(encoding="utf-8")
        if found != text:
            lines = difflib.unified_diff(
                found.splitlines(), text.splitlines(), "committed", "generated", lineterm="", n=1
            )
            excerpt = "\n".join(list(lines)[:30])
            problems.append(
                f"{name} is not what the sources give; run `python3 Scripts/abigen` and commit "
                f"it:\n{excerpt}"
            )
    return problems
