"""The journal of a search: kills, resumes, threads, refusals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from search_problem import Problem, reproducible

import dfmerge

PROGRAM = Path(__file__).with_name("search_problem.py")


def run_program(journal: Path, out: Path, pause: float = 0.0, options: str = "{}") -> None:
    subprocess.run(
        [sys.executable, PROGRAM, str(journal), str(out), str(pause), options], check=True
    )


def test_threads_change_neither_journal_nor_bytes(tmp_path: Path) -> None:
    for threads in (1, 2):
        options = f'{{"trials": 20, "threads": {threads}}}'
        run_program(tmp_path / f"{threads}.jsonl", tmp_path / f"{threads}.safetensors", 0, options)
    assert reproducible(str(tmp_path / "1.jsonl")) == reproducible(str(tmp_path / "2.jsonl"))
    one = (tmp_path / "1.safetensors").read_bytes()
    assert one == (tmp_path / "2.safetensors").read_bytes()


#: Options that leave something of their own in the journal.
SEARCHES = [
    {"trials": 25, "fisher_mode": "interpolated", "nodes": 3},
    {
        "trials": 14,
        "nodes": 3,
        "subset_share": 0.3,
        "groups": {"biases": "b"},
        "singles": True,
        "enqueue": [{"a": 0.2, "b": 0.4, "c": 0.6, "exponent": 0.5}],
        "observations": [{"a": 0.6, "b": 0.2, "c": 0.4, "exponent": 0, "scores": [0.9] * 3}],
        "floors": {"a": 0.5},
        "stop_improvement": 1e-6,
    },
]


@pytest.mark.parametrize("search", SEARCHES, ids=["plain", "everything"])
def test_kill_9_at_random_moments_loses_nothing(
    tmp_path: Path, long: bool, search: dict[str, Any]
) -> None:
    """Each resumed run ends with the trials and the bytes of the uninterrupted one."""
    options = json.dumps(search)
    whole, whole_out = tmp_path / "whole.jsonl", tmp_path / "whole.safetensors"
    run_program(whole, whole_out, 0.01, options)
    rng = np.random.default_rng(0)
    for kill in range(20 if long else 4):
        journal, out = tmp_path / f"{kill}.jsonl", tmp_path / f"{kill}.safetensors"
        process = subprocess.Popen(
            [sys.executable, PROGRAM, str(journal), str(out), "0.01", options]
        )
        # Anywhere from before the first line to after the last trial.
        deadline = time.monotonic() + 60
        stop_after = rng.integers(0, 12_000)
        while process.poll() is None and time.monotonic() < deadline:
            if journal.exists() and journal.stat().st_size > stop_after:
                time.sleep(float(rng.random()) * 0.02)
                break
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait()
        run_program(journal, out, 0.01, options)
        lines = reproducible(str(journal))
        # A kill after the end leaves the last line twice.
        assert lines[: len(reproducible(str(whole)))] == reproducible(str(whole))
        assert out.read_bytes() == whole_out.read_bytes()


def test_a_worker_that_outlives_a_killed_search_does_not_hold_its_journal(tmp_path: Path) -> None:
    journal = str(tmp_path / "run.jsonl")
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(write)
        problem = Problem()

        def evaluate(trial: dfmerge.Trial) -> Any:
            if trial.number == 2:
                if os.fork() == 0:
                    os.read(read, 1)  # lives until the test closes the pipe
                    os._exit(0)
                os.kill(os.getpid(), signal.SIGKILL)
            return problem.evaluate(trial)

        dfmerge.Search(
            problem.target, problem.base, problem.models, evaluate, fisher_mode="none", trials=5,
            initial=2, journal=journal, progress=False,
        ).run()  # fmt: skip
        os._exit(1)
    os.close(read)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    options = {"fisher_mode": "none", "trials": 5, "initial": 2}
    try:
        resumed = Problem().search(journal=journal, **options).run()
    finally:
        os.close(write)
    assert len(resumed.trials) == 5
    assert resumed.coefficients == Problem().search(**options).run().coefficients


def test_a_forked_child_leaves_its_parents_journal_alone(tmp_path: Path) -> None:
    problem = Problem()
    journal = str(tmp_path / "run.jsonl")
    parent = os.getpid()
    answers: list[int] = []

    def evaluate(trial: dfmerge.Trial) -> Any:
        if trial.number == 1:
            child = os.fork()
            if child:
                answers.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        return problem.evaluate(trial)

    search = dfmerge.Search(
        problem.target, problem.base, problem.models, evaluate, fisher_mode="none", trials=4,
        initial=2, journal=journal, progress=False,
    )  # fmt: skip
    try:
        search.run()
    except dfmerge.ArgumentError as error:
        os._exit(17 if "forked" in str(error) and os.getpid() != parent else 1)
    assert os.getpid() == parent or os._exit(2) is None
    assert answers == [17]
    plain = tmp_path / "plain.jsonl"
    Problem().search(journal=str(plain), fisher_mode="none", trials=4, initial=2).run()
    assert reproducible(journal) == reproducible(str(plain))


def test_an_existing_journal_is_refused_without_resume(tmp_path: Path) -> None:
    journal = tmp_path / "run.jsonl"
    Problem().search(trials=3, journal=journal).run()
    with pytest.raises(FileExistsError, match="resume=True"):
        Problem().search(trials=3, journal=journal, resume=False).run()


def test_a_finished_journal_is_not_evaluated_again(tmp_path: Path) -> None:
    journal = tmp_path / "run.jsonl"
    first = Problem().search(trials=8, journal=journal).run()
    problem = Problem()
    second = problem.search(trials=8, journal=journal).run()
    assert problem.evaluations == 0 and second.coefficients == first.coefficients


def test_another_seed_is_refused(tmp_path: Path) -> None:
    journal = tmp_path / "run.jsonl"
    Problem().search(trials=3, journal=journal).run()
    with pytest.raises(dfmerge.FormatError, match="option 'seed' is 0, here it is 7"):
        Problem().search(trials=3, journal=journal, seed=7).run()
