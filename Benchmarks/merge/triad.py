"""STREAM triad in this process, on arrays like those of the merges: the yardstick of bandwidth."""

from __future__ import annotations

import ctypes
import subprocess
import time
from pathlib import Path

import numpy as np

SOURCE = Path(__file__).with_name("triad.c")
#: What STREAM counts per element: two doubles read, one written. The read of the line that a store
#: without streaming needs is not counted.
BYTES = 24


def cache_bytes() -> int:
    """Size of the last-level cache; 32 MiB where the kernel does not say."""
    found = [0]
    for index in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        text = index.read_text(encoding="ascii").strip()
        unit = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}.get(text[-1], 1)
        found.append(int(text.rstrip("KMG")) * unit)
    return max(found) or 32 << 20


class Triad:
    """a = b + s c on three arrays of doubles, each of at least eight times the last-level cache."""

    def __init__(self, folder: Path, threads: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        library = folder / "libtriad.so"
        command = ["gcc", "-O3", "-march=native", "-shared", "-fPIC", "-pthread"]
        subprocess.run([*command, "-o", str(library), str(SOURCE)], check=True)
        self._function = ctypes.CDLL(str(library.resolve()))
        self._function.triad.argtypes = [
            *[ctypes.c_void_p] * 3, ctypes.c_double, ctypes.c_size_t, *[ctypes.c_int] * 3
        ]  # fmt: skip
        self._threads = threads
        self._count = max(8 * cache_bytes(), 256 << 20) // 8
        self._arrays = [np.full(self._count, value) for value in (0.0, 1.0, 2.0)]
        #: Whether `streaming=True` makes a difference on this machine.
        self.streams = bool(self._function.triad_streams())

    def gigabytes_per_second(self, streaming: bool = False, passes: int = 4) -> float:
        """Bandwidth of some passes, as STREAM counts it."""
        pointers = [array.ctypes.data for array in self._arrays]
        start = time.perf_counter()
        status = self._function.triad(
            *pointers, 3.0, self._count, passes, self._threads, int(streaming)
        )
        seconds = time.perf_counter() - start
        if status != 0:
            raise RuntimeError("triad could not make its threads")
        return BYTES * self._count * passes / seconds / 1e9
