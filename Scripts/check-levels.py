#!/usr/bin/env python3
"""Checks that code for newer CPUs stays where only newer CPUs run it.

Usage: check-levels.py BUILD_FOLDER LIBRARY

BUILD_FOLDER is a release build's folder of objects, LIBRARY the shared library linked from them,
with its symbols. The loops of DFMergeKernels and CDFMergeDense are compiled once per CPU level.
When two objects have the same weak function, the linker keeps one, whatever it was compiled for; so
this script refuses
  1. in the objects of a level: a weak function with vector code that its name does not tie to the
     level's module (a specialisation of someone else's generic code, for example);
  2. in the same objects: fused multiply-adds, which round once where the baseline rounds twice;
  3. in the library: a function with vector code outside of the levels' modules;
  4. a level without any vector code, which would mean that its flags got lost.
Vector code here: every instruction that x86-64-v3 and -v4 add - those with a VEX or EVEX prefix,
and BMI, LZCNT and MOVBE. On other architectures there are no levels and nothing to check.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Level(NamedTuple):
    """Code for one level: its objects in the folder of a build, and the names of its functions."""

    name: str
    objects: str
    functions: re.Pattern[str]

    def owns(self, function: str) -> bool:
        return self.functions.search(function) is not None


def swift_level(module: str) -> Level:
    # A mangled name starts with the module: the first of the names in it.
    names = re.compile(rf"^_?\$[sS]{len(module)}{module}")
    return Level(module, f"{module}.build/**/*.o", names)


def dense_level(level: str) -> Level:
    names = re.compile(rf"^dfmd_\w+_{level}$")
    return Level(f"CDFMergeDense {level}", f"CDFMergeDense.build/loops_{level}.c.o", names)


LEVELS = (
    swift_level("DFMergeKernelsV3"),
    swift_level("DFMergeKernelsV4"),
    dense_level("v3"),
    dense_level("v4"),
)

FUNCTION = re.compile(r"^[0-9a-f]+ <(.+)>:$")
INSTRUCTION = re.compile(
    r"^\s*[0-9a-f]+:\s+(?:(?:lock|rep|repne|notrack|data16)\s+)*(\S+)(?:\s+(.*))?$"
)
# The mnemonics that begin with v and have no such prefix.
LEGACY_V = re.compile(
    r"^(?:ver[rw]|vm(?:call|clear|func|launch|load|mcall|ptr|read|resume|run|save|write|xo).*)$"
)
# Not tzcnt: compilers use it at the baseline too, where old CPUs read it as bsf.
SCALAR = re.compile(
    r"^(?:andn|bextr|bls(?:i|r|msk)|bzhi|lzcnt|movbe|mulx|pdep|pext|rorx|sarx|shlx|shrx)[wlq]?$"
)
REGISTER = re.compile(r"%(?:[yz]mm|k[0-7]\b)")
FUSED = re.compile(r"^vfn?m(?:add|sub)")


class CheckError(Exception):
    """The check cannot be done; the message says what is missing."""


def tool(name: str) -> str:
    """The tool of LLVM if there is one, else that of binutils."""
    path = shutil.which(f"llvm-{name}") or shutil.which(name)
    if path is None:
        raise CheckError(f"{name} is missing; install binutils")
    return path


def lines(*command: str) -> Iterator[str]:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise CheckError(f"{command[0]} failed: {result.stderr.strip()}")
    yield from result.stdout.splitlines()


def is_vector(mnemonic: str, operands: str) -> bool:
    """Whether this is an instruction of x86-64-v3 or above."""
    if SCALAR.match(mnemonic) or REGISTER.search(operands):
        return True
    return mnemonic.startswith("v") and not LEGACY_V.match(mnemonic)


def code(path: Path) -> Iterator[tuple[str, str]]:
    """The function and the mnemonic of every vector instruction of a file."""
    function = ""
    for line in lines(tool("objdump"), "-d", "--no-show-raw-insn", str(path)):
        if found := FUNCTION.match(line):
            function = found[1]
        elif (found := INSTRUCTION.match(line)) and is_vector(found[1], found[2] or ""):
            yield function, found[1]


def weak_symbols(path: Path) -> set[str]:
    fields = (line.split() for line in lines(tool("nm"), str(path)))
    return {field[-1] for field in fields if len(field) >= 2 and field[-2] in "WwVvu"}


def objects(build: Path, level: Level) -> list[Path]:
    found = sorted(build.glob(level.objects))
    if not found:
        raise CheckError(f"{build} has no objects of {level.name}; build the library first")
    return found


def check_level(build: Path, level: Level) -> list[str]:
    findings: list[str] = []
    instructions = 0
    for path in objects(build, level):
        weak = weak_symbols(path)
        strangers: Counter[str] = Counter()
        fused: Counter[str] = Counter()
        for function, mnemonic in code(path):
            instructions += 1
            if function in weak and not level.owns(function):
                strangers[function] += 1
            if FUSED.match(mnemonic):
                fused[function] += 1
        findings += [
            f"{level.name}, {path.name}: weak function with {n} vector instructions: {function}"
            for function, n in strangers.items()
        ]
        findings += [
            f"{level.name}, {path.name}: {n} fused multiply-adds in {function}"
            for function, n in fused.items()
        ]
    if instructions == 0:
        findings.append(f"{level.name}: no vector code; were its compiler flags lost?")
    return findings


def check_library(library: Path) -> list[str]:
    functions: Counter[str] = Counter(
        function
        for function, _ in code(library)
        if not any(level.owns(function) for level in LEVELS)
    )
    return [
        f"{library.name}: {n} vector instructions outside of the levels' modules: {function}"
        for function, n in functions.items()
    ]


def main(arguments: list[str]) -> int:
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    if platform.machine() != "x86_64":
        print("check-levels.py: no CPU levels on this architecture")
        return 0
    build, library = map(Path, arguments)
    try:
        if not library.is_file():
            raise CheckError(f"there is no library {library}; build it first")
        if not any(lines(tool("nm"), str(library))):
            raise CheckError(f"{library} is stripped; name the one with symbols")
        findings = [finding for level in LEVELS for finding in check_level(build, level)]
        findings += check_library(library)
    except CheckError as error:
        print(f"check-levels.py: error: {error}", file=sys.stderr)
        return 2
    for finding in findings:
        print(f"check-levels.py: {finding}", file=sys.stderr)
    if not findings:
        print("check-levels.py: vector code is where it belongs")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
