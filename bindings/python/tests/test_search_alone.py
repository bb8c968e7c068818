"""One run at a time over a search and over memory; and stopping one from elsewhere."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from search_problem import Problem

import dfmerge
from dfmerge._ffi import DFM_ERROR_INVALID_STATE


def searching(problem: Problem, evaluate: Any, **options: Any) -> dfmerge.Search:
    return dfmerge.Search(
        problem.target, problem.base, problem.models, evaluate, fisher_mode="none",
        progress=False, **options,
    )  # fmt: skip


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("elsewhere", [True, False])
def test_a_running_search_refuses_to_run_and_to_write(
    kept: bool, elsewhere: bool, tmp_path: Path
) -> None:
    problem, errors = Problem(), []

    def attempt() -> None:
        other = dfmerge.Search(
            {"part": problem.target["w"][3:]}, {"part": problem.base["w"][3:]},
            {"a": {"part": problem.base["w"][3:]}}, lambda trial: 1.0, fisher_mode="none",
            trials=2, progress=False,
        )  # fmt: skip
        calls = [
            search.run,
            lambda: search.apply(dict.fromkeys("abc", 0.5)),
            other.run,
            lambda: other.apply({"a": 0.5}),
            lambda: dfmerge.merge(
                None, [problem.base, problem.base], "average", out=problem.target
            ),
        ]
        for call in calls:
            with pytest.raises(dfmerge.ArgumentError) as caught:
                call()
            errors.append(caught.value)

    def evaluate(trial: dfmerge.Trial) -> dict[str, float]:
        if trial.number == 1:
            before = problem.target["w"].copy()
            if elsewhere:
                thread = threading.Thread(target=attempt)
                thread.start()
                thread.join()
            else:
                attempt()
            np.testing.assert_array_equal(problem.target["w"], before)
        return problem.evaluate(trial)

    search = searching(
        problem, evaluate, trials=6, journal=tmp_path / "run.jsonl" if kept else None
    )
    result = search.run()
    assert len(errors) == 5 and len(result.trials) == 6
    assert all(error.code == DFM_ERROR_INVALID_STATE for error in errors)
    assert "search is running" in str(errors[0]) and "of its own" in str(errors[2])
    # Afterwards the memory is free.
    dfmerge.merge(None, [problem.base, problem.base], "average", out=problem.target)
    result.apply()


@pytest.mark.parametrize("elsewhere", [True, False])
def test_a_stopped_run_returns_the_best_so_far_and_goes_on(
    elsewhere: bool, tmp_path: Path
) -> None:
    problem = Problem()

    def evaluate(trial: dfmerge.Trial) -> dict[str, float]:
        if trial.number == 4 and problem.evaluations == 4:
            if elsewhere:
                thread = threading.Thread(target=search.stop)
                thread.start()
                thread.join()
            else:
                search.stop()
        return problem.evaluate(trial)

    search = searching(problem, evaluate, trials=8, journal=tmp_path / "run.jsonl")
    result = search.run()
    assert len(result.trials) == 5 and result.ended is None
    left = problem.target["w"].copy()
    result.apply()
    np.testing.assert_array_equal(problem.target["w"], left)
    whole = searching(other := Problem(), other.evaluate, trials=8).run()
    assert [t["coefficients"] for t in search.run().trials] == [
        t["coefficients"] for t in whole.trials
    ]
