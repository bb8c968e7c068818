"""The journal of an optimizer: kills, resumes, several workers, forks, refusals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from optimizer_problem import SPACE, reproducible, score, work

import dfmerge

PROGRAM = Path(__file__).with_name("optimizer_problem.py")


def test_kill_9_at_random_moments_loses_nothing(tmp_path: Path, long: bool) -> None:
    """Each resumed run, its running trials included, ends with the uninterrupted run's journal."""
    whole = tmp_path / "whole.jsonl"
    subprocess.run([sys.executable, PROGRAM, whole], check=True)
    size = whole.stat().st_size
    rng = np.random.default_rng(0)
    for kill in range(20 if long else 4):
        journal = tmp_path / f"{kill}.jsonl"
        process = subprocess.Popen([sys.executable, PROGRAM, journal])
        stop_after = rng.integers(0, size)
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if journal.exists() and journal.stat().st_size > stop_after:
                break
            time.sleep(0.0005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        subprocess.run([sys.executable, PROGRAM, journal], check=True)
        assert reproducible(str(journal)) == reproducible(str(whole))


def test_a_closed_optimizer_is_continued_in_the_same_process(tmp_path: Path) -> None:
    journal = tmp_path / "run.jsonl"
    with dfmerge.Optimizer(SPACE, journal=journal, trials=9, initial=4) as first:
        work(first, 9)
        left = first.ask(2)
        before = first.trials
    with dfmerge.Optimizer(SPACE, journal=journal, trials=12, initial=4) as second:
        assert second.trials == before and not second.should_stop
        assert [trial.params for trial in second.running] == [trial.params for trial in left]
        done: list[int] = []
        second.optimize(lambda trial: done.append(trial.number) or score(trial.params))
        assert done == [left[0].number, left[1].number, 11]
        assert second.running == [] and second.should_stop == "trials"


def test_a_journal_in_use_is_refused(tmp_path: Path) -> None:
    journal = tmp_path / "run.jsonl"
    first = dfmerge.Optimizer(SPACE, journal=journal)
    with pytest.raises(dfmerge.InputOutputError, match="in use"):
        dfmerge.Optimizer(SPACE, journal=journal)
    first.close()
    dfmerge.Optimizer(SPACE, journal=journal).close()
    with pytest.raises(FileExistsError, match="resume=True"):
        dfmerge.Optimizer(SPACE, journal=journal, resume=False)


def test_other_parameters_or_options_are_refused(tmp_path: Path) -> None:
    journal = tmp_path / "run.jsonl"
    dfmerge.Optimizer(SPACE, journal=journal).close()
    with pytest.raises(dfmerge.FormatError, match="option 'seed' is 0, here it is 7"):
        dfmerge.Optimizer(SPACE, journal=journal, seed=7)
    with pytest.raises(dfmerge.FormatError, match="option 'parameters'"):
        dfmerge.Optimizer({**SPACE, "y": (0, 2)}, journal=journal)
    dfmerge.Optimizer(SPACE, journal=journal, trials=9, lease_seconds=3, target=0.5).close()


def test_a_torn_tail_is_cut_off_with_a_warning(tmp_path: Path) -> None:
    journal = tmp_path / "run.jsonl"
    with dfmerge.Optimizer(SPACE, journal=journal) as first:
        params = first.ask().params
        first.tell(0, 0.5)
    journal.write_bytes(journal.read_bytes() + b'{"crc":"00000000","ev')
    with dfmerge.Optimizer(SPACE, journal=journal) as second:
        assert "torn" in second.warnings[0]
        assert second.trials[0].params == params and second.trials[0].value == 0.5


def test_a_forked_child_is_refused_and_its_parent_goes_on(tmp_path: Path) -> None:
    for journal in (None, tmp_path / "run.jsonl"):
        optimizer = dfmerge.Optimizer(SPACE, journal=journal)
        trial = optimizer.ask()
        child = os.fork()
        if child == 0:
            try:
                optimizer.tell(trial, 1.0)
            except dfmerge.ArgumentError as error:
                os._exit(17 if "forked" in str(error) else 1)
            os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 17
        optimizer.tell(trial, 0.5)
        assert optimizer.best_value == 0.5
        optimizer.close()


FULL = """
import resource, signal, sys
import dfmerge
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
made = dfmerge.Optimizer(["a"], journal=sys.argv[1])
made.ask(2)
import os
size = os.path.getsize(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, -1))
for attempt in range(2):
    try:
        made.tell(0, 0.5)
    except dfmerge.Error as error:
        print(type(error).__name__, "journal" in str(error))
resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
made.close()
again = dfmerge.Optimizer(["a"], journal=sys.argv[1])
again.tell(0, 0.5)
print(again.best_value, [trial.number for trial in again.running])
"""


def test_a_full_disk_stops_it_and_the_journal_goes_on(tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-c", FULL, tmp_path / "run.jsonl"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert found.stdout.splitlines() == ["InputOutputError True", "ArgumentError True", "0.5 [1]"]
