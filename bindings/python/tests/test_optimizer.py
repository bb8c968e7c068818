"""dfmerge.Optimizer: ask and tell, results, refusals."""

from __future__ import annotations

import copy
import doctest
import math
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optimizer_problem import GOAL, SPACE, score

import dfmerge
from dfmerge import _optimizer


def told(trials: int, **options: Any) -> dfmerge.Optimizer:
    """An optimizer after so many trials of the problem."""
    optimizer = dfmerge.Optimizer(SPACE, **options)
    for _ in range(trials):
        trial = optimizer.ask()
        optimizer.tell(trial, score(trial.params))
    return optimizer


def test_the_examples_in_the_docstrings_run() -> None:
    names = {"Optimizer": dfmerge.Optimizer}
    assert doctest.testmod(_optimizer, extraglobs=names).failed == 0


def test_a_loop_finds_the_best_point() -> None:
    optimizer = dfmerge.Optimizer(SPACE, trials=40)
    while not optimizer.should_stop:
        trial = optimizer.ask()
        x = trial.suggest_float("x", -1, 2)
        assert x == trial.params["x"] and -1 <= x <= 2
        optimizer.tell(trial, score(trial.params))
    assert optimizer.should_stop == "trials" and optimizer.cost == 40
    assert optimizer.best_value > 0.999
    assert list(optimizer.best_params) == list(SPACE)
    assert all(abs(optimizer.best_params[n] - GOAL[n]) < 0.1 for n in SPACE)
    best = optimizer.best_trial
    assert best.interval is not None and best.interval[0] <= best.interval[1]
    mean, sd = optimizer.predict(GOAL)
    assert abs(mean - 1) < 0.01 and 0 <= sd < 0.05
    assert optimizer.predict([GOAL, best.params])[0] == (mean, sd)
    shares = optimizer.importance()
    assert list(shares) == list(SPACE) and math.isclose(sum(shares.values()), 1)
    assert optimizer.improvement_left is not None and optimizer.improvement_left < 0.01
    curves = optimizer.slices()
    assert [curve["name"] for curve in curves] == list(SPACE)
    assert curves[2]["at"][0] == 2 and curves[2]["at"][-1] == 6


def test_names_alone_mean_the_unit_interval() -> None:
    optimizer = dfmerge.Optimizer(["a", "b"], seed=3)
    trials = optimizer.ask(20)
    assert all(0 <= v <= 1 for trial in trials for v in trial.params.values())
    assert len({tuple(trial.params.values()) for trial in trials}) == 20


def test_equal_options_and_scores_give_equal_points_in_any_order_of_telling() -> None:
    first, second = told(12, seed=4), dfmerge.Optimizer(SPACE, seed=4)
    one = told(0, seed=4)
    batch = one.ask(10)
    again = second.ask(10)
    assert [t.params for t in batch] == [t.params for t in again]
    for trial in batch:
        one.tell(trial, score(trial.params))
    for trial in reversed(again):
        second.tell(trial, score(trial.params))
    assert one.ask().params == second.ask().params
    assert first.ask().params == told(12, seed=4).ask().params
    assert first.ask().params != told(12, seed=5).ask().params


@pytest.mark.parametrize(
    "values",
    [0.5, np.float32(0.5), np.array(0.5), (0.5, 0.01), (np.float64(0.5), None), [0.5],
     {"score": 0.5}, {"score": (0.5, np.float32(0.25))}],
)  # fmt: skip
def test_scores_are_taken_in_many_forms(values: Any) -> None:
    optimizer = dfmerge.Optimizer(["a"])
    optimizer.tell(optimizer.ask(), values)
    (trial,) = optimizer.trials
    assert trial.state == "complete" and trial.value == 0.5 and trial.scores == {"score": 0.5}


def test_numpy_numbers_are_taken_everywhere() -> None:
    optimizer = dfmerge.Optimizer({"a": (np.float32(0), np.int64(2))}, trials=np.int64(3))
    optimizer.enqueue_trial({"a": np.float64(1.5)})
    (trial,) = optimizer.ask(np.int64(1))
    assert trial.params == {"a": 1.5}
    optimizer.tell(np.int64(trial.number), np.float32(1))
    assert optimizer.add_trial({"a": np.int32(1)}, np.float32(0.25)) == 1


@pytest.mark.parametrize("values", [None, math.nan, math.inf, (None, None), {"score": None}])
def test_a_missing_score_is_a_failed_trial(values: Any) -> None:
    optimizer = dfmerge.Optimizer(["a"])
    optimizer.tell(optimizer.ask(), values)
    optimizer.tell(optimizer.ask(), state="fail", reason="no memory")
    assert [trial.state for trial in optimizer.trials] == ["failed", "failed"]
    assert optimizer.trials[1].reason == "no memory"
    with pytest.raises(ValueError, match="no trial has a score"):
        _ = optimizer.best_value
    assert optimizer.importance() == {} and optimizer.slices() == []
    assert optimizer.improvement_left is None


def test_tasks_are_told_by_name_or_in_order() -> None:
    optimizer = dfmerge.Optimizer(
        SPACE, tasks=["a", "b"], aggregate="minimum", floors={"a": 0.2}, best_by="observed"
    )
    optimizer.tell(optimizer.ask(), {"b": 0.9, "a": (0.1, 0.01)})
    optimizer.tell(optimizer.ask(), [0.3, (0.4, None)])
    optimizer.tell(optimizer.ask(), np.array([0.5, 0.2]))
    assert [trial.value for trial in optimizer.trials] == [0.1, 0.3, 0.2]
    assert optimizer.trials[0].variances == {"a": 0.01}
    assert optimizer.best_trial.number == 1 and optimizer.best_trial.scores == {"a": 0.3, "b": 0.4}
    assert [trial.number for trial in optimizer.best_trials] == [0, 1, 2]
    for wrong in (0.5, {"a": 1}, [1], "ab", (0.5, 0.01), (0.5, 0.4), [1, 2, 3]):
        with pytest.raises((TypeError, ValueError), match="tasks"):
            optimizer.tell(optimizer.ask(), wrong)


@pytest.mark.parametrize("values", [[1, 2], [0.5, 0.01], np.array([0.5, 0.01]), []])
def test_a_list_has_an_entry_for_each_task(values: Any) -> None:
    optimizer = dfmerge.Optimizer(["a"])
    trial = optimizer.ask()
    with pytest.raises(TypeError, match="one task, 'score'; give one score, or the tuple"):
        optimizer.tell(trial, values)
    optimizer.tell(trial, [(0.5, 0.01)])
    assert optimizer.trials[0].variances == {"score": 0.01}


def test_first_stages_save_evaluations() -> None:
    optimizer = dfmerge.Optimizer(SPACE, subset_share=0.2, initial=5, trials=12)
    answers = []
    while not optimizer.should_stop:
        trial = optimizer.ask()
        answers.append(optimizer.tell_subset(trial, score(trial.params) - 0.1))
        if answers[-1]:
            optimizer.tell(trial, score(trial.params))
    assert all(answers[:5])
    settled = [trial for trial in optimizer.trials if trial.state == "subset"]
    assert len(settled) == answers.count(False) and settled[0].subset and not settled[0].scores
    assert math.isclose(optimizer.cost, answers.count(True) + 0.2 * answers.count(False))
    trial = optimizer.ask()
    assert not optimizer.tell_subset(trial, None)
    assert optimizer.trials[trial.number].state == "failed"
    with pytest.raises(dfmerge.ArgumentError, match="subset_share"):
        one_stage = told(0)
        one_stage.tell_subset(one_stage.ask(), 1)


def test_queued_points_come_first_and_added_trials_count() -> None:
    optimizer = dfmerge.Optimizer(SPACE)
    optimizer.enqueue_trial({"z": 5, "x": -0.3, "y": 0.1})
    optimizer.enqueue_trial(GOAL)
    assert [list(t.params.values()) for t in optimizer.ask(2)] == [[-0.3, 0.1, 5], [0.4, 0.7, 3]]
    assert optimizer.add_trial(GOAL, (1.0, 0.1)) == 2
    assert optimizer.best_params == GOAL and optimizer.cost == 0
    assert optimizer.trials[2].origin == "observation"
    assert optimizer.trials[0].origin == "informed"


def test_withdrawn_trials_may_still_be_told() -> None:
    optimizer = dfmerge.Optimizer(SPACE)
    trial = optimizer.ask()
    optimizer.withdraw(trial)
    assert optimizer.running == [] and optimizer.trials[0].state == "withdrawn"
    assert optimizer.ask().params == trial.params
    optimizer.tell(trial, 0.5)
    assert optimizer.trials[0].value == 0.5


def test_a_lease_runs_out() -> None:
    optimizer = dfmerge.Optimizer(SPACE, lease_seconds=1e-9)
    first = optimizer.ask()
    assert optimizer.ask().params == first.params
    assert optimizer.trials[0].state == "withdrawn"


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: dfmerge.Optimizer({}), ValueError, "empty"),
        (lambda: dfmerge.Optimizer("ab"), TypeError, "list of names"),
        (lambda: dfmerge.Optimizer({"a": 1}), TypeError, r"\(low, high\)"),
        (lambda: dfmerge.Optimizer({"a": (1, 1)}), ValueError, "'a'"),
        (lambda: dfmerge.Optimizer({"a": (0, math.inf)}), ValueError, "finite"),
        (lambda: dfmerge.Optimizer(["a", "a"]), ValueError, "twice"),
        (lambda: dfmerge.Optimizer([1]), TypeError, "names are texts"),
        (lambda: dfmerge.Optimizer(["a"], tasks="b"), TypeError, "tasks"),
        (lambda: dfmerge.Optimizer(["a"], colour=1), dfmerge.ArgumentError, "'colour'"),
        (lambda: dfmerge.Optimizer(["a"], trials=0), dfmerge.ArgumentError, "'trials'"),
        (lambda: dfmerge.Optimizer(["a"], target=math.nan), ValueError, "target"),
        (lambda: dfmerge.Optimizer(["a"]).ask(0), dfmerge.ArgumentError, "1 to 10000"),
        (lambda: dfmerge.Optimizer(["a"]).ask(2**70), ValueError, "64 bits"),
        (lambda: dfmerge.Optimizer(["a"]).ask(1.5), TypeError, "whole number"),
        (lambda: dfmerge.Optimizer(["a"]).tell(0, 1), dfmerge.ArgumentError, "no trial 0"),
        (lambda: told(1).tell(0, 1), dfmerge.ArgumentError, "told already"),
        (lambda: told(1).tell(told(1).ask(), "1"), TypeError, "'1'"),
        (lambda: told(1).tell(told(1).ask(), (1, 2, 3)), TypeError, "pair"),
        (lambda: told(1).tell(1, 1, state="pruned"), ValueError, "'pruned'"),
        (lambda: told(1).tell(1, 1, state="fail"), ValueError, "as failed but"),
        (lambda: told(1).tell(1, state="complete"), ValueError, "without a score"),
        (lambda: told(1).enqueue_trial({"x": 0}), ValueError, "parameters are"),
        (lambda: told(1).enqueue_trial({**GOAL, "y": 2}), dfmerge.ArgumentError, "y = 2"),
        (lambda: told(1).add_trial(GOAL, None), ValueError, "no score"),
        (lambda: told(1).add_trial(GOAL, math.nan), dfmerge.Error, "not|nan"),
        (lambda: told(1).predict({**GOAL, "x": 9}), dfmerge.ArgumentError, "x = 9"),
        (lambda: told(0).predict(GOAL), dfmerge.ArgumentError, "told yet"),
        (lambda: told(1).ask().suggest_float("w", 0, 1), ValueError, "'w'"),
        (lambda: told(1).ask().suggest_float("x", 0, 1), ValueError, "low of 'x'"),
    ],
)  # fmt: skip
def test_wrong_calls_name_what_is_wrong(call: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        call()


def test_it_is_neither_pickled_nor_copied() -> None:
    optimizer = told(1)
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="belongs to its process"):
            attempt(optimizer)
    trial = pickle.loads(pickle.dumps(optimizer.ask()))
    optimizer.tell(trial, 0.3)
    assert optimizer.trials[1].value == 0.3


def test_a_closed_one_says_so() -> None:
    with told(1) as optimizer:
        assert "1 trials, 0 running" in repr(optimizer)
    assert "closed" in repr(optimizer)
    with pytest.raises(ValueError, match="closed"):
        optimizer.ask()
    optimizer.close()


def test_report_and_plot_show_it(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    optimizer = told(12, initial=5)
    optimizer.tell(optimizer.ask(), None)
    optimizer.add_trial(GOAL, 0.5)
    optimizer.ask()
    optimizer.report(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "Trials" in page and "<td>z</td>" in page
    for words in ("<h1>Optimisation</h1>", "Chosen parameters", "Parameters by trial", ">Value<"):
        assert words in page
    text = re.sub(r"<style>.*?</style>|<[^>]*>", " ", page, flags=re.S).lower()
    for words in ("merging", "chosen merge", "coefficient", "fisher", "the search"):
        assert words not in text, words
    assert optimizer.plot().get_size_inches()[0] > 0
    dfmerge.Optimizer(["a"]).report(tmp_path / "empty.html")


def test_options_are_listed_with_defaults() -> None:
    names = {option["name"] for option in dfmerge.optimizer_options()}
    assert {"parameters", "trials", "lease_seconds", "subset_share", "stop_improvement"} <= names
