"""What a plan says beforehand against what the merge then takes, for every method."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from method_cases import FACTORS, INFOS, SHAPES, Info, make, needed

import dfmerge

#: A vector of several pieces of work, and a matrix for methods that look at whole ones.
LARGE: dict[str, tuple[int, ...]] = {
    "embedding": (300_001,),
    "layers.0.attn.weight": (384, 256),
    "layers.0.norm.weight": (256,),
}
#: The shapes of adapters' factors, for methods that merge them.
LARGE_FACTORS = {name: tuple(64 * size for size in shape) for name, shape in FACTORS.items()}
THREADS = 2
#: Memory that is nobody's: code that runs for the first time, stacks that the system makes.
MARGIN = 1 << 20
#: What Python reads itself: the list of the process's memory, to know what may be written.
READING = 1 << 18

#: A child for each method merges twice: first something small, so that the code is in memory. What
#: the kernel says is the most memory that there ever was, it forgets when 5 is written.
CHILD = """
import json, os, sys
import numpy
import dfmerge

def status(field):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024

def bytes_read():
    with open("/proc/self/io") as file:
        return int(file.read().split()[1])

def merge(method, options, paths, threads):
    given = {name: [dfmerge.load(path) for path in found] for name, found in paths.items()}
    base = given["base"][0] if given["base"] else None
    models = {f"model-{n}": model for n, model in enumerate(given["models"])}
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    memory, read = status("VmRSS"), bytes_read()
    data = given["data"] or None
    dfmerge.merge(base, models, method, options=options, fishers=data, threads=threads)
    return {"memory": status("VmHWM") - memory, "read": bytes_read() - read}

found = {}
for method, options, small, large, threads in json.loads(sys.argv[1]):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        merge(method, options, small, threads)
        os.write(writer, json.dumps(merge(method, options, large, threads)).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        found[method] = json.loads(answer.read())
    os.waitpid(child, 0)
print(json.dumps(found))
"""


def stored(info: Info, shapes: dict[str, tuple[int, ...]], folder: Path) -> dict[str, list[str]]:
    """The files of a case."""
    case = make(info, 1, shapes)
    inputs = {"base": [case.base] if case.base else [], "models": case.models, "data": case.data}
    found: dict[str, list[str]] = {}
    for part, sources in inputs.items():
        paths = [folder / f"{info['id']}-{part}-{n}.safetensors" for n in range(len(sources))]
        for path, source in zip(paths, sources, strict=True):
            dfmerge.save(source, path)
        found[part] = [str(path) for path in paths]
    return found


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The files of every method, small and large."""
    folders = [tmp_path_factory.mktemp(name) for name in ("small", "large")]
    found = {}
    for info in INFOS:
        adapters = info.get("for_adapters")
        shapes = (
            [{**SHAPES, **FACTORS}, {**LARGE, **LARGE_FACTORS}] if adapters else [SHAPES, LARGE]
        )
        found[info["id"]] = [stored(info, *pair) for pair in zip(shapes, folders, strict=True)]
    return found


@pytest.fixture(scope="module")
def taken(inputs: dict[str, Any]) -> dict[str, dict[str, int]]:
    """What the merge by each method took."""
    options = {info["id"]: needed(info) for info in INFOS}
    jobs = [[method, options[method], *files, THREADS] for method, files in inputs.items()]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, json.dumps(jobs)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, int]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("info", INFOS, ids=lambda info: str(info["id"]))
def test_memory_and_reads(
    info: Info, inputs: dict[str, Any], taken: dict[str, dict[str, int]]
) -> None:
    given = inputs[info["id"]][1]
    plan = dfmerge.plan(
        given["base"][0] if given["base"] else None,
        given["models"],
        info["id"],
        options=needed(info),
        fishers=given["data"] or None,
        threads=THREADS,
    )
    measured = taken[info["id"]]
    # The result is in memory of its own, which the plan leaves out.
    assert measured["memory"] <= plan["peak_memory"] + plan["bytes_written"] + MARGIN
    assert 0 <= measured["read"] - plan["file_bytes_read"] <= READING
