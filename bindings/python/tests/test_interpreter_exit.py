"""The interpreter ends with searches, optimizers and tensors alive: quietly, whatever they do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent

START = """
import atexit, builtins, gc, os, sys, threading, time
import numpy as np
import dfmerge
from search_problem import Problem
path = sys.argv[1]

def large(n=8_000_000, count=4):
    base = {"w": np.zeros(n, np.float32)}
    return base, {f"m{i}": {"w": np.full(n, i + 1, np.float32)} for i in range(count)}

def in_daemon(work):
    # Whatever it raises would be printed: nothing must be.
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread

def saved():
    dfmerge.save({"w": np.arange(6, dtype=np.float32)}, path + ".safetensors")
    return dfmerge.load(path + ".safetensors")
"""

PROGRAMS = {
    "everything in globals": """
problem = Problem()
search = problem.search(trials=3, journal=path)
result = search.run()
optimizer = dfmerge.Optimizer({"x": (0, 1)}, journal=path + ".2")
trial = optimizer.ask()
weights = saved()
tensor = weights.tensor("w")
arrays = [np.from_dlpack(tensor), np.asarray(tensor), tensor.memoryview()]
copies = tensor.copy(), np.from_dlpack(tensor.copy())
""",
    "cycles": """
class Node: pass
for made in (Problem().search(trials=3), dfmerge.Optimizer(["x"]), saved(), saved().tensor("w")):
    node = Node()
    node.me, node.made, made.node = node, made, node
del node, made
gc.disable()
""",
    "capsules that nobody takes": """
tensor = saved().tensor("w")
def capsule(): return tensor.__dlpack__(max_version=(1, 0))
kept = capsule()
builtins.kept = capsule()
sys.kept = capsule()
sys.modules["kept"] = capsule()
local = threading.local()
local.kept = capsule()
cycle = [capsule()]
cycle.append(cycle)
def function(default=capsule()): pass
function.me = function
atexit.register(lambda kept=capsule(): None)
class Late:
    def __init__(self): self.kept = capsule()
    def __del__(self): self.kept = None
late = Late()
builtins.late = Late()
tensor.__dlpack__(copy=True)
""",
    "deleters after the interpreter, and after a thread": """
import ctypes
from dfmerge import _capsules
libc = ctypes.CDLL(None)
tensor = saved().tensor("w")
def taken():
    structure, address = _capsules.taken(tensor.__dlpack__(max_version=(1, 0)))
    return ctypes.c_void_p(structure.deleter), ctypes.c_void_p(address)
said = ctypes.create_string_buffer(b"deleted after the end")
ctypes.pythonapi.Py_IncRef(ctypes.py_object(said))
# The last one registered comes first.
libc.__cxa_atexit(ctypes.cast(libc.puts, ctypes.c_void_p), said, None)
for _ in range(3):
    libc.__cxa_atexit(*taken(), None)
key = ctypes.c_uint()
deleter, address = taken()
assert libc.pthread_key_create(ctypes.byref(key), deleter) == 0
thread = threading.Thread(target=lambda: libc.pthread_setspecific(key, address))
thread.start()
thread.join()
""",
    "sys.exit in an evaluation": """
def evaluate(trial):
    sys.exit(7)
problem = Problem()
problem.evaluate = evaluate
problem.search(trials=9, journal=path).run()
""",
    "sys.exit in a Fisher callback": """
def fisher(request):
    kept.append(request.buffers["w"])
    sys.exit(7)
kept = []
problem = Problem()
problem.fisher = fisher
problem.search(trials=9).run()
""",
    "sys.exit in an optimizer's function": """
dfmerge.Optimizer(["x"], journal=path).optimize(lambda trial: sys.exit(7))
""",
    "os._exit in an evaluation": """
problem = Problem()
problem.evaluate = lambda trial: os._exit(7)
problem.search(trials=9, journal=path).run()
""",
    "a search in a daemon thread": """
problem = Problem()
begun = threading.Event()
def evaluate(trial):
    begun.set()
    return problem_evaluate(trial)
problem_evaluate, problem.evaluate = problem.evaluate, evaluate
in_daemon(lambda: problem.search(trials=10_000, journal=path).run())
begun.wait()
time.sleep(0.2)
""",
    "a search in a daemon thread, asleep in its evaluation": """
problem = Problem()
begun = threading.Event()
def evaluate(trial):
    begun.set()
    time.sleep(3600)
problem.evaluate = evaluate
in_daemon(lambda: problem.search(trials=10_000, journal=path).run())
begun.wait()
""",
    "a merging search in a daemon thread": """
base, models = large()
target = {"w": np.zeros(8_000_000, np.float32)}
begun = threading.Event()
search = dfmerge.Search(target, base, models, lambda trial: begun.set() or 0.0,
    tasks=["one"], fisher_mode="none", trials=10_000, progress=False)
in_daemon(search.run)
begun.wait()
time.sleep(0.05)
""",
    "a merge in a daemon thread": """
base, models = large(2_000_000, 30)
out = {"w": np.zeros(2_000_000, np.float32)}
def work():
    while True:
        dfmerge.merge(base, models, method="task_arithmetic", out=out, threads=2)
in_daemon(work)
time.sleep(0.3)
""",
    "a merge to files in a daemon thread": """
base, models = large(2_000_000, 10)
atexit.register(lambda: print([n for n in os.listdir(os.path.dirname(path)) if "tmp" in n]))
def work():
    while True:
        dfmerge.merge(base, models, method="task_arithmetic", out=path + ".safetensors")
in_daemon(work)
time.sleep(0.5)
""",
    "an optimizer in daemon threads": """
optimizer = dfmerge.Optimizer({"x": (0, 1), "y": (0, 1)}, trials=10_000, journal=path)
for _ in range(3):
    in_daemon(lambda: optimizer.optimize(lambda trial: trial.params["x"], n_jobs=2))
time.sleep(0.5)
""",
    "a search in a thread of its own is awaited": """
problem = Problem()
thread = threading.Thread(target=lambda: print(len(problem.search(trials=9).run().trials)))
thread.start()
""",
    "a search at exit": """
problem = Problem()
def last():
    print(len(problem.search(trials=9, journal=path).run().trials))
atexit.register(last)
Problem().search(trials=2, initial=1).run()
""",
    "exceptions at exit, before and after ours": """
def fail(): raise ValueError("at exit")
atexit.register(fail)
problem = Problem()
problem.search(trials=2, initial=1).run()
atexit.register(fail)
""",
    "objects that use the library when they are freed": """
class Last:
    def __init__(self):
        self.weights = saved()
        self.array = np.asarray(self.weights.tensor("w"))
    def __del__(self):
        print(self.weights.tensor("w").memoryview().tolist() == self.array.tolist())
        print(dfmerge.Optimizer(["x"], trials=3).should_stop)
atexit.register(lambda kept=Last(): None)
builtins.last = Last()
last = Last()
""",
}
OUTPUTS = {
    "deleters after the interpreter, and after a thread": "deleted after the end\n",
    "a search in a thread of its own is awaited": "9\n",
    "a search at exit": "9\n",
    "a merge to files in a daemon thread": "[]\n",
    "objects that use the library when they are freed": "True\nNone\n" * 3,
}


@pytest.mark.parametrize("what", PROGRAMS)
def test_the_interpreter_ends_quietly(what: str, tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-c", START + PROGRAMS[what], str(tmp_path / "run.jsonl")],
        capture_output=True, text=True, cwd=HERE, check=False, timeout=120,
    )  # fmt: skip
    errors = found.stderr
    if "exceptions" in what:
        assert errors.count("ValueError: at exit") == 2
        errors = ""
    assert errors == "" and found.stdout == OUTPUTS.get(what, "")
    assert found.returncode == (7 if "exit in" in what else 0)


def test_a_search_cut_off_by_the_end_is_continued(tmp_path: Path) -> None:
    journal = tmp_path / "run.jsonl"
    program = START + PROGRAMS["a search in a daemon thread"]
    for _ in range(3):
        subprocess.run(
            [sys.executable, "-c", program, str(journal)], cwd=HERE, check=True, timeout=120
        )
    from search_problem import Problem

    problem = Problem()
    done = sum(1 for line in journal.read_text().splitlines() if '"result"' in line)
    assert done > 3
    search = problem.search(trials=10_000, journal=journal, max_seconds=0.001)
    assert len(search.run().trials) >= 3
