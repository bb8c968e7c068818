"""Tasks, endings, starts, first stages and groups of the search, from Python."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from search_problem import GOAL, Problem, reproducible

import dfmerge


def test_a_first_stage_saves_whole_evaluations(tmp_path: Path) -> None:
    problem = Problem()
    options: dict[str, Any] = dict(fisher_mode="none", trials=14, initial=5, subset_share=0.2)
    journal = tmp_path / "run.jsonl"
    result = problem.search(journal=journal, **options).run()
    states = [trial["state"] for trial in result.trials]
    assert problem.subsets == list(range(len(states)))
    assert problem.evaluations == states.count("complete") < len(states)
    assert result.to_dict()["cost"] >= 14
    assert result.trials[states.index("subset")]["subset"].keys() == GOAL.keys()
    again = Problem()
    second = again.search(journal=journal, **options).run()
    assert again.evaluations == 0 and again.subsets == []
    assert second.coefficients == result.coefficients


def test_a_first_stage_needs_both_halves() -> None:
    problem = Problem()
    with pytest.raises(TypeError, match="belong together"):
        problem.search(subset_share=0.5, evaluate_subset=None)
    with pytest.raises(TypeError, match="belong together"):
        problem.search(evaluate_subset=problem.subset)


def test_answers_of_a_first_stage_are_explained() -> None:
    problem = Problem()
    search = problem.search(
        evaluate_subset=lambda trial: {"a": 1.0}, subset_share=0.5, fisher_mode="none"
    )
    with pytest.raises(ValueError, match="evaluate_subset returned scores for"):
        search.run()


def test_floors_and_the_front_of_the_tasks() -> None:
    problem = Problem()

    def evaluate(trial: dfmerge.Trial) -> dict[str, float]:
        c = trial.coefficients
        return {"gain": c["a"], "kept": 1 - c["a"] ** 2}

    result = dfmerge.Search(
        problem.target, problem.base, problem.models, evaluate, tasks=["gain", "kept"],
        floors={"kept": 0.8}, fisher_mode="none", trials=30, progress=False,
    ).run()  # fmt: skip
    # The mean is highest at a = 0.5; the floor holds up to a = sqrt(0.2).
    assert result.feasible and result.scores["kept"] >= 0.8
    assert result.coefficients["a"] == pytest.approx(0.2**0.5, abs=0.04)
    assert result.pareto is not None and result.best_number in result.pareto
    assert sum(result.importance.values()) == pytest.approx(1)


def test_a_target_ends_the_search() -> None:
    result = Problem().search(fisher_mode="none", target_score=0.9, trials=60).run()
    assert result.ended == "target" and len(result.trials) < 60 and result.value >= 0.9


def test_time_ends_the_search() -> None:
    result = Problem(pause=0.05).search(fisher_mode="none", max_seconds=0.12).run()
    assert result.ended == "time" and 1 <= len(result.trials) <= 3


def test_none_is_the_default() -> None:
    result = Problem().search(fisher_mode="none", trials=2, max_seconds=None, groups=None).run()
    assert result.ended == "trials" and len(result.trials) == 2


def test_candidates_are_evaluated_first() -> None:
    first = {"a": 0.25, "b": 0.5, "c": 0.75}
    old = Problem().search(fisher_mode="none", trials=12).run()
    result = Problem().search(fisher_mode="none", trials=3, enqueue=[first, old]).run()
    assert result.trials[0]["coefficients"] == first
    assert result.trials[1]["coefficients"] == old.coefficients
    with pytest.raises(TypeError, match="pass a list"):
        Problem().search(enqueue=first)


def test_another_search_teaches_this_one(tmp_path: Path) -> None:
    journal = tmp_path / "old.jsonl"
    old = Problem().search(fisher_mode="none", trials=25, journal=journal).run()
    found = []
    for source in (old, str(journal), journal):
        problem = Problem()
        own = tmp_path / f"{len(found)}.jsonl"
        search = problem.search(fisher_mode="none", trials=4, observations=source, journal=own)
        result = search.run()
        assert problem.evaluations == 4
        assert [trial["number"] for trial in result.trials] == [0, 1, 2, 3]
        assert result.to_dict()["observations"] == 25
        assert max(abs(result.coefficients[name] - GOAL[name]) for name in GOAL) < 0.05
        found.append((result.coefficients, reproducible(str(own))))
    assert found[0] == found[1] == found[2]


def test_observations_of_something_else_are_refused(tmp_path: Path) -> None:
    old = Problem().search(fisher_mode="none", trials=2).run()
    with pytest.raises(ValueError, match=r"none of \['x'\]"):
        Problem().search(fisher_mode="none", tasks=["x"], observations=old)
    path = tmp_path / "notes.txt"
    path.write_text("notes\n")
    with pytest.raises(ValueError, match="is no journal"):
        Problem().search(fisher_mode="none", observations=path)
    path.write_text("")
    with pytest.raises(ValueError, match="not the journal of a search"):
        Problem().search(fisher_mode="none", observations=path)
    with pytest.raises(TypeError, match="list of dicts"):
        Problem().search(fisher_mode="none", observations={})


def test_a_torn_journal_is_read_to_its_last_whole_line(tmp_path: Path) -> None:
    journal = tmp_path / "old.jsonl"
    Problem().search(fisher_mode="none", trials=3, journal=journal).run()
    lines = journal.read_bytes().split(b"\n")
    upto = next(i for i, line in enumerate(lines) if b'"number":1,' in line and b"result" in line)
    journal.write_bytes(b"\n".join(lines[: upto + 1]) + b'\n{"crc":"12')
    search = Problem().search(fisher_mode="none", trials=1, observations=journal)
    assert search.run().to_dict()["observations"] == 2


def test_groups_have_coefficients_of_their_own(tmp_path: Path) -> None:
    problem = Problem()
    seen = []

    def evaluate(trial: dfmerge.Trial) -> dict[str, float]:
        seen.append(trial.coefficients)
        for name in problem.target:
            group = "biases" if name == "b" else "rest"
            merged = problem.base[name].astype(np.float64)
            for model, own in trial.coefficients.items():
                merged = merged + own[group] * (
                    problem.models[model][name].astype(np.float64) - problem.base[name]
                )
            np.testing.assert_allclose(problem.target[name], merged, rtol=1e-5, atol=1e-6)
        return problem.evaluate(trial)

    journal = tmp_path / "run.jsonl"
    search = dfmerge.Search(
        problem.target, problem.base, problem.models, evaluate, groups={"biases": "b"},
        fisher_mode="none", trials=20, journal=journal, progress=False,
    )  # fmt: skip
    assert search.groups == ["biases", "rest"]
    result = search.run()
    assert list(result.coefficients["a"]) == ["biases", "rest"]
    assert result.coefficients in seen
    assert "[" in repr(result)
    left = {name: value.copy() for name, value in problem.target.items()}
    search.apply({"a": 0.1, "b": {"biases": 0.2, "rest": 0.3}, "c": 0.4}, exponent=0)
    result.apply()
    for name, value in left.items():
        np.testing.assert_array_equal(problem.target[name], value)
    with pytest.raises(ValueError, match="groups"):
        search.apply({"a": 0.1, "b": {"x": 0.2}, "c": 0.4})
    # What it found can be taken up by group, and from coefficients that all groups share.
    again = Problem()
    plain = Problem().search(fisher_mode="none", trials=5).run()
    for source, count in ((journal, 20), (result, 20), (plain, 5)):
        other = again.search(
            fisher_mode="none", trials=1, groups={"biases": "b"}, observations=source
        )
        assert other.run().to_dict()["observations"] == count


def test_a_dict_of_groups_keeps_its_order() -> None:
    search = Problem().search(groups={"z": "w", "a": ["*"]}, fisher_mode="none")
    assert search.groups == ["z", "a"]


def test_too_many_dimensions_are_warned_of() -> None:
    base = {f"layer.{i}.w": np.zeros(3, np.float32) for i in range(31)}
    models = {name: {key: value + 1 for key, value in base.items()} for name in ("a", "b")}

    def make(groups: str) -> None:
        dfmerge.Search(
            {key: value.copy() for key, value in base.items()}, base, models, lambda trial: 0.0,
            tasks=["score"], fisher_mode="none", groups=groups, progress=False,
        )  # fmt: skip

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make("layers:30")
    with pytest.warns(UserWarning, match="62 dimensions"):
        make("layers:31")


def test_the_report_of_a_real_search_with_everything(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    problem = Problem()
    result = problem.search(
        subset_share=0.3, trials=12, initial=5, singles=True,
        groups={"biases": "b"}, floors={"a": 0.5}, nodes=3,
        observations=[{"a": 0.5, "b": 0.5, "c": 0.5, "exponent": 0, "scores": [0.5, 0.5, 0.5]}],
    ).run()  # fmt: skip
    path = tmp_path / "report.html"
    result.report(path)
    text = path.read_text("utf-8")
    for words in ("Between the tasks", "Margin over", "Chosen coefficients by group", "Floor"):
        assert words in text
    json.dumps(result.to_dict(), allow_nan=False)
