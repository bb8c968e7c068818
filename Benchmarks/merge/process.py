"""Runs a command and measures it: wall time, peak of private memory, peak of resident memory."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Seconds between two looks at a process's memory, and after how many looks they become rarer.
INTERVAL, RARER_INTERVAL, RARER_AFTER = 0.002, 0.02, 2500
#: Processors that other programs may use without disturbing a run much.
CALM_OTHERS = 0.15


def status(field: str, pid: int | str = "self") -> int:
    """A field of /proc/PID/status that is given in kB, in bytes; 0 once the process has ended."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            for line in file:
                if line.startswith(field + ":"):
                    return int(line.split()[1]) * 1024
    except (FileNotFoundError, ProcessLookupError):
        pass
    return 0


def busy_seconds() -> float:
    """Seconds of processor time that the whole machine has spent so far, idle time left out."""
    with open("/proc/stat", encoding="ascii") as file:
        user, nice, system, _idle, _wait, *interrupts = map(int, file.readline().split()[1:9])
    return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")


class PeakSampler:
    """Watches the private memory (RssAnon) of a process from a thread of its own.

    The kernel keeps a high-water mark of all resident pages only, in which the pages of mapped
    files count; those it can drop at any time.
    """

    def __init__(self, pid: int | str = "self") -> None:
        self.peak = 0
        self._pid = pid
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakSampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        looks = 0
        while True:
            self.peak = max(self.peak, status("RssAnon", self._pid))
            looks += 1
            if self._stop.wait(INTERVAL if looks < RARER_AFTER else RARER_INTERVAL):
                return


@dataclass(frozen=True)
class Measured:
    """What a run took. `report` is the JSON object that it printed on its last line."""

    seconds: float
    peak_private: int
    peak_resident: int
    #: Processors that other programs kept busy meanwhile, on average.
    others: float
    report: dict[str, Any]

    @property
    def calm(self) -> bool:
        """Whether other programs left the machine to this run, or nearly so."""
        return self.others < CALM_OTHERS


class RunError(RuntimeError):
    """A command that failed; the message ends with what it wrote."""


def run(command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> Measured:
    """Run a command to its end; its last line of output is a JSON object."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        start, busy = time.perf_counter(), busy_seconds() - time.process_time()
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            env={**os.environ, **(environment or {})},
        )
        with PeakSampler(process.pid) as sampler:
            _, code, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        own = usage.ru_utime + usage.ru_stime + time.process_time()
        others = max(0.0, busy_seconds() - busy - own) / seconds
        process.returncode = os.waitstatus_to_exitcode(code)
        output.seek(0)
        errors.seek(0)
        lines = output.read().decode(errors="replace").strip().splitlines()
        if process.returncode != 0 or not lines:
            said = errors.read().decode(errors="replace").strip()[-2000:]
            words = " ".join(str(part) for part in command)[:200]
            raise RunError(f"{words} ended with status {process.returncode}: {said}")
    peak = usage.ru_maxrss * 1024
    return Measured(seconds, sampler.peak, peak, others, json.loads(lines[-1]))


def warm(folder: Path) -> None:
    """Read a folder's files, so that they are in the page cache."""
    for path in sorted(folder.iterdir()):
        with open(path, "rb", buffering=0) as file:
            while file.read(1 << 23):
                pass
