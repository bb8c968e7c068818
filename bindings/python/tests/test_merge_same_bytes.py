"""The same bytes for any number of threads, CPU level, layout of files, limit, and for memory."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from merge_files import Arrays, array_bytes, stored_bytes

import dfmerge

MODELS = 3
#: Bytes per file that make at least twenty files of the tensors below.
SHARD_SIZE = 50_000
#: Options beside the defaults that choose other arithmetic.
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "breadcrumbs": [{"scope": "tensor", "variant": "mergekit", "density": 0.5}],
    "breadcrumbs_ties": [{"scope": "model", "zero_sign": "majority"}],
    "dare": [{"density": 0.5, "rescale": False, "seed": 7}, {"rescale": "l1"}],
    "dare_ties": [{"density": 0.3, "aggregate": "max", "zero_sign": "none"}],
    "della": [{"rescale": "l1", "zero_sign": "majority", "density": [0.5, 1, 0.3]}],
    "della_linear": [{"scope": "tensor", "epsilon": 0.3, "seed": 7}],
    "pcb": [{"variant": "vision_es", "scope": "tensor"}, {"variant": "vision", "ratio": 0.5}],
    "sce": [{"select_topk": 0.3}, {"select_topk": 0.5, "variant": "mergekit"}],
    "ties": [
        {"scope": "tensor", "trim": "exact", "zero_sign": "positive"},
        {"density": [0.1, 0.5, 1], "election": "count", "aggregate": "sum"},
    ],
    "average": [{"weights": [1, 2, 0.5], "normalize": False}],
    "collapse": [{"tensors": ["copies"]}, {"tensors": ["copies"], "weights": [3, 0, 1]}],
    "df_merge": [{"exponent": 0.5}, {"exponent": 0.37}, {"coefficients": [0.9, 0, -0.2]}],
    "fisher": [{"normalize": False}],
    "regmean": [{"off_diagonal": 0.5, "coefficients": [1, 0, 3]}, {"off_diagonal": 0}],
    "task_arithmetic": [{"coefficients": [0.9, 0, -0.2]}],
    "dppa": [{"alpha8": 1.2, "outlier": 2, "linear": ["*.weight", "*.bias"]}],
    "emr": [{"task": 1}, {"task": 0, "scaler": "sums"}],
    "iso_cts": [{"common": 0.5, "exclude": []}],
    "model_stock": [{"scope": "row"}],
    "nuslerp": [{"scope": "row"}, {"scope": "column"}],
    "opcm": [{"alpha": 0.9, "zero_diagonal": False, "merged_count": 3, "merged_lambda": 1.5}],
    "share": [{"distinct_layers": 3, "pattern": "cycle_rev"}, {"distinct_layers": 7}],
    "slerp": [{"scope": "model", "threshold": 1}],
    "tsv_m": [{"rank": 0.6}],
}
#: Every method that there is, so that a new one is tested without a change here.
JOBS = [
    (method["id"], options)
    for method in dfmerge.methods()
    for options in ({}, *VARIANTS.get(method["id"], []))
]
#: What comes with the models.
DATA = {method["id"]: method["model_data"] for method in dfmerge.methods()}
#: How many of the models a method is given.
COUNTS = {
    method["id"]: min(MODELS, method["most_models"] or MODELS) for method in dfmerge.methods()
}


@dataclass
class Inputs:
    """Base, models and Fisher values: as arrays, as single files and in twenty shards or more."""

    folder: Path
    base: Arrays
    models: list[Arrays]
    fishers: list[Arrays]
    grams: list[Arrays]

    def stored(self, layout: str) -> dict[str, Any]:
        """Paths of `files` or `shards`."""
        suffix = "" if layout == "shards" else ".safetensors"
        names = [f"{layout}-{number}{suffix}" for number in range(MODELS + 1)]
        base, *models = (str(self.folder / name) for name in names)
        found: dict[str, Any] = {"base": base, "models": models, "none": None}
        for kind in ("fisher", "gram"):
            found[kind] = [str(self.folder / f"{kind}-{n}.safetensors") for n in range(MODELS)]
        return found

    def arrays(self) -> dict[str, Any]:
        """The host's memory."""
        given = {"base": self.base, "models": self.models, "none": None}
        return {**given, "fisher": self.fishers, "gram": self.grams}


def tensors(seed: int) -> Arrays:
    """Tensors of several types: larger than a piece of work, odd, tiny, scalar, empty, integer."""
    draws = np.random.default_rng(seed)

    def values(*shape: int) -> Any:
        return draws.normal(scale=0.02, size=shape)

    found: Arrays = {
        "embedding": values(1301, 256).astype(ml_dtypes.bfloat16),
        "head": values(2619, 129).astype(np.float32),
        "half": values(257, 129).astype(np.float16),
        "double": values(31, 1025).astype(np.float64),
        "scalar": np.asarray(values().astype(np.float32)),
        "empty": np.zeros((0, 7), np.float32),
        "count": np.arange(12345, dtype=np.int64),
    }
    for number in range(40):
        width = 101 + 7 * (number % 5)
        found[f"layer.{number}.{width}.weight"] = values(97, width).astype(ml_dtypes.bfloat16)
        found[f"layer.{number}.{width}.bias"] = values(width).astype(ml_dtypes.bfloat16)
    found["copies"] = values(3, 307, 257).astype(ml_dtypes.bfloat16)
    return found


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    folder = tmp_path_factory.mktemp("inputs")
    base = tensors(0)
    models = []
    fishers = []
    grams = []
    for number in range(MODELS):
        draws = np.random.default_rng(100 + number)
        model: Arrays = {}
        fisher: Arrays = {}
        for name, value in base.items():
            if value.dtype == np.int64:
                model[name] = value
                continue
            moved = value.astype(np.float64) + draws.normal(scale=1e-3, size=value.shape)
            model[name] = np.asarray(moved.astype(value.dtype))
            scattered = np.exp(draws.normal(-14, 4, size=value.shape))
            fisher[name] = np.asarray(scattered.astype(np.float32))
        models.append(model)
        fishers.append(fisher)
        dfmerge.save(fisher, folder / f"fisher-{number}.safetensors")
        gram: Arrays = {}
        for name in ("layer.1.108.weight", "layer.7.115.weight", "head"):
            inputs = draws.normal(size=(300, base[name].shape[1])).astype(np.float32)
            gram[name] = inputs.T @ inputs / np.float32(300)
        grams.append(gram)
        dfmerge.save(gram, folder / f"gram-{number}.safetensors")
    for number, arrays in enumerate([base, *models]):
        dfmerge.save(arrays, folder / f"files-{number}.safetensors")
        dfmerge.save(arrays, folder / f"shards-{number}", shard_size=SHARD_SIZE)
    assert len(list((folder / "shards-0").glob("*.safetensors"))) >= 20
    return Inputs(folder, base, models, fishers, grams)


def merge(given: dict[str, Any], job: tuple[str, dict[str, Any]], **more: Any) -> Any:
    """Run a job on inputs of any kind, with what its method needs of them."""
    method, options = job
    return dfmerge.merge(
        given["base"],
        given["models"][: COUNTS[method]],
        method=method,
        options=options,
        fishers=given[DATA[method]],
        progress=False,
        **more,
    )


@pytest.fixture(scope="module")
def expected(inputs: Inputs) -> dict[str, Any]:
    """Each job's result: one thread, files, one output file."""
    found = {}
    for number, job in enumerate(JOBS):
        out = inputs.folder / f"expected-{number}.safetensors"
        merge(inputs.stored("files"), job, out=out, threads=1)
        found[str(job)] = stored_bytes(out)
        assert set(found[str(job)]) == set(inputs.base)
    return found


@pytest.mark.parametrize("job", JOBS, ids=str)
@pytest.mark.parametrize("threads", [2, 3, 8])
def test_threads(inputs: Inputs, expected: Any, job: Any, threads: int, tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    merge(inputs.stored("files"), job, out=out, threads=threads)
    assert stored_bytes(out) == expected[str(job)]


@pytest.mark.parametrize("job", JOBS, ids=str)
def test_shards_in_and_out(inputs: Inputs, expected: Any, job: Any, tmp_path: Path) -> None:
    merge(inputs.stored("shards"), job, out=tmp_path / "out", threads=2, max_shard_size=SHARD_SIZE)
    assert len(list((tmp_path / "out").glob("*.safetensors"))) >= 20
    assert stored_bytes(tmp_path / "out") == expected[str(job)]


@pytest.mark.parametrize("job", JOBS, ids=str)
def test_memory(inputs: Inputs, expected: Any, job: Any, tmp_path: Path) -> None:
    """Arrays to arrays, files to arrays, arrays to files."""
    only_bytes = {name: entry[2] for name, entry in expected[str(job)].items()}
    assert array_bytes(merge(inputs.arrays(), job, threads=3)) == only_bytes
    shapes = {name: entry[1] for name, entry in expected[str(job)].items()}
    out = {name: np.empty(shapes[name], value.dtype) for name, value in inputs.base.items()}
    merge(inputs.stored("shards"), job, out=out, threads=2)
    assert array_bytes(out) == only_bytes
    merge(inputs.arrays(), job, out=tmp_path / "out.safetensors", threads=2)
    assert stored_bytes(tmp_path / "out.safetensors") == expected[str(job)]


@pytest.mark.parametrize("job", JOBS, ids=str)
def test_limits_of_memory(inputs: Inputs, expected: Any, job: Any, tmp_path: Path) -> None:
    """The least that a merge can do with, which the refusal of less states, gives the same."""
    stored, out = inputs.stored("files"), tmp_path / "out.safetensors"
    with pytest.raises(dfmerge.Error, match="needs") as refused:
        merge(stored, job, out=out, max_memory=1)
    least = re.search(r"needs (\d+) at least", str(refused.value))
    assert least
    merge(stored, job, out=out, max_memory=int(least[1]), threads=8)
    assert stored_bytes(out) == expected[str(job)]


LEVEL = """
import hashlib, json, pathlib, sys
sys.path.insert(0, sys.argv[1])
import dfmerge
from merge_files import stored_bytes
given = json.loads(sys.argv[2])
digests = []
for job in given["jobs"]:
    dfmerge.merge(out=given["out"], progress=False, threads=2, **job)
    found = stored_bytes(pathlib.Path(given["out"]))
    digests.append({name: hashlib.sha256(entry[2]).hexdigest() for name, entry in found.items()})
print(json.dumps(digests))
"""


@pytest.mark.parametrize("level", ["2", "3", "4"])
def test_cpu_levels(inputs: Inputs, expected: Any, level: str, tmp_path: Path) -> None:
    stored = inputs.stored("files")
    jobs = []
    for method, options in JOBS:
        models = stored["models"][: COUNTS[method]]
        job = {"base": stored["base"], "models": models, "fishers": stored[DATA[method]]}
        jobs.append({**job, "method": method, "options": options})
    given = json.dumps({"jobs": jobs, "out": str(tmp_path / "out.safetensors")})
    done = subprocess.run(
        [sys.executable, "-c", LEVEL, str(Path(__file__).parent), given],
        env={**os.environ, "DFMERGE_CPU_LEVEL": level},
        stdout=subprocess.PIPE,
        check=True,
    )
    for job, digests in zip(JOBS, json.loads(done.stdout), strict=True):
        assert digests == {
            name: hashlib.sha256(entry[2]).hexdigest() for name, entry in expected[str(job)].items()
        }, job
