"""How long Ctrl-C takes: from the signal to KeyboardInterrupt in the caller's hands.

``python latency.py [REPEATS]`` prints the median and the largest of each phase in milliseconds.
Every measurement is a process of its own that is sent SIGINT at a random moment of the phase.
"""

from __future__ import annotations

import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time

PROGRAM = """
import os, signal, sys, time
import numpy as np
import dfmerge
phase, folder = sys.argv[1], sys.argv[2]
signal.signal(signal.SIGINT, signal.default_int_handler)
N = 16_000_000

def ready():
    print("ready", flush=True)

def weights(count, n=N):
    base = {"w": np.zeros(n, np.float32)}
    return base, {f"m{i}": {"w": np.full(n, i + 1, np.float32)} for i in range(count)}

def search(evaluate, n, count=4, fisher=None, **options):
    base, models = weights(count, n)
    target = {"w": base["w"].copy()}
    if fisher is None:
        options["fisher_mode"] = "none"
    return dfmerge.Search(target, base, models, evaluate, fisher, tasks=["one"], progress=False,
                          trials=100_000, **options)

def forever(work):
    ready()
    while True:
        work()

def prepare():
    if phase.startswith("merge in memory"):
        base, models = weights(8)
        out = {"w": base["w"].copy()}
        threads = int(phase.split()[-2])
        return lambda: forever(lambda: dfmerge.merge(
            base, models, method="task_arithmetic", out=out, threads=threads))
    if phase == "merge to files":
        base, models = weights(4)
        for name, tensors in {"base": base, **models}.items():
            dfmerge.save(tensors, f"{folder}/{name}.safetensors")
        paths = {name: f"{folder}/{name}.safetensors" for name in models}
        return lambda: forever(lambda: dfmerge.merge(
            f"{folder}/base.safetensors", paths, method="task_arithmetic",
            out=f"{folder}/out.safetensors", progress=False))
    if phase == "save":
        base, _ = weights(1, 4 * N)
        return lambda: forever(lambda: dfmerge.save(base, f"{folder}/out.safetensors"))
    if phase == "plan":
        base, models = weights(2, 1000)
        return lambda: forever(lambda: dfmerge.plan(base, models, method="task_arithmetic"))
    if phase == "search, merging":
        def evaluate(trial):
            if trial.number == 0:
                ready()
            return 0.0
        return lambda: search(evaluate, 4 * N, initial=1000).run()
    if phase == "search, evaluating":
        def evaluate(trial):
            ready()
            time.sleep(60)
        return lambda: search(evaluate, 1000).run()
    if phase == "search, evaluating in Python":
        def evaluate(trial):
            ready()
            while True:
                sum(range(1000))
        return lambda: search(evaluate, 1000).run()
    if phase == "search, Fisher":
        gradient = np.ones(N, np.float32)
        def fisher(request):
            ready()
            while True:
                request.accumulate("w", gradient)
        return lambda: search(lambda trial: 0.0, N, count=1, fisher=fisher).run()
    if phase == "search, 250 trials in":
        def evaluate(trial):
            if trial.number == 250:
                ready()
            return sum(v * v for v in trial.coefficients.values())
        return lambda: search(evaluate, 1000, initial=200).run()
    if phase == "optimizer, 300 trials in":
        optimizer = dfmerge.Optimizer([f"x{i}" for i in range(6)], trials=100_000, initial=290)
        def work():
            trial = optimizer.ask()
            optimizer.tell(trial, sum(trial.params.values()))
        for _ in range(300):
            work()
        return lambda: forever(work)
    raise SystemExit(phase)

work = prepare()
try:
    work()
except KeyboardInterrupt:
    print(time.monotonic(), flush=True)
    os._exit(0)
"""

PHASES = [
    "merge in memory, 1 thread",
    "merge in memory, 2 threads",
    "merge to files",
    "save",
    "plan",
    "search, merging",
    "search, evaluating",
    "search, evaluating in Python",
    "search, Fisher",
    "search, 250 trials in",
    "optimizer, 300 trials in",
]


def measure(phase: str) -> float:
    """Milliseconds from the signal to the exception."""
    with tempfile.TemporaryDirectory() as folder:
        child = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, phase, folder], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        try:
            if child.stdout.readline() != "ready\n":
                raise SystemExit(f"{phase}: the program ended before the phase began")
            time.sleep(random.uniform(0.05, 0.4))
            sent = time.monotonic()
            os.kill(child.pid, signal.SIGINT)
            for line in child.stdout:
                if line != "ready\n":
                    return 1000 * (float(line) - sent)
            raise SystemExit(f"{phase}: the interrupt was lost")
        finally:
            child.kill()
            child.wait()


def main() -> None:
    """Measure every phase."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    wanted = sys.argv[2] if len(sys.argv) > 2 else ""
    print(f"{'phase':32} {'median':>8} {'largest':>8}  (ms, of {repeats})")
    for phase in PHASES:
        if wanted not in phase:
            continue
        found = [measure(phase) for _ in range(repeats)]
        print(f"{phase:32} {statistics.median(found):8.1f} {max(found):8.1f}", flush=True)


if __name__ == "__main__":
    main()
