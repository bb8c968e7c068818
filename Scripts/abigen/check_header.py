"""Does the header compile alone, and does every Swift function match its declaration?"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from abigen.model import AbigenError
from abigen.toolchain import Toolchain, attempt

_FLAGS = ["-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only"]
_CDECL = re.compile(r'@_cdecl\(("[^"]*")\)')


def compiles(header: Path, toolchain: Toolchain) -> list[str]:
    """Compiles the header as C99, C++11 and C++17 with gcc and clang; one problem per failure."""
    compilers = [
        ("gcc", ["-std=c99", "-x", "c"]),
        ("g++", ["-std=c++11", "-x", "c++"]),
        ("g++", ["-std=c++17", "-x", "c++"]),
        (toolchain.clang, ["-std=c99", "-x", "c"]),
        (toolchain.clang, ["-std=c++17", "-x", "c++"]),
    ]
    problems = []
    with tempfile.TemporaryDirectory() as folder:
        # Included, not compiled itself: a compiler warns about guards only in a main file.
        source = Path(folder) / "alone.c"
        source.write_text(f'#include "{header.resolve()}"\nint alone;\n', encoding="utf-8")
        for compiler, language in compilers:
            if shutil.which(compiler) is None:
                raise AbigenError(f"{compiler} is not in PATH; the header check needs it")
            result = attempt([compiler, *language, *_FLAGS, str(source)])
            if result.returncode != 0:
                called = " ".join([Path(compiler).name, *language[:1]])
                problems.append(f"{header.name} does not compile with {called}:\n{result.stderr}")
    return problems


def matches_swift(
    header: Path,
    sources: Path,
    shims: Path,
    modules: list[Path],
    package_name: str,
    toolchain: Toolchain,
) -> list[str]:
    """Lets the Swift compiler compare each function with the header's declaration of it.

    Copies of the sources with `@implementation` added are type-checked; the types header that they
    import is replaced by the whole generated header. Two handle types are not told apart. `modules`
    are the folders of the other modules, compiled ones and of C.
    """
    with tempfile.TemporaryDirectory() as folder:
        include = Path(folder) / "include"
        shutil.copytree(shims, include)
        shutil.copyfile(header, include / "dfmerge_types.h")
        copies = []
        for source in sorted(sources.glob("*.swift")):
            text = _CDECL.sub(r"@_cdecl(\1) @implementation", source.read_text(encoding="utf-8"))
            copy = Path(folder) / source.name
            # The import goes last, so that the line numbers in messages stay right.
            copy.write_text(f"{text}\nimport CDFMergeShims\n", encoding="utf-8")
            copies.append(str(copy))
        if not copies:
            raise AbigenError(f"{sources} has no Swift files")
        command = ["swiftc", "-typecheck", "-parse-as-library", "-swift-version", "6"]
        command += ["-package-name", package_name, "-module-name", sources.name]
        command += ["-target", toolchain.triple, "-I", str(include)]
        command += [*(f"-I{folder}" for folder in modules), *copies]
        result = attempt(command)
    if result.returncode == 0:
        return []
    errors = [line for line in result.stderr.splitlines() if ": error:" in line]
    listing = "\n".join(line.replace(folder + "/", "") for line in errors) or result.stderr
    return [f"the Swift functions do not match {header.name}:\n{listing}"]
