"""Forks: workers and pools beside a search, and children that leave in every way."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from search_problem import Problem, reproducible

import dfmerge

HERE = Path(__file__).parent
# From Python 3.12 on, a fork beside other threads is warned of; that it works is what is tested.
pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")


def square(value: int) -> int:
    """For workers of a pool, which find it by name."""
    return value * value


def searched(seed: int) -> Any:
    """A search in a worker."""
    return Problem().search(trials=6, seed=seed).run().coefficients


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_pools_work_after_and_during_a_search(method: str, monkeypatch: Any) -> None:
    monkeypatch.syspath_prepend(str(HERE))
    expected = [searched(seed) for seed in (1, 2)]
    context = multiprocessing.get_context(method)
    with context.Pool(2) as pool:
        assert pool.map(searched, [1, 2]) == expected
    problem, seen = Problem(), []

    def evaluate(trial: dfmerge.Trial) -> dict[str, float]:
        if trial.number in (0, 3):
            with context.Pool(2) as pool:
                seen.append((pool.map(square, range(4)), pool.map(searched, [1, 2])))
        return problem.evaluate(trial)

    search = dfmerge.Search(
        problem.target, problem.base, problem.models, evaluate, problem.fisher, trials=6, seed=1,
        progress=False,
    )  # fmt: skip
    assert search.run().coefficients == expected[0]
    assert seen == [([0, 1, 4, 9], expected)] * 2


CHILDREN = """
import atexit, gc, os, sys, time
import dfmerge
from search_problem import Problem
how, journal = sys.argv[1:]
problem, statuses = Problem(), []
outside = dfmerge.Optimizer({"x": (0, 1)}, journal=journal + ".optimizer")
trial = outside.ask()
weights_path = journal + ".safetensors"
dfmerge.save(problem.base, weights_path)
weights = dfmerge.load(weights_path)
tensor = weights.tensor("w")
parent = os.getpid()

def leave():
    if how == "os._exit": os._exit(3)
    if how == "sys.exit": sys.exit(3)
    if how == "exception": raise ValueError("in the child")
    if how == "return": return None
    if how == "drop everything":
        global outside, weights, tensor, search, problem
        outside.close()
        outside = weights = tensor = search = problem = None
        gc.collect()
        os._exit(3)
    if how == "own work":
        other = Problem()
        other.search(trials=4, journal=journal + f".{os.getpid()}").run()
        dfmerge.merge(weights_path, [weights_path], method="average", out=weights_path + ".2")
        sys.exit(3)

def callback(where):
    if where in done: return
    done.add(where)
    child = os.fork()
    if child == 0:
        sys.stderr = open(os.devnull, "w")
        leave()
        return
    statuses.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

done = set()
def evaluate(trial):
    callback("evaluate") if trial.number == 2 else None
    return problem.evaluate(trial)
def fisher(request):
    callback("fisher")
    problem.fisher(request)
search = dfmerge.Search(problem.target, problem.base, problem.models, evaluate, fisher, trials=7,
                        journal=journal, progress=False)
try:
    result = search.run()
except dfmerge.ArgumentError as error:
    assert how == "return" and os.getpid() != parent and "forked" in str(error), error
    os._exit(3)
except ValueError as error:
    assert how == "exception" and os.getpid() != parent
    sys.exit(3)
assert os.getpid() == parent
outside.tell(trial, 0.5)
assert outside.best_value == 0.5
assert weights["w"].tobytes() == problem.base["w"].tobytes()
result.save(journal + ".merged.safetensors")
print(statuses, len(result.trials))
"""


@pytest.mark.parametrize(
    "how", ["os._exit", "sys.exit", "exception", "return", "drop everything", "own work"]
)
def test_a_child_forked_in_a_callback_harms_nothing(how: str, tmp_path: Path) -> None:
    journal = tmp_path / "run.jsonl"
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CHILDREN, how, str(journal)],
        capture_output=True, text=True, cwd=HERE, timeout=120, check=False,
    )  # fmt: skip
    assert found.stderr == "" and found.returncode == 0
    assert found.stdout == "[3, 3] 7\n"
    problem = Problem()
    problem.search(trials=7, journal=tmp_path / "alone.jsonl").run().save(tmp_path / "alone")
    assert reproducible(str(journal)) == reproducible(str(tmp_path / "alone.jsonl"))
    merged = dfmerge.load(f"{journal}.merged.safetensors")["w"]
    assert merged.tobytes() == problem.target["w"].tobytes()
    assert not list(tmp_path.glob(".dfmerge*"))


BESIDE = """
import os, sys, threading, time
import numpy as np
import dfmerge
base = {"w": np.zeros(1_000_000, np.float32)}
models = {f"m{i}": {"w": np.ones(1_000_000, np.float32)} for i in range(8)}
out = {"w": base["w"].copy()}
stop = threading.Event()
def work():
    while not stop.is_set():
        dfmerge.merge(base, models, method="task_arithmetic", out=out, threads=2)
thread = threading.Thread(target=work)
thread.start()
statuses = []
for _ in range(10):
    time.sleep(0.01)
    child = os.fork()
    if child == 0:
        # The thread is not here: leaving must not wait for its merge.
        sys.exit(3)
    statuses.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
stop.set()
thread.join()
print(statuses == [3] * 10)
"""


def test_a_child_leaves_without_the_merge_of_another_thread() -> None:
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", BESIDE], capture_output=True, text=True, cwd=HERE,
        timeout=60, check=False,
    )  # fmt: skip
    assert found.stdout == "True\n" and found.stderr == ""


def test_tensors_and_weights_are_read_in_a_child(tmp_path: Path) -> None:
    problem = Problem()
    dfmerge.save(problem.base, tmp_path / "base.safetensors")
    weights = dfmerge.load(tmp_path / "base.safetensors")
    tensor = weights.tensor("w")
    child = os.fork()
    if child == 0:
        same = tensor.numpy().tobytes() == weights["w"].tobytes() == problem.base["w"].tobytes()
        del tensor, weights
        os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert tensor.numpy().tobytes() == problem.base["w"].tobytes()
