"""Handlers of signals that raise while the library works: it comes out of the call."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from search_problem import Problem

import dfmerge

HERE = Path(__file__).parent

SETTING = """
import os, random, signal, sys, threading, time
import numpy as np
import dfmerge
from search_problem import Problem
big = {"w": np.ones(20_000_000, np.float32)}
def send_after(seconds, number):
    threading.Timer(seconds, os.kill, (os.getpid(), number)).start()
def merged(trial=None):
    for _ in range(100):
        dfmerge.merge(big, [big, big], "ties")
def searched(evaluate=None, trials=100_000):
    problem = Problem(pause=0.0005)
    evaluate = evaluate or problem.evaluate
    return dfmerge.Search(problem.target, problem.base, problem.models, evaluate, trials=trials,
                          fisher_mode="none", progress=False)
def optimized():
    dfmerge.Optimizer({"a": (0, 1)}).optimize(merged, n_trials=100)
"""


def program(text: str, status: int = 0) -> str:
    """What a program prints, which prints no errors."""
    found = subprocess.run(
        [sys.executable, "-c", SETTING + text], capture_output=True, text=True, cwd=HERE,
        timeout=100, check=False,
    )  # fmt: skip
    assert found.stderr == "" and found.returncode == status, found.stderr
    return found.stdout.strip()


@pytest.mark.parametrize("call", ["merged()", "searched().run()", "optimized()"])
def test_a_handler_that_exits_ends_the_program(call: str) -> None:
    program(
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n"
        f"send_after(0.3, signal.SIGTERM)\n{call}",
        status=143,
    )


@pytest.mark.parametrize("call", ["merged()", "searched().run()", "optimized()"])
def test_the_exception_of_a_handler_is_raised_unchanged(call: str) -> None:
    text = """
raised = []
def late(number, frame):
    raised.append(TimeoutError("the time is over"))
    raise raised[-1]
signal.signal(signal.SIGALRM, late)
signal.setitimer(signal.ITIMER_REAL, 0.3)
try:
    CALL
except TimeoutError as error:
    print(raised == [error], error.__context__)
"""
    assert program(text.replace("CALL", call)) == "True None"


STORM = """
class Alarm(Exception):
    pass
raised, armed = [], [False]
library = os.path.dirname(dfmerge.__file__)
def is_in_call(frame):
    # Within the library, but not in the hook below, where Python prints what is raised.
    inside = False
    while frame is not None:
        if frame.f_code is unraisable.__code__:
            return False
        inside = inside or frame.f_code.co_filename.startswith(library)
        frame = frame.f_back
    return inside
def handler(number, frame):
    if armed[0] and is_in_call(frame):
        raised.append(Alarm(len(raised)))
        raise raised[-1]
signal.signal(signal.SIGALRM, handler)
# Python prints what is raised in finalizers, whoever runs them.
in_finalizers = []
def unraisable(report):
    in_finalizers.append(report.exc_value)
    if "ctypes" in (report.err_msg or ""):
        os._exit(9)
sys.unraisablehook = unraisable
counts = {"surfaced": 0, "lost": 0, "finished": 0}
random.seed(1)
def evaluated(trial=None):
    dfmerge.merge(small, [small, small], "ties")
    return 0.5
end = time.monotonic() + 5
while time.monotonic() < end:
    search = searched(trials=6) if WHAT == "search" else None
    optimizer = dfmerge.Optimizer({"a": (0, 1)}) if WHAT == "optimizer" else None
    raised.clear()
    in_finalizers.clear()
    outcome = None
    armed[0] = True
    signal.setitimer(signal.ITIMER_REAL, random.uniform(0.0002, 0.02), REPEAT)
    try:
        if search is not None:
            search.run()
        elif optimizer is not None:
            optimizer.optimize(evaluated, n_trials=6)
        else:
            evaluated()
    except Alarm as error:
        outcome = error
    armed[0] = False
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert outcome is None or outcome in raised
    kept = [error for error in raised if error not in in_finalizers]
    counts["surfaced" if outcome else "lost" if kept else "finished"] += 1
print(counts["lost"], counts["surfaced"] > 10)
"""


@pytest.mark.parametrize("repeat", ["0", "0.0003"])
@pytest.mark.parametrize("what", ["search", "merge", "optimizer"])
def test_no_exception_of_a_handler_is_lost(what: str, repeat: str) -> None:
    """One alarm, or a storm of them, at any moment of many runs."""
    small = "small = {'w': np.ones(2_000_000, np.float32)}\n"
    storm = STORM.replace("WHAT", repr(what)).replace("REPEAT", repeat)
    assert program(small + storm) == "0 True"


NESTED = """
def evaluate(trial):
    try:
        INNER
    except dfmerge.Error:
        return None
send_after(0.4, signal.SIGINT)
try:
    OUTER
except KeyboardInterrupt:
    print("interrupted", signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""


@pytest.mark.parametrize("inner", ["merged()", "searched().run()"])
@pytest.mark.parametrize(
    "outer",
    ["searched(evaluate).run()", "dfmerge.Optimizer({'a': (0, 1)}).optimize(evaluate, 100)"],
)
def test_ctrl_c_in_a_nested_run_ends_both(inner: str, outer: str) -> None:
    found = program(NESTED.replace("INNER", inner).replace("OUTER", outer))
    assert found == "interrupted True"


def test_an_evaluation_may_catch_its_own_timeout() -> None:
    """The exception belongs to the code that it interrupts: the run goes on."""
    text = """
class Late(Exception):
    pass
def handler(number, frame):
    raise Late
signal.signal(signal.SIGALRM, handler)
def evaluate(trial):
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05 if trial.number % 2 else 0)
        if trial.number % 2:
            merged()
        return {"a": 1.0, "b": 1.0, "c": 1.0}
    except Late:
        return None
result = searched(evaluate, trials=6).run()
print([trial["state"] for trial in result.trials])
"""
    assert program(text) == str(["complete", "failed"] * 3)


def test_the_users_code_runs_on_the_thread_of_the_call() -> None:
    problem, threads, merged = Problem(), set(), []

    def evaluate(trial: dfmerge.Trial) -> dict[str, float]:
        threads.add(threading.get_ident())
        merged.append(dfmerge.merge(problem.base, [problem.base], "average"))
        return problem.evaluate(trial)

    def run() -> None:
        dfmerge.Search(
            problem.target, problem.base, problem.models, evaluate, fisher_mode="none", trials=3,
            progress=False,
        ).run()  # fmt: skip

    run()
    assert threads == {threading.get_ident()}
    np.testing.assert_array_equal(merged[0]["w"], problem.base["w"])
    worker = threading.Thread(target=run)
    worker.start()
    worker.join()
    assert threads == {threading.get_ident(), worker.ident}


@pytest.mark.parametrize("method", ["iso_cts", "tsv_m", "opcm"])
@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_ends_a_factorisation(method: str, threads: int, tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    text = f"""
draws = np.random.default_rng(0)
models = [{{"w": draws.standard_normal((1024, 1024), np.float32)}} for _ in range(4)]
sent = []
def send():
    sent.append(time.monotonic())
    os.kill(os.getpid(), signal.SIGINT)
threading.Timer(0.3, send).start()
try:
    dfmerge.merge(models[0], models[1:], "{method}", out="{out}", threads={threads})
except KeyboardInterrupt:
    print(time.monotonic() - sent[0])
"""
    assert float(program(text)) < 1
    assert list(tmp_path.iterdir()) == []
