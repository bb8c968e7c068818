"""Threads: the interpreter's lock, runs side by side, and what belongs to the calling thread."""

from __future__ import annotations

import contextvars
import gc
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from search_problem import Problem

import dfmerge

HERE = Path(__file__).parent
MODELS = [{"w": np.full(6_000_000, n, np.float32)} for n in range(6)]


def merge(out: Any = None) -> Any:
    return dfmerge.merge(None, MODELS, method="average", threads=1, out=out)["w"]


def test_other_threads_go_on_during_a_merge() -> None:
    """Counted: a merge that held the interpreter's lock would let nobody count."""
    out = {"w": np.zeros(6_000_000, np.float32)}
    counted, stop = [0], threading.Event()

    def count() -> None:
        while not stop.is_set():
            counted[0] += 1

    thread = threading.Thread(target=count)
    thread.start()
    try:
        steps = []
        for _ in range(10):
            before = counted[0]
            merge(out)
            steps.append(counted[0] - before)
    finally:
        stop.set()
        thread.join()
    # A call that keeps the lock lets the other thread run before and after it at most.
    assert max(steps) > 20_000


def side_by_side(*works: Callable[[], Any]) -> list[Any]:
    """What each gives, run in threads of their own at once."""
    found: list[Any] = [None] * len(works)
    barrier = threading.Barrier(len(works))

    def run(index: int) -> None:
        barrier.wait()
        found[index] = works[index]()

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def searched(seed: int) -> Any:
    problem = Problem()
    result = problem.search(trials=12, seed=seed, threads=2).run()
    points = [(t["coefficients"], t["value"]) for t in result.trials]
    return points, problem.target["w"].tobytes(), problem.target["b"].tobytes()


def optimized() -> Any:
    optimizer = dfmerge.Optimizer({"x": (0, 1), "y": (-1, 1)}, seed=4, trials=20)
    optimizer.optimize(lambda trial: -((trial.params["x"] - 0.3) ** 2) - trial.params["y"] ** 2)
    return [(t.params, t.value) for t in optimizer.trials]


def merged() -> bytes:
    ties = {"density": 0.3}
    models = [m["w"][:300_000] * np.linspace(-1, 1, 300_000, dtype=np.float32) for m in MODELS]
    tensors = [{"w": model} for model in models]
    base = {"w": np.zeros(300_000, np.float32)}
    return dfmerge.merge(base, tensors, method="ties", options=ties, threads=2)["w"].tobytes()


def test_runs_side_by_side_find_what_they_find_alone() -> None:
    works = [lambda: searched(1), lambda: searched(2), optimized, merged, merged]
    alone = [work() for work in works]
    assert side_by_side(*works) == alone
    assert alone[0] != alone[1]


def test_callbacks_see_what_belongs_to_their_thread() -> None:
    local, variable = threading.local(), contextvars.ContextVar("variable", default="nothing")
    seen: list[Any] = []

    def work(mark: str) -> None:
        local.mark = mark
        variable.set(mark)
        problem = Problem()

        def evaluate(trial: dfmerge.Trial) -> Any:
            seen.append((mark, local.mark, variable.get(), threading.get_ident()))
            variable.set(variable.get())
            return problem.evaluate(trial)

        def fisher(request: dfmerge.FisherRequest) -> None:
            seen.append((mark, local.mark, variable.get(), threading.get_ident()))
            problem.fisher(request)

        dfmerge.Search(
            problem.target, problem.base, problem.models, evaluate, fisher, trials=4,
            progress=False,
        ).run()  # fmt: skip

    side_by_side(lambda: work("one"), lambda: work("two"))
    contextvars.copy_context().run(work, "main")
    assert {entry[:3] for entry in seen} == {(m, m, m) for m in ("one", "two", "main")}
    idents = {(mark, ident) for mark, *_, ident in seen}
    assert len(idents) == 3 and ("main", threading.get_ident()) in idents


@pytest.mark.parametrize("where", ["evaluate", "fisher", "progress"])
def test_an_exception_is_the_same_object_and_holds_nothing(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the collector off: what the failed callback had is gone with the exception."""
    problem = Problem()
    raised: list[weakref.ref[Any]] = []

    class CallbackError(Exception):
        pass

    def fail(*_: Any) -> None:
        big = np.zeros(1_000_000)
        error = CallbackError("from the callback")
        raised.extend([weakref.ref(big), weakref.ref(error)])
        try:
            raise error
        finally:
            del error

    changes = {"evaluate": problem.evaluate, "fisher": problem.fisher}
    if where in changes:
        changes[where] = fail
    else:
        monkeypatch.setattr("dfmerge._progress.Progress.update", fail)
    gc.collect()
    gc.disable()
    try:
        search = dfmerge.Search(
            problem.target,
            problem.base,
            problem.models,
            trials=3,
            exponent=1,
            progress=False,
            **changes,
        )
        try:
            search.run()
        except CallbackError as error:
            assert error is raised[1]()
            assert error.__context__ is None and error.__cause__ is None
            names, trace = [], error.__traceback__
            while trace is not None:
                names.append(trace.tb_frame.f_code.co_name)
                trace = trace.tb_next
            assert names[0] == sys._getframe().f_code.co_name and names[-1] == "fail"
            del trace
        assert [reference() for reference in raised] == [None, None]
        handle = weakref.ref(search._handle)
        del search
        assert handle() is None
    finally:
        gc.enable()


COUNTED = """
import os, signal, sys
import numpy as np
import dfmerge
from search_problem import Problem
signal.signal(signal.SIGINT, signal.default_int_handler)
problem, after = Problem(), []
where = sys.argv[1]
def hit(what):
    after.append(what)
    if where == what and after.count(what) == 2:
        after.clear()
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000): pass
        after.append("went on")
def evaluate(trial):
    hit("evaluate")
    return problem.evaluate(trial)
def fisher(request):
    hit("fisher")
    problem.fisher(request)
class Shown(dfmerge._search.Progress):
    def update(self, phase, done, best):
        hit("progress")
dfmerge._search.Progress = Shown
search = dfmerge.Search(problem.target, problem.base, problem.models, evaluate, fisher,
                        trials=10_000, progress=False)
try:
    search.run()
except KeyboardInterrupt:
    print("interrupted", after)
"""


@pytest.mark.parametrize("where", ["evaluate", "fisher", "progress"])
def test_no_callback_follows_an_interrupt(where: str) -> None:
    found = subprocess.run(
        [sys.executable, "-c", COUNTED, where], capture_output=True, text=True, cwd=HERE,
        timeout=120, check=False,
    )  # fmt: skip
    assert found.stdout == "interrupted []\n" and found.stderr == ""


BETWEEN = """
import os, signal, sys, threading
import numpy as np
import dfmerge
signal.signal(signal.SIGINT, signal.default_int_handler)
base = {"w": np.zeros(20_000_000, np.float32)}
models = {f"m{i}": {"w": np.ones(20_000_000, np.float32)} for i in range(5)}
target = {"w": base["w"].copy()}
where, path = sys.argv[1:]
begun = threading.Event()
def send():
    begun.wait()
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=send, daemon=True).start()
evaluated = []
def evaluate(trial):
    evaluated.append(trial.number)
    if len(evaluated) == 3:
        begun.set()
    return 0.0
class Shown(dfmerge._search.Progress):
    def update(self, phase, done, best):
        heard.append(phase)
heard = []
dfmerge._search.Progress = Shown
try:
    if where == "search":
        dfmerge.Search(target, base, models, evaluate, tasks=["one"], fisher_mode="none",
                       initial=10_000, trials=10_000, progress=False).run()
    elif where == "merge":
        begun.set()
        while True:
            dfmerge.merge(base, models, method="task_arithmetic", out=target)
    else:
        begun.set()
        while True:
            dfmerge.save(base, path)
except KeyboardInterrupt:
    # Between two trials a merge takes many tiles: the next evaluation never comes.
    print("interrupted", len(evaluated) <= 4, os.listdir(os.path.dirname(path)))
"""


@pytest.mark.parametrize("where", ["search", "merge", "save"])
def test_an_interrupt_reaches_work_in_the_library(where: str, tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-c", BETWEEN, where, str(tmp_path / "x.safetensors")],
        capture_output=True, text=True, cwd=HERE, timeout=120, check=False,
    )  # fmt: skip
    expected = {"interrupted True []\n"}
    if where == "save":
        expected.add("interrupted True ['x.safetensors']\n")
    assert found.stdout in expected and found.stderr == ""


def test_a_search_hears_of_its_merges() -> None:
    """Where Python handles signals while a large model is merged."""
    heard: list[tuple[str, int, int]] = []
    base = {"w": np.zeros(20_000_000, np.float32)}
    # Many models of one memory: a merge lasts several of the moments at which it tells.
    tuned = {"w": np.ones(20_000_000, np.float32)}
    search = dfmerge.Search(
        {"w": base["w"].copy()}, base, {f"m{i}": tuned for i in range(40)}, lambda trial: 0.0,
        tasks=["one"], fisher_mode="none", trials=3, initial=3, threads=1, progress=False,
    )  # fmt: skip
    import dfmerge._callbacks as callbacks

    original = callbacks.Progress.update
    callbacks.Progress.update = lambda bar, phase, done, best: heard.append((phase, done, 0))  # type: ignore[method-assign]
    try:
        search.run()
    finally:
        callbacks.Progress.update = original  # type: ignore[method-assign]
    merges = [done for phase, done, _ in heard if phase == "merge"]
    assert merges and all(0 <= done <= 80_000_000 for done in merges)
    assert [phase for phase, *_ in heard].count("trial") == 3


def test_a_handler_of_the_hosts_may_raise_during_a_save(tmp_path: Path) -> None:
    class AlarmError(Exception):
        pass

    def handler(number: int, frame: Any) -> None:
        raise AlarmError

    tensors = {"w": np.zeros(30_000_000, np.float32)}
    previous = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        with pytest.raises(AlarmError):
            while True:
                dfmerge.save(tensors, tmp_path / "x.safetensors")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert not list(tmp_path.glob(".dfmerge*"))
