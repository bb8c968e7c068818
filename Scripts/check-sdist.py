#!/usr/bin/env python3
"""Checks that an sdist has what building needs and nothing else: the files that git knows.

    check-sdist.py SDIST [--checkout FOLDER]

Prints every finding in one line; the exit status is 1 if there is one.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tarfile
from pathlib import Path, PurePosixPath

# Folders and files of the checkout that stand at the sdist's root, beside those of bindings/python.
SOURCES = ("Package.swift", "Scripts/build-lib.sh", "Sources", "Tests", "include")
PACKAGE = "bindings/python/"
# Made by the build backend.
MADE = {"PKG-INFO", ".gitignore"}
NOT_PACKED = PACKAGE + "tests/"


def expected_files(checkout: Path) -> dict[str, Path]:
    """Path in the sdist -> path in the checkout."""
    command = ["git", "-C", checkout, "ls-files", "-z", *SOURCES, PACKAGE]
    listing = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    tracked = [name for name in listing.split("\0") if name and not name.startswith(NOT_PACKED)]
    return {
        name.removeprefix(PACKAGE): checkout / name
        for name in tracked
        # Settings of editors and formatters are not needed to build.
        if not PurePosixPath(name).name.startswith(".")
    }


def findings(path: Path, checkout: Path) -> list[str]:
    expected = expected_files(checkout)
    found = []
    with tarfile.open(path) as archive:
        members = {member.name: member for member in archive if not member.isdir()}
        root = path.name.removesuffix(".tar.gz") + "/"
        found += [f"has {name} outside of {root}" for name in members if not name.startswith(root)]
        inside = {name.removeprefix(root): member for name, member in members.items()}
        found += [f"lacks {name}" for name in sorted(expected.keys() - inside.keys())]
        unexpected = sorted(inside.keys() - expected.keys() - MADE)
        found += [f"has {name}, which git does not know" for name in unexpected]
        for name in sorted(expected.keys() & inside.keys()):
            source, member = expected[name], inside[name]
            if source.is_symlink():
                if not member.issym() or member.linkname != str(source.readlink()):
                    found.append(f"has {name} not as a link to {source.readlink()}")
            elif (stream := archive.extractfile(member)) is None:
                found.append(f"has {name} not as a file")
            elif stream.read() != source.read_bytes():
                found.append(f"has another content in {name}")
            if source.stat().st_mode & 0o100 and not member.mode & 0o100:
                found.append(f"has {name} without the right to run it")
    print(f"{path.name}: {path.stat().st_size:,} bytes, {len(members)} files")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sdist", type=Path)
    parser.add_argument("--checkout", type=Path, default=Path(__file__).resolve().parents[1])
    arguments = parser.parse_args()
    found = findings(arguments.sdist, arguments.checkout)
    for finding in found:
        print(f"{arguments.sdist.name} {finding}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
