"""Merges files, and runs a search over plain memory, with the standard library alone.

A program and not a test, for environments that have nothing but the wheel:
``python -I standard_library.py``.
"""

from __future__ import annotations

import ctypes
import json
import struct
import sys
import tempfile
from array import array
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dfmerge

assert not {"numpy", "torch", "pytest"} & set(sys.modules), "the package imported more than it may"


def write(path: Path, values: list[float]) -> Path:
    """A safetensors file with the F32 tensor `w`, by hand."""
    header = {"w": {"dtype": "F32", "shape": [len(values)], "data_offsets": [0, 4 * len(values)]}}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + array("f", values).tobytes())
    return path


def read(path: Path) -> list[float]:
    """The tensor of such a file."""
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    low, high = json.loads(data[8 : 8 + size])["w"]["data_offsets"]
    return array("f", data[8 + size + low : 8 + size + high]).tolist()


class Plain(ctypes.c_float * 2):
    """Two float32 numbers in memory of ctypes, described by the array interface's protocol too."""

    dtype = SimpleNamespace(name="float32", itemsize=4, isnative=True)
    shape = (2,)

    @property
    def __array_interface__(self) -> dict[str, Any]:
        address = (ctypes.addressof(self), False)
        return {"data": address, "shape": self.shape, "typestr": "<f4", "version": 3}

    def copy(self) -> Plain:
        return Plain(*self)


def merge_files(folder: Path) -> None:
    """Two fine-tunes, in files, into a third file."""
    base = write(folder / "base.safetensors", [0, 0, 0])
    models = {
        "a": write(folder / "a.safetensors", [1, 0, 2]),
        "b": write(folder / "b.safetensors", [0, 4, 2]),
    }
    out = folder / "merged.safetensors"
    dfmerge.merge(
        base, models, method="task_arithmetic", options={"coefficients": 0.5}, out=out,
        progress=False,
    )  # fmt: skip
    assert read(out) == [0.5, 2.0, 2.0], read(out)
    opened = dfmerge.load(out)
    assert list(opened) == ["w"] and opened.dtype("w") == "F32" and opened.shape("w") == (3,)
    assert dfmerge.plan(base, models, method="average", out=out)
    try:
        dfmerge.load(folder / "none.safetensors")
    except dfmerge.InputOutputError as error:
        assert "none.safetensors" in str(error)
    else:
        raise AssertionError("a file that is not there was opened")


def search() -> None:
    """The best coefficients are 1 and 0: the target should equal the first model."""
    target, base = {"w": Plain(0, 0)}, {"w": Plain(0, 0)}
    models = {"a": {"w": Plain(1, 0)}, "b": {"w": Plain(0, 1)}}

    def evaluate(trial: dfmerge.Trial) -> dict[str, float]:
        first, second = target["w"]
        return {"task": -((first - 1) ** 2) - second**2}

    result = dfmerge.Search(
        target, base, models, evaluate, fisher_mode="none", tasks=["task"], trials=25, seed=0,
        progress=False,
    ).run()  # fmt: skip
    assert result.value > -0.01, result
    assert abs(target["w"][0] - 1) < 0.1, "the best candidate is not in the target"


def optimize() -> None:
    """Ask and tell."""
    optimizer = dfmerge.Optimizer({"x": (0, 1)}, trials=12, seed=0)
    while not optimizer.should_stop:
        trial = optimizer.ask()
        optimizer.tell(trial, -((trial.params["x"] - 0.3) ** 2))
    assert abs(optimizer.best_params["x"] - 0.3) < 0.1


with tempfile.TemporaryDirectory() as name:
    merge_files(Path(name))
search()
optimize()
assert "numpy" not in sys.modules and "torch" not in sys.modules
print(f"dfmerge {dfmerge.__version__} with the standard library alone: {dfmerge.library_path()}")
