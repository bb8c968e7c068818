"""Optimizer.optimize: budgets, threads, exceptions, Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from optimizer_problem import SPACE, score

import dfmerge


def objective(trial: dfmerge.OptimizerTrial) -> float:
    return score(trial.params)


def test_it_runs_to_the_option_trials_and_then_by_n_trials() -> None:
    optimizer = dfmerge.Optimizer(SPACE, trials=8)
    optimizer.optimize(objective)
    assert len(optimizer.trials) == 8
    optimizer.optimize(objective)
    assert len(optimizer.trials) == 8
    optimizer.optimize(objective, n_trials=3)
    assert len(optimizer.trials) == 11 and optimizer.running == []


def test_threads_share_the_budget() -> None:
    optimizer = dfmerge.Optimizer(SPACE, trials=20, initial=5)
    seen: set[int] = set()

    def slow(trial: dfmerge.OptimizerTrial) -> float:
        seen.add(threading.get_ident())
        time.sleep(0.002 * (trial.number % 3))
        return score(trial.params)

    optimizer.optimize(slow, n_jobs=4)
    assert len(optimizer.trials) == 20 and optimizer.running == [] and len(seen) > 1
    assert optimizer.best_value > 0.95


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_target_and_a_timeout_end_it(jobs: int) -> None:
    optimizer = dfmerge.Optimizer(SPACE, target=0.5)
    optimizer.optimize(objective, n_jobs=jobs)
    assert optimizer.should_stop == "target" and len(optimizer.trials) < 30
    optimizer = dfmerge.Optimizer(SPACE)
    optimizer.optimize(objective, timeout=0, n_jobs=jobs)
    assert optimizer.trials == []


@pytest.mark.parametrize("jobs", [1, 3])
def test_an_exception_withdraws_its_trial_and_is_raised(jobs: int) -> None:
    optimizer = dfmerge.Optimizer(SPACE, trials=12)

    def broken(trial: dfmerge.OptimizerTrial) -> float:
        if trial.number == 4:
            raise RuntimeError("out of order")
        return score(trial.params)

    with pytest.raises(RuntimeError, match="out of order"):
        optimizer.optimize(broken, n_jobs=jobs)
    states = {trial.number: trial.state for trial in optimizer.trials}
    assert states[4] == "withdrawn" and "running" not in states.values()
    optimizer.optimize(objective, n_jobs=jobs)
    assert optimizer.cost == 12


def test_caught_exceptions_are_failed_trials() -> None:
    optimizer = dfmerge.Optimizer(SPACE, trials=6)

    def sometimes(trial: dfmerge.OptimizerTrial) -> float:
        if trial.number % 2:
            raise MemoryError("too large")
        return score(trial.params)

    optimizer.optimize(sometimes, catch=(MemoryError,))
    assert [trial.state for trial in optimizer.trials] == ["complete", "failed"] * 3
    assert optimizer.trials[1].reason == "MemoryError: too large"


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_wrong_answer_is_raised_and_its_trial_withdrawn(jobs: int) -> None:
    optimizer = dfmerge.Optimizer(SPACE)
    with pytest.raises(TypeError, match="'good'"):
        optimizer.optimize(lambda trial: "good", n_jobs=jobs)
    assert {trial.state for trial in optimizer.trials} == {"withdrawn"}


def test_callbacks_hear_of_each_trial_and_may_stop() -> None:
    optimizer = dfmerge.Optimizer(SPACE)
    heard: list[tuple[int, float | None]] = []

    def hear(found: dfmerge.Optimizer, trial: dfmerge.OptimizerTrial) -> None:
        assert found is optimizer
        heard.append((trial.number, trial.value))
        if len(heard) == 3:
            found.stop()

    optimizer.optimize(objective, callbacks=[hear])
    assert [number for number, _ in heard] == [0, 1, 2]
    assert all(value is not None for _, value in heard) and len(optimizer.trials) == 3


@pytest.mark.parametrize(
    ("options", "error"),
    [({"n_jobs": 0}, ValueError), ({"n_trials": -1}, ValueError), ({"n_jobs": 1.5}, TypeError)],
)
def test_wrong_settings_are_refused(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match="n_"):
        dfmerge.Optimizer(SPACE).optimize(objective, **options)
    with pytest.raises(TypeError, match="func"):
        dfmerge.Optimizer(SPACE).optimize(0.5)  # type: ignore[arg-type]


@pytest.mark.parametrize("jobs", [1, 3])
def test_ctrl_c_leaves_nothing_running(jobs: int) -> None:
    optimizer = dfmerge.Optimizer(SPACE, trials=30)

    def interrupted(trial: dfmerge.OptimizerTrial) -> float:
        if trial.number == 6:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.2)
        return score(trial.params)

    with pytest.raises(KeyboardInterrupt):
        optimizer.optimize(interrupted, n_jobs=jobs)
    states = [trial.state for trial in optimizer.trials]
    assert "running" not in states and states.count("complete") >= 6
    # Alone, the evaluation itself is broken off; beside others, it is awaited.
    assert states[6] == ("withdrawn" if jobs == 1 else "complete")
    optimizer.optimize(objective, n_jobs=jobs)
    assert optimizer.cost == 30


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_first_stage_ends_trials_that_are_not_worth_the_rest(jobs: int) -> None:
    optimizer = dfmerge.Optimizer(SPACE, trials=16, initial=6, subset_share=0.2)
    whole: list[int] = []

    def full(trial: dfmerge.OptimizerTrial) -> float:
        whole.append(trial.number)
        return score(trial.params)

    heard: list[str] = []
    optimizer.optimize(
        full, n_jobs=jobs, func_subset=lambda trial: score(trial.params) - 0.1,
        callbacks=[lambda _, trial: heard.append(trial.state)],
    )  # fmt: skip
    states = {trial.number: trial.state for trial in optimizer.trials}
    assert set(states.values()) == {"complete", "subset"} and sorted(heard) == sorted(
        states.values()
    )
    assert sorted(whole) == [n for n, state in states.items() if state == "complete"]
    assert optimizer.cost == pytest.approx(len(whole) + 0.2 * (len(states) - len(whole)))
    assert 16 <= optimizer.cost < 17


def test_the_two_stages_are_resumed_between_and_fail_alone(tmp_path: Path) -> None:
    options: dict[str, Any] = {"journal": tmp_path / "run.jsonl", "trials": 4, "subset_share": 0.5}
    with dfmerge.Optimizer(SPACE, **options) as optimizer:
        trial = optimizer.ask()
        assert optimizer.tell_subset(trial, 0.5)
    calls: list[int] = []

    def first(trial: dfmerge.OptimizerTrial) -> float | None:
        calls.append(trial.number)
        if trial.number == 2:
            raise MemoryError("too large")
        return None if trial.number == 1 else 0.1

    with dfmerge.Optimizer(SPACE, **options) as optimizer:
        optimizer.optimize(objective, func_subset=first, catch=[MemoryError], n_trials=4)
        assert calls == [1, 2, 3]
        states = [trial.state for trial in optimizer.trials]
        assert states == ["complete", "failed", "failed", "complete"]
        assert optimizer.running == []


def test_a_share_and_a_first_stage_go_together() -> None:
    with pytest.raises(ValueError, match=r"subset_share 0\.25, but func_subset is not given"):
        dfmerge.Optimizer(SPACE, subset_share=0.25).optimize(objective)
    with pytest.raises(ValueError, match="func_subset is given, but the optimizer has no subset_"):
        dfmerge.Optimizer(SPACE).optimize(objective, func_subset=objective)
    with pytest.raises(TypeError, match=r"func_subset is 0\.5"):
        dfmerge.Optimizer(SPACE).optimize(objective, func_subset=0.5)  # type: ignore[arg-type]


@pytest.mark.parametrize("catch", ["ValueError", 1, None, (ValueError, "x"), KeyboardInterrupt])
def test_a_wrong_catch_is_refused_before_any_trial(catch: Any) -> None:
    optimizer = dfmerge.Optimizer(SPACE)
    with pytest.raises(TypeError, match="no subclass of Exception"):
        optimizer.optimize(objective, catch=catch)
    assert optimizer.trials == []


STORM = """
import os, signal, threading, time
import dfmerge
optimizer = dfmerge.Optimizer(["a", "b"], trials=10_000, initial=10_000)
stop = threading.Event()

def storm():
    time.sleep(0.05)
    while not stop.is_set():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.0002)

thread = threading.Thread(target=storm, daemon=True)
outcome = "lost"
try:
    thread.start()
    try:
        optimizer.optimize(lambda trial: sum(trial.params.values()))
    except KeyboardInterrupt:
        outcome = "delivered"
    stop.set()
except KeyboardInterrupt:
    outcome = "delivered"
    stop.set()
signal.signal(signal.SIGINT, signal.SIG_IGN)
thread.join()
print(outcome, len(optimizer.running))
"""


def test_a_storm_of_interrupts_is_delivered() -> None:
    found = subprocess.run(
        [sys.executable, "-c", STORM], capture_output=True, text=True, timeout=60, check=False
    )
    assert found.stdout.strip() == "delivered 0", found.stderr
