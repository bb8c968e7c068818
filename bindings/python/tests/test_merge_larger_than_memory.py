"""A merge from files to files in a process that may hold a fraction of its inputs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from merge_files import Arrays, stored_bytes

import dfmerge

MODELS = 4
#: Private writable memory that the process may get beyond what it has with everything imported.
ROOM = 160 << 20

#: RLIMIT_DATA counts private writable memory, touched or not; mapped files do not count.
CHILD = """
import json, resource, sys
import numpy
import dfmerge
given = json.loads(sys.argv[1])
dfmerge.methods()
lines = open("/proc/self/status").read().splitlines()
size = next(int(line.split()[1]) for line in lines if line.startswith("VmData:")) * 1024
resource.setrlimit(resource.RLIMIT_DATA, (size + given["room"], size + given["room"]))
try:
    if given["merge"] is None:
        arrays = [numpy.fromfile(path, numpy.uint8) for path in given["paths"]]
        print("loaded", len(arrays))
    else:
        dfmerge.merge(progress=False, **given["merge"])
        print("merged")
except MemoryError:
    print("MemoryError")
"""

SHAPES = {
    "embedding": (20_000, 512),
    **{f"layer.{number}.weight": (1024, 1024) for number in range(19)},
    "norm": (1023,),
}


def dyadic(seed: int, spread: int) -> Arrays:
    """Multiples of 1/1024 of at most 11 bits, on which the arithmetic below is exact."""
    draws = np.random.default_rng(seed)
    return {
        name: (draws.integers(-spread, spread, shape) / np.float32(1024)).astype(np.float32)
        for name, shape in SHAPES.items()
    }


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Base and models of 120 MB each."""
    folder = tmp_path_factory.mktemp("models")
    base = dyadic(0, 1024)
    found = []
    for number in range(MODELS + 1):
        moved = dyadic(number, 64) if number else {}
        arrays = {name: value + moved[name] if moved else value for name, value in base.items()}
        path = folder / f"{number}.safetensors"
        dfmerge.save(arrays, path)
        found.append(path)
    assert sum(path.stat().st_size for path in found) > 3 * ROOM
    return found


def limited(paths: list[Path], merge: dict[str, Any] | None) -> str:
    """What the process under the limit says."""
    given = {"room": ROOM, "paths": [str(path) for path in paths], "merge": merge}
    done = subprocess.run(
        [sys.executable, "-c", CHILD, json.dumps(given)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def task_arithmetic(base: Any, models: list[Any]) -> Any:
    """base + sum(c tau), with coefficients that are powers of two."""
    coefficients = (0.5, 0.25, 1.0, 0.125)
    return base + sum(c * (m - base) for c, m in zip(coefficients, models, strict=True))


CASES: dict[str, tuple[dict[str, Any], Any]] = {
    "task_arithmetic": ({"coefficients": [0.5, 0.25, 1.0, 0.125]}, task_arithmetic),
    "average": ({}, lambda base, models: sum(models) / np.float32(4)),
}


@pytest.mark.parametrize("method", list(CASES))
@pytest.mark.parametrize("threads", [1, 2])
def test_merges_what_cannot_be_loaded(
    paths: list[Path], method: str, threads: int, tmp_path: Path
) -> None:
    options, formula = CASES[method]
    base, *models = (str(path) for path in paths)
    out = tmp_path / "out"
    given = {"base": base, "models": models, "method": method, "options": options}
    assert limited(paths, {**given, "out": str(out), "threads": threads}) == "merged"
    read = [stored_bytes(path) for path in paths]
    merged = stored_bytes(out)
    assert set(merged) == set(SHAPES)
    for name, (dtype, shape, data) in merged.items():
        arrays = [np.frombuffer(entry[name][2], np.float32) for entry in read]
        expected = np.asarray(formula(arrays[0], arrays[1:]), np.float32)
        assert (dtype, shape) == ("F32", SHAPES[name])
        assert data == expected.tobytes(), name


def test_loading_everything_does_not_fit(paths: list[Path]) -> None:
    assert limited(paths, None) == "MemoryError"
    # The limit itself leaves room for one of them.
    assert limited(paths[:1], None) == "loaded 1"


def test_a_small_limit_is_obeyed(paths: list[Path], tmp_path: Path) -> None:
    """`max_memory` far below the room: the result is the same, and the plan keeps to it."""
    base, *models = (str(path) for path in paths)
    given = {"base": base, "models": models, "method": "average"}
    plan = dfmerge.plan(**given, out=tmp_path / "none", max_memory="64MB")
    assert plan["peak_memory"] <= 64_000_000
    merge = {**given, "out": str(tmp_path / "a"), "max_memory": "64MB", "threads": 2}
    assert limited(paths, merge) == "merged"
    dfmerge.merge(**given, out=tmp_path / "b", progress=False)
    assert stored_bytes(tmp_path / "a") == stored_bytes(tmp_path / "b")
