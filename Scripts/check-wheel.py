#!/usr/bin/env python3
"""Checks a wheel: its tag, its files, what its library needs and exports, and its size.

    check-wheel.py WHEEL [--checkout FOLDER]

Prints the figures, and every finding in one line; the exit status is 1 if there is one. ELF is read
by binutils, so that nothing here depends on the code that made the wheel.
"""

from __future__ import annotations

import argparse
import base64
import csv
import hashlib
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

# What is watched: a wheel is downloaded by everyone, and its library mapped into every process.
# At present 6.6 MB and 17.3 MB; a limit is raised in the commit that needs it, with the reason.
WHEEL_LIMIT = 7_500_000
LIBRARY_LIMIT = 20_000_000

LIBRARY = "dfmerge/lib/libdfmerge.so"
# What every Linux with glibc has: the allowed ones of the manylinux policies that we need.
NEEDED = re.compile(r"lib(c|m|gcc_s)\.so\.\d+|ld-linux[-\w]*\.so\.\d+")
NAME = re.compile(r"dfmerge-(?P<version>[^-]+)-(?P<tag>py3-none-manylinux_(\d+)_(\d+)_\w+)\.whl")


def said(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def package_files(checkout: Path) -> set[str]:
    """The files of the package that git knows, or where there is no git those that are there."""
    source = checkout / "bindings" / "python" / "src"
    try:
        names = said("git", "-C", source, "ls-files", "-z", ".").split("\0")
    except (OSError, subprocess.CalledProcessError):
        names = [str(p.relative_to(source)) for p in source.rglob("*") if p.suffix != ".pyc"]
    return {name for name in names if (source / name).is_file()}


def wrong_files(wheel: zipfile.ZipFile, version: str, checkout: Path) -> list[str]:
    """Files that are there and should not be, or the other way round, or are not as recorded."""
    info = f"dfmerge-{version}.dist-info"
    extra = {f"{info}/{name}" for name in ("METADATA", "WHEEL", "RECORD")}
    extra |= {f"{info}/licenses/{name}" for name in ("LICENSE", "NOTICE")}
    expected = package_files(checkout) | extra | {LIBRARY}
    names = [entry.filename for entry in wheel.infolist() if not entry.is_dir()]
    found = [f"has the unexpected file {name}" for name in sorted(set(names) - expected)]
    found += [f"lacks the file {name}" for name in sorted(expected - set(names))]
    if f"{info}/RECORD" in names:
        for name, digest, _ in csv.reader(wheel.read(f"{info}/RECORD").decode().splitlines()):
            if digest and name in names:
                true = base64.urlsafe_b64encode(hashlib.sha256(wheel.read(name)).digest())
                if digest != "sha256=" + true.decode().rstrip("="):
                    found.append(f"records another content for {name}")
    return found


def wrong_library(library: Path, glibc: tuple[int, int]) -> list[str]:
    """What the library needs that the tag does not promise, and what it should not export."""
    dynamic = said("readelf", "--dynamic", "--wide", library)
    found = [
        f"needs {name}, which not every Linux has"
        for name in re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic)
        if not NEEDED.fullmatch(name)
    ]
    searched = re.findall(r"\(R(?:UN)?PATH\).*\[(.*)\]", dynamic)
    found += [f"searches libraries in {path}" for path in searched]
    if not re.search(r"\(SONAME\).*\[libdfmerge\.so\.\d+\]", dynamic):
        found.append("has no SONAME libdfmerge.so.N")
    versions = said("readelf", "--version-info", "--wide", library)
    used = {(int(a), int(b)) for a, b in re.findall(r"GLIBC_(\d+)\.(\d+)", versions)}
    if used and max(used) > glibc:
        found.append("needs glibc {}.{}, its tag promises {}.{}".format(*max(used), *glibc))
    symbols = said("nm", "--dynamic", "--defined-only", library)
    names = [line.split()[-1].split("@")[0] for line in symbols.splitlines()]
    strangers = [n for n in names if not n.startswith("dfm_") and not n.startswith("DFMERGE_")]
    if strangers:
        found.append(f"exports {', '.join(strangers[:3])} beside the functions of dfmerge.h")
    return found


def wrong_figures(readme: str, size: int, glibc: tuple[int, int]) -> list[str]:
    """Where the README promises something else."""
    found = []
    promised = re.search(r"glibc (\d+)\.(\d+) or later", readme)
    if promised is None:
        found.append("README.md does not say 'glibc X.Y or later'")
    elif glibc > (int(promised[1]), int(promised[2])):
        found.append("is for glibc {}.{}, README.md says {}.{}".format(*glibc, *promised.groups()))
    stated = re.search(r"wheel of (\d+(?:\.\d+)?) MB", readme)
    if stated is None:
        found.append("README.md does not say 'wheel of N MB'")
    elif abs(size / 1e6 - float(stated[1])) > 0.1 * float(stated[1]):
        found.append(f"has {size / 1e6:.1f} MB, README.md says {stated[1]} MB")
    return found


def findings(path: Path, checkout: Path) -> list[str]:
    name = NAME.fullmatch(path.name)
    if name is None:
        return ["is not called dfmerge-VERSION-py3-none-manylinux_X_Y_MACHINE.whl"]
    glibc = (int(name[3]), int(name[4]))
    size = path.stat().st_size
    readme = (checkout / "bindings" / "python" / "README.md").read_text(encoding="utf-8")
    found = wrong_figures(readme, size, glibc)
    if size > WHEEL_LIMIT:
        found.append(f"has {size:,} bytes, the limit is {WHEEL_LIMIT:,}")
    with zipfile.ZipFile(path) as wheel, tempfile.TemporaryDirectory() as folder:
        found += wrong_files(wheel, name["version"], checkout)
        if f"dfmerge-{name['version']}.dist-info/WHEEL" in wheel.namelist():
            metadata = wheel.read(f"dfmerge-{name['version']}.dist-info/WHEEL").decode()
            if re.findall(r"^Tag: (.*)$", metadata, re.M) != [name["tag"]]:
                found.append(f"has not exactly the tag {name['tag']} in its metadata")
        if LIBRARY in wheel.namelist():
            library = Path(wheel.extract(LIBRARY, folder))
            installed = library.stat().st_size
            if installed > LIBRARY_LIMIT:
                found.append(f"has a library of {installed:,} bytes, limit {LIBRARY_LIMIT:,}")
            found += [f"has a library that {finding}" for finding in wrong_library(library, glibc)]
            print(
                f"{path.name}: {size:,} bytes (limit {WHEEL_LIMIT:,}), "
                f"library {installed:,} bytes (limit {LIBRARY_LIMIT:,})"
            )
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--checkout", type=Path, default=Path(__file__).resolve().parents[1])
    arguments = parser.parse_args()
    found = findings(arguments.wheel, arguments.checkout)
    for finding in found:
        print(f"{arguments.wheel.name} {finding}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
