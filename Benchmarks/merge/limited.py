"""Runs a command under a limit on its memory: a control group of its own, or RLIMIT_DATA.

A control group counts the pages of files that the process brings into memory as well; it may drop
those. RLIMIT_DATA counts private writable memory, whether touched or not.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Limit:
    """A limit of `size` bytes; `kind` says which."""

    kind: str
    size: int
    group: Path | None

    def command(self, command: list[str]) -> list[str]:
        """The command, to be run under the limit."""
        if self.group is None:
            return ["/bin/sh", "-c", f'ulimit -d {self.size >> 10}; exec "$@"', "sh", *command]
        enter = 'echo $$ > "$1/cgroup.procs"; shift; exec "$@"'
        return ["/bin/sh", "-c", enter, "sh", str(self.group), *command]


@contextmanager
def limit(size: int) -> Iterator[Limit]:
    """Make a control group with this limit where the system lets us, and remove it afterwards."""
    group = _made(size)
    try:
        yield Limit("control group" if group else "RLIMIT_DATA", size, group)
    finally:
        if group:
            group.rmdir()


def _made(size: int) -> Path | None:
    """A new control group, of version 1 or 2 of the interface."""
    name = f"dfmerge-bench-{os.getpid()}"
    for parent, file in ((ROOT / "memory", "memory.limit_in_bytes"), (ROOT, "memory.max")):
        group = parent / name
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / file).write_text(str(size), encoding="ascii")
            return group
        except OSError:
            group.rmdir()
    return None


def forget(folders: list[Path]) -> None:
    """Ask the kernel to drop the folders' files from the page cache.

    Pages that others brought into memory are not counted to a control group.
    """
    for folder in folders:
        for path in folder.iterdir():
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)
