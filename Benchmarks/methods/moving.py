"""The floor of a merge from files to files: its bytes read and written, and nothing else."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

BLOCK = 4 << 20


class Moving:
    """Reads files and writes one, as many bytes as a merge, with as many threads at once."""

    def __init__(
        self, inputs: list[Path], read: int, out: Path, written: int, threads: int
    ) -> None:
        self._blocks = self._places(inputs, read)
        self._out, self._written, self._threads = out, written, threads
        self._noise = os.urandom(BLOCK)

    def seconds(self) -> float:
        """Move all bytes once; what is written is on the disk then."""
        workers = [
            threading.Thread(target=self._read, args=(number,)) for number in range(self._threads)
        ]
        start = time.perf_counter()
        for worker in workers:
            worker.start()
        self._write()
        for worker in workers:
            worker.join()
        return time.perf_counter() - start

    @staticmethod
    def _places(inputs: list[Path], read: int) -> list[tuple[Path, int, int]]:
        """File, offset and size of each block, over and over the files until `read` is reached."""
        found: list[tuple[Path, int, int]] = []
        left = read
        while left > 0:
            before = left
            for path in inputs:
                for offset in range(0, path.stat().st_size, BLOCK):
                    size = min(BLOCK, path.stat().st_size - offset, left)
                    if size > 0:
                        found.append((path, offset, size))
                        left -= size
            if left == before:
                raise ValueError("the inputs are empty")
        return found

    def _read(self, number: int) -> None:
        buffer = memoryview(bytearray(BLOCK))
        files = {path: os.open(path, os.O_RDONLY) for path, _, _ in self._blocks}
        try:
            for path, offset, size in self._blocks[number :: self._threads]:
                os.preadv(files[path], [buffer[:size]], offset)
        finally:
            for descriptor in files.values():
                os.close(descriptor)

    def _write(self) -> None:
        with open(self._out, "wb", buffering=0) as file:
            for start in range(0, self._written, BLOCK):
                file.write(self._noise[: min(BLOCK, self._written - start)])
            os.fsync(file.fileno())
        self._out.unlink()
