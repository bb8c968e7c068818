"""Ctrl-C in merges and comparisons of files that take a while: nothing is left behind."""

from __future__ import annotations

import json
import signal
import struct
import time
from pathlib import Path

from conftest import Workplace

#: Elements: sparse files, which take no room on the disk and a while to read.
COUNT = 200_000_000


def write_zeros(path: Path) -> None:
    header = json.dumps(
        {"t": {"dtype": "F32", "shape": [COUNT], "data_offsets": [0, 4 * COUNT]}}
    ).encode()
    header += b" " * (-len(header) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + 4 * COUNT)


def stop(work: Workplace, *arguments: str) -> str:
    before = work.files()
    with work.start(*arguments) as process:
        time.sleep(0.4)
        assert process.poll() is None, process.communicate()
        process.send_signal(signal.SIGINT)
        asked = time.monotonic()
        out, error = process.communicate(timeout=30)
    assert process.returncode == 130, (out, error)
    assert time.monotonic() - asked < 10
    assert out == "" and error.startswith("dfmerge: stopped: ")
    assert work.files() == before
    return error


def test_ctrl_c(work: Workplace) -> None:
    for name in ("base", "a", "b"):
        write_zeros(work.folder / f"{name}.safetensors")
    # Reads everything twice before it writes: it is stopped long before the disk fills.
    stop(
        work, "merge", "out.safetensors", "--method", "ties", "--base", "base.safetensors",
        "--model", "a.safetensors", "--model", "b.safetensors", "--setting", "threads=1",
    )  # fmt: skip
    stop(work, "diff", "a.safetensors", "b.safetensors", "--threads", "1")
