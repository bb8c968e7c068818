"""Puts libdfmerge.so into the wheel with the platform's tag, and its sources into the sdist."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

#: What building the library needs of the checkout; an sdist has it at its own root.
SOURCES = ("Package.swift", "Scripts/build-lib.sh", "Sources", "Tests", "include")
SWIFT = "Swift 6.3 or later (https://www.swift.org/install)"

# Run in a Python of its own, so that a broken library cannot break the build's.
_INSPECT = """
import ctypes, json, runpy, sys
table = runpy.run_path(sys.argv[2])
library = ctypes.CDLL(sys.argv[1])
missing = [name for name in table["PROTOTYPES"] if not hasattr(library, name)]
found = {"missing": missing}
if "dfm_version" not in missing and "dfm_abi_version" not in missing:
    library.dfm_version.restype = ctypes.c_char_p
    found["version"] = library.dfm_version().decode()
    found["abi"] = library.dfm_abi_version()
print(json.dumps({**found, "needs": [table["DFM_VERSION"], table["DFM_ABI_VERSION"]]}))
"""


class LibraryHook(BuildHookInterface):  # type: ignore[type-arg]
    """Takes the library from DFMERGE_LIBRARY, or builds it: never an older one that lies around."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name == "sdist":
            build_data["force_include"].update(self._sources())
            return
        if sys.platform != "linux":
            raise RuntimeError(
                f"dfmerge cannot be built on {sys.platform}: the library reads, writes and runs "
                "threads through Linux's own calls. Use Linux, a virtual machine or a container."
            )
        library = self._library()
        self._check(library)
        build_data["pure_python"] = False
        # No CPython ABI is used: one wheel serves every Python 3 of the platform.
        build_data["tag"] = f"py3-none-{platform_tag(library)}"
        if version == "editable":
            self.app.display_info(f"dfmerge: sources {self.root}/src, library {library}")
            if "DFMERGE_LIBRARY" in os.environ:
                self.app.display_info("Set DFMERGE_LIBRARY when dfmerge runs, too")
            return
        build_data["force_include"][str(library)] = "dfmerge/lib/libdfmerge.so"

    def _root(self) -> Path:
        """Where Package.swift is: here in an sdist, two folders up in a checkout."""
        root = Path(self.root)
        return root if (root / "Package.swift").exists() else root.parents[1]

    def _sources(self) -> dict[str, str]:
        """Path here -> path in the sdist of everything that building needs."""
        root = self._root()
        found: dict[str, str] = {}
        for source in map(root.joinpath, SOURCES):
            if not source.exists():
                raise RuntimeError(f"{source} is missing; make the sdist in a complete checkout")
            for path in sorted(source.rglob("*")) if source.is_dir() else [source]:
                inside = path.relative_to(root)
                if path.is_file() and not any(part.startswith(".") for part in inside.parts):
                    found[str(path)] = str(inside)
        return found

    def _library(self) -> Path:
        """The library for the wheel."""
        if chosen := os.environ.get("DFMERGE_LIBRARY"):
            if not Path(chosen).is_file():
                raise RuntimeError(
                    f"DFMERGE_LIBRARY is {chosen}, and {Path(chosen).absolute()} is not there; set "
                    "it to the full path of a libdfmerge.so, or unset it to have one built"
                )
            return Path(chosen).resolve()
        root = self._root()
        script = root / "Scripts" / "build-lib.sh"
        if not script.exists():
            raise RuntimeError(
                f"libdfmerge.so is built from Swift sources, and {root} does not have them; "
                "install from a checkout, an sdist or a wheel, or set DFMERGE_LIBRARY to a "
                "libdfmerge.so"
            )
        if shutil.which("swift") is None:
            raise RuntimeError(
                "libdfmerge.so is built from Swift sources, and swift is not in PATH. Install "
                f"{SWIFT}, or install a dfmerge wheel, which needs no Swift, or set "
                f"DFMERGE_LIBRARY to a libdfmerge.so of version {self.metadata.version}"
            )
        # Always: the build knows what is out of date, and does nothing where nothing is.
        plain = {name: value for name, value in os.environ.items() if name not in ("CC", "CXX")}
        built = subprocess.run(["bash", str(script)], env=plain, stdout=sys.stderr, check=False)
        if built.returncode != 0:
            raise RuntimeError(
                f"{script} failed with status {built.returncode}; what it said stands above. "
                f"It needs {SWIFT}, Eigen and the development files of libstdc++"
            )
        return (root / "build" / "lib" / "libdfmerge.so").resolve()

    def _check(self, library: Path) -> None:
        """Refuse a library that this package could not load or use."""
        table = Path(self.root) / "src" / "dfmerge" / "_ffi.py"
        run = subprocess.run(
            [sys.executable, "-I", "-c", _INSPECT, str(library), str(table)],
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode != 0:
            reason = (run.stderr.strip().splitlines() or [f"status {run.returncode}"])[-1]
            raise RuntimeError(f"{library} cannot be loaded: {reason}")
        found = json.loads(run.stdout)
        version, abi = found["needs"]
        if found["missing"]:
            raise RuntimeError(
                f"{library} lacks {', '.join(found['missing'][:3])}, which dfmerge {version} "
                "calls; build it from the same sources"
            )
        if [found["version"], found["abi"]] != found["needs"]:
            raise RuntimeError(
                f"{library} is libdfmerge {found['version']} with ABI version {found['abi']}; "
                f"this package is dfmerge {version} and needs ABI version {abi}: "
                "build it from the same sources"
            )


def platform_tag(library: Path) -> str:
    """The wheel's platform: manylinux by the newest glibc version used, if only glibc is needed.

    PEP 600: a wheel that is tagged manylinux_2_N may need glibc 2.N or older, and of other
    libraries those that every Linux with glibc has.
    """
    machine = sysconfig.get_platform().removeprefix("linux-").replace("-", "_").replace(".", "_")
    needed, versions = dynamic_needs(library.read_bytes())
    everywhere = re.compile(r"(libc|libm|libgcc_s|libpthread|libdl|librt|ld-linux[-\w]*)\.so\.\d+")
    glibc = [tuple(map(int, v[6:].split("."))) for v in versions if re.match(r"GLIBC_\d", v)]
    if not glibc or not all(everywhere.fullmatch(name) for name in needed):
        return f"linux_{machine}"
    return "manylinux_{}_{}_{}".format(*max(glibc)[:2], machine)


def dynamic_needs(data: bytes) -> tuple[list[str], list[str]]:
    """The libraries that a 64-bit ELF file needs, and the symbol versions it needs of them."""
    if data[:5] != b"\x7fELF\x02":
        raise RuntimeError("the library is not a 64-bit ELF file")

    def number(offset: int, size: int) -> int:
        return int.from_bytes(data[offset : offset + size], "little" if data[5] == 1 else "big")

    # Program headers: type, offset in the file, address in memory, size in the file.
    first, size, count = number(32, 8), number(54, 2), number(56, 2)
    headers = [
        (number(at, 4), number(at + 8, 8), number(at + 16, 8), number(at + 32, 8))
        for at in range(first, first + size * count, size)
    ]

    def place(address: int) -> int:
        for kind, offset, start, length in headers:
            if kind == 1 and start <= address < start + length:
                return offset + address - start
        raise RuntimeError(f"the library has no data at address {address:#x}")

    dynamic = [
        (number(at, 8), number(at + 8, 8))
        for kind, offset, _, length in headers
        if kind == 2
        for at in range(offset, offset + length, 16)
    ]
    tags = dict(dynamic)
    strings = place(tags[5])  # DT_STRTAB

    def text(offset: int) -> str:
        return data[strings + offset : data.index(0, strings + offset)].decode()

    needed = [text(value) for tag, value in dynamic if tag == 1]  # DT_NEEDED
    versions = []
    if 0x6FFFFFFE in tags:  # DT_VERNEED, a chain of files with a chain of versions each
        entry = place(tags[0x6FFFFFFE])
        for _ in range(tags[0x6FFFFFFF]):
            version = entry + number(entry + 8, 4)
            for _ in range(number(entry + 2, 2)):
                versions.append(text(number(version + 8, 4)))
                version += number(version + 12, 4)
            entry += number(entry + 12, 4)
    return needed, versions
