"""What a plan says beforehand against what the merge then takes, for every method."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from method_cases import FACTORS, INFOS, SHAPES, Case, Info, make

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

def merge(job):
    base = job["base"] and dfmerge.load(job["base"])
    models = {f"model-{n}": dfmerge.load(path) for n, path in enumerate(job["models"])}
    job["fishers"] = job["fishers"] and [dfmerge.load(path) for path in job["fishers"]]
    out = {name: numpy.ones(shape, numpy.float32) for name, shape in job.pop("shapes").items()}
    more = {name: job[name] for name in ("options", "fishers", "threads")}
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    memory, read = status("VmRSS"), bytes_read()
    dfmerge.merge(base, models, job["method"], out=out, **more)
    return {"memory": status("VmHWM") - memory, "read": bytes_read() - read}

found = {}
for small, large in json.loads(sys.argv[1]):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        merge(small)
        os.write(writer, json.dumps(merge(large)).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        found[large["method"]] = json.loads(answer.read())
    os.waitpid(child, 0)
print(json.dumps(found))
"""


def stored(case: Case, folder: Path) -> dict[str, Any]:
    """The arguments of a merge of the case, from files."""

    def paths(part: str, sources: list[Any]) -> list[str]:
        found = []
        for number, source in enumerate(sources):
            found.append(str(folder / f"{case.info['id']}-{part}-{number}.safetensors"))
            dfmerge.save(source, found[-1])
        return found

    return {
        "base": paths("base", [case.base])[0] if case.base else None,
        "models": paths("model", case.models),
        "method": case.info["id"],
        "options": case.needed,
        "fishers": paths("data", case.data) or None,
        "threads": THREADS,
    }


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The plan and what was measured, by method."""
    plans: dict[str, Any] = {}
    jobs = []
    for info in INFOS:
        pair = []
        for shapes, factors in ((SHAPES, FACTORS), (LARGE, LARGE_FACTORS)):
            case = make(info, 1, {**shapes, **(factors if info.get("for_adapters") else {})})
            arguments = stored(case, tmp_path_factory.mktemp("inputs"))
            if shapes is LARGE or info.get("changes_shapes"):
                plans[info["id"]] = dfmerge.plan(**arguments)
            # Memory that is there before the merge begins.
            own = {name: value.shape for name, value in case.reference.items()}
            reshaped = plans.get(info["id"], {}).get("reshaped", {})
            pair.append({**arguments, "shapes": {**own, **reshaped}})
        jobs.append(pair)
    done = subprocess.run(
        [sys.executable, "-c", CHILD, json.dumps(jobs)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout)
    return {method: (plan, measured[method]) for method, plan in plans.items()}


#: The most of a plan's reads that a method may do without: DPPA ranks linear weights only.
PARTLY_READ = {"dppa": 0.4}


@pytest.mark.parametrize("info", INFOS, ids=lambda info: str(info["id"]))
def test_memory_and_reads(info: Info, compared: dict[str, Any]) -> None:
    plan, measured = compared[info["id"]]
    assert measured["memory"] <= plan["peak_memory"] + MARGIN
    # A plan counts every tensor for each pass; some passes are over part of them.
    skipped = PARTLY_READ.get(info["id"], 0) * plan["file_bytes_read"]
    assert -skipped <= measured["read"] - plan["file_bytes_read"] <= READING
