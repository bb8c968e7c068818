"""The command line."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from abigen import check_ctypes, check_header, check_library, docs, generate, release
from abigen.model import AbigenError, Interface
from abigen.project import Project
from abigen.toolchain import Toolchain

_ROOT = Path(__file__).resolve().parent.parent.parent


def main(arguments: list[str] | None = None) -> int:
    """Generates, freezes with --release, or checks with --check. Returns the exit status."""
    options = _parser().parse_args(arguments)
    scratch = Path(options.scratch_path) if options.scratch_path else _ROOT / ".build"
    project = Project(_ROOT, scratch.resolve())
    library = Path(options.library) if options.library else None
    try:
        toolchain = Toolchain()
        project.build(toolchain)
        interface = project.interface(toolchain)
        generated = generate.files(interface, project.types_header, toolchain)
        generated |= docs.files(project.root, interface)
        if options.check:
            return _report(check(project, interface, generated, library, toolchain))
        written = generate.write(project.root, generated)
        written += release.write(project.root) if options.release else []
        for name in written:
            print(f"abigen: wrote {name}")
        print(f"abigen: {len(interface.functions)} functions are up to date")
        return 0
    except AbigenError as error:
        print(f"abigen: error: {error}", file=sys.stderr)
        return 1


def check(
    project: Project,
    interface: Interface,
    generated: dict[str, str],
    library: Path | None,
    toolchain: Toolchain,
) -> list[str]:
    """Every problem of the committed files, and of the library when one is given."""
    header = project.root / generate.HEADER
    problems = generate.drift(project.root, generated)
    if header.exists():
        problems += check_header.compiles(header, toolchain)
        problems += check_header.matches_swift(
            header,
            project.sources,
            project.shims,
            [project.modules, *project.includes],
            project.package_name(),
            toolchain,
        )
    if not problems:
        table, record = project.root / generate.FFI, project.root / generate.RECORD
        problems += check_ctypes.check(header, table, record)
        problems += release.check(project.root, library)
    if library is not None:
        problems += check_library.check(library, interface, toolchain)
        if not problems:
            size = library.resolve().stat().st_size
            needs = " ".join(check_library.needed(library, toolchain))
            print(f"abigen: {library}: {size} bytes, needs {needs}")
    return problems


def _report(problems: list[str]) -> int:
    for problem in problems:
        print(f"abigen: error: {problem}", file=sys.stderr)
    if not problems:
        print("abigen: all checks passed")
    return 1 if problems else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="abigen", description="Writes the C header and the files derived from it."
    )
    action = parser.add_mutually_exclusive_group()
    action.add_argument(
        "--check", action="store_true", help="compare and verify instead of writing"
    )
    action.add_argument(
        "--release",
        action="store_true",
        help="write, and freeze the interface of this version in include/abi/released; refused "
        "where it lacks what a released version had",
    )
    parser.add_argument("--library", help="with --check: the built libdfmerge.so to verify as well")
    parser.add_argument("--scratch-path", help="SwiftPM's build folder (default: .build)")
    return parser
