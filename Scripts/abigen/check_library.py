"""Does the built library export what the header declares, and need nothing unusual?"""

from __future__ import annotations

import re
from pathlib import Path

from abigen.model import Interface
from abigen.toolchain import Toolchain

# The C runtime of any Linux system. No Swift, no Foundation: those are linked in.
ALLOWED = re.compile(r"lib(c|m|stdc\+\+|gcc_s)\.so\.[0-9]+|ld-linux-[a-z0-9_-]+\.so\.[0-9]+")


def check(library: Path, interface: Interface, toolchain: Toolchain) -> list[str]:
    """One problem for each thing that is wrong with the library file."""
    return [
        *symbols(library, interface, toolchain),
        *dynamic_section(library, f"libdfmerge.so.{interface.version.abi}", toolchain),
    ]


def symbols(library: Path, interface: Interface, toolchain: Toolchain) -> list[str]:
    """Compares the exported symbols, with their version, with the functions of the header."""
    listing = toolchain.run(
        [toolchain.tool("llvm-nm"), "--dynamic", "--defined-only", "--format=posix", str(library)]
    )
    node = f"DFMERGE_{interface.version.abi}.0"
    exported = {line.split()[0] for line in listing.splitlines() if line.strip()}
    # Some linkers list the version itself as a symbol.
    exported -= {node, f"{node}@@{node}"}
    declared = {f"{function.name}@@{node}" for function in interface.functions}
    problems = [f"{library.name} does not export {name}" for name in sorted(declared - exported)]
    for name in sorted(exported - declared):
        problems.append(f"{library.name} exports {name}, which the header does not declare")
    return problems


def dynamic_section(library: Path, soname: str, toolchain: Toolchain) -> list[str]:
    """Checks the name, what is needed, and that no folder of the build machine is recorded."""
    listing = toolchain.run([toolchain.tool("llvm-objdump"), "--private-headers", str(library)])
    entries = re.findall(r"^  ([A-Z_0-9]+) +(\S+)$", listing, flags=re.MULTILINE)
    problems = []
    names = [value for key, value in entries if key == "SONAME"]
    if names != [soname]:
        problems.append(f"{library.name} has SONAME {names}, not {soname}")
    for key, value in entries:
        if key == "NEEDED" and not ALLOWED.fullmatch(value):
            problems.append(f"{library.name} needs {value}, which a host need not have")
        if key in ("RUNPATH", "RPATH"):
            problems.append(f"{library.name} records the {key} {value}")
    flags = [int(value, 16) for key, value in entries if key == "FLAGS_1"]
    if not any(flag & 0x8 for flag in flags):
        problems.append(f"{library.name} is not linked with `-z nodelete`; unloading it crashes")
    return problems


def needed(library: Path, toolchain: Toolchain) -> list[str]:
    """The libraries that the file asks the loader for."""
    listing = toolchain.run([toolchain.tool("llvm-objdump"), "--private-headers", str(library)])
    return re.findall(r"^  NEEDED +(\S+)$", listing, flags=re.MULTILINE)
