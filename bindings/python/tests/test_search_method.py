"""A search of the options of any method, in place of DF-Merge's coefficients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dfmerge

DRAWS = np.random.default_rng(3)
BASE = {
    f"layers.{n}.weight": DRAWS.normal(size=(6, 5)).astype(np.float32) for n in range(4)
} | {"head": DRAWS.normal(size=11).astype(np.float32)}  # fmt: skip
MODELS = {
    name: {k: (v + DRAWS.normal(size=v.shape) * 0.2).astype(np.float32) for k, v in BASE.items()}
    for name in ("a", "b")
}


class Problem:
    """Scores a merge by its distance from the merge with the right options."""

    def __init__(self, method: str, options: dict[str, Any]) -> None:
        self.wanted = dfmerge.merge(BASE, MODELS, method, options=options)
        self.target = {name: np.zeros_like(value) for name, value in BASE.items()}
        self.seen: list[Any] = []

    def evaluate(self, trial: dfmerge.Trial) -> float:
        self.seen.append(trial.coefficients)
        away = sum(float(np.square(self.target[k] - v).sum()) for k, v in self.wanted.items())
        return -away

    def search(self, method: str, **options: Any) -> dfmerge.Search:
        return dfmerge.Search(
            self.target, BASE, MODELS, self.evaluate, tasks=["near"], progress=False,
            method=method, **options,
        )  # fmt: skip


def test_the_option_that_gives_the_wanted_merge_is_found() -> None:
    fixed = {"zero_sign": "positive", "density": 0.6}
    problem = Problem("ties", {**fixed, "lambda": 0.7})
    result = problem.search(
        "ties", space={"lambda": [0, 2]}, method_options=fixed, trials=20
    ).run()  # fmt: skip
    assert result.coefficients["lambda"] == pytest.approx(0.7, abs=0.02)
    assert result.options == {**fixed, "lambda": result.coefficients["lambda"]}
    merged = dfmerge.merge(BASE, MODELS, "ties", options=result.options)
    for name, value in merged.items():
        np.testing.assert_array_equal(problem.target[name], value)
    # The method as it is comes first, and is what the margin is over.
    assert problem.seen[0] == {"lambda": 1.0}
    assert result.margin["baseline"]["name"] == "TIES as it is"
    assert set(result.importance) == {"lambda"}


def test_options_by_model() -> None:
    problem = Problem("task_arithmetic", {"coefficients": {"a": 0.2, "b": 0.9}})
    search = problem.search("task_arithmetic", space={"coefficients": {"*": [0, 1]}}, trials=25)
    assert search.parameters == ["coefficients[a]", "coefficients[b]"]
    assert search.models == ["a", "b"]
    result = search.run()
    assert result.coefficients["coefficients[a]"] == pytest.approx(0.2, abs=0.05)
    assert result.coefficients["coefficients[b]"] == pytest.approx(0.9, abs=0.05)
    named = {name: result.coefficients[f"coefficients[{name}]"] for name in MODELS}
    assert result.options == {"coefficients": named}


def test_groups_have_values_of_their_own() -> None:
    setting = [{"filter": "head", "value": 0.9}, {"value": 0.2}]
    problem = Problem("task_arithmetic", {"coefficients": setting})
    result = problem.search(
        "task_arithmetic", space={"coefficients": [0, 1]}, groups={"head": "head"}, trials=25
    ).run()  # fmt: skip
    found = result.coefficients["coefficients"]
    assert isinstance(found, dict)
    assert found["head"] == pytest.approx(0.9, abs=0.05)
    assert found["rest"] == pytest.approx(0.2, abs=0.05)
    assert result.options is None


def test_whole_numbers_are_merged_with_whole() -> None:
    problem = Problem("dare", {"seed": 4})
    search = problem.search("dare", space={"seed": [0, 9]}, trials=40)
    result = search.run()
    assert result.value == 0 and result.options == {"seed": 4}


def test_a_journal_continues_and_its_trials_can_be_observed(tmp_path: Path) -> None:
    problem = Problem("ties", {"lambda": 0.7})
    journal = tmp_path / "run.jsonl"
    given: dict[str, Any] = {"space": {"lambda": [0, 2], "density": [0.1, 0.9]}}
    problem.search("ties", **given, trials=6, journal=journal).run()
    first = list(problem.seen)
    again = problem.search("ties", **given, trials=9, journal=journal).run()
    assert len(again.trials) == 9 and len(problem.seen) == 9
    whole = Problem("ties", {"lambda": 0.7})
    straight = whole.search("ties", **given, trials=9).run()
    assert [t["coefficients"] for t in again.trials] == [t["coefficients"] for t in straight.trials]
    assert first == whole.seen[:6]
    more = problem.search("ties", **given, trials=3, observations=journal)
    assert more.run().trials
    with pytest.raises(dfmerge.Error, match="space"):
        problem.search("ties", space={"lambda": [0, 2]}, trials=9, journal=journal).run()


def test_candidates_that_the_method_refuses_are_failed_trials(tmp_path: Path) -> None:
    problem = Problem("dppa", {})
    journal = tmp_path / "run.jsonl"
    space = {"sparsity8": [0.1, 0.9], "sparsity9": [0.1, 0.9]}
    result = problem.search("dppa", space=space, trials=8, journal=journal).run()
    states = [trial["state"] for trial in result.trials]
    assert set(states) == {"complete", "failed"} and len(states) == 8
    reasons = [trial["reason"] for trial in result.trials if trial["state"] == "failed"]
    assert all("sparsity" in reason for reason in reasons)
    again = problem.search("dppa", space=space, trials=10, journal=journal).run()
    assert len(again.trials) == 10


@pytest.mark.parametrize(
    ("method", "space"),
    [
        # Both weights 0; a density without room for epsilon.
        ("average", {"weights": {"*": [0, 1]}}),
        ("della", {"epsilon": [0, 0.4], "density": [0.1, 0.9]}),
    ],
)
def test_ranges_are_checked_each_by_itself(method: str, space: dict[str, Any]) -> None:
    result = Problem(method, {}).search(method, space=space, trials=5).run()
    assert "complete" in [trial["state"] for trial in result.trials]


def test_a_report_is_made(tmp_path: Path) -> None:
    problem = Problem("ties", {"lambda": 0.7})
    space = {"lambda": [0, 2], "density": {"a": [0.1, 0.9], "b": [0.2, 1]}}
    result = problem.search("ties", space=space, trials=10).run()
    result.report(tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert "density[a]" in text and "lambda" in text


def test_apply_writes_any_candidate() -> None:
    problem = Problem("ties", {"lambda": 0.7})
    problem.search("ties", space={"lambda": [0, 2]}).apply({"lambda": 0.7})
    for name, value in problem.wanted.items():
        np.testing.assert_array_equal(problem.target[name], value)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        # By what is merged, and by the figures that are found before it.
        ({"method": "task_arithmetic", "space": {"coefficients": [0, 1]}}, "intervals in space"),
        ({"method": "ties", "space": {"density": [0.1, 0.5]}}, "intervals in space"),
        ({"method": "pcb", "space": {"ratio": [0.1, 0.5]}}, "intervals in space"),
        ({"fisher_mode": "none"}, "bounds of the coefficients"),
    ],
)
def test_what_is_not_finite_has_a_remedy_of_the_search(options: Any, says: str) -> None:
    problem = Problem("task_arithmetic", {})
    broken = {**MODELS["a"], "head": np.full(11, np.nan, np.float32)}
    search = dfmerge.Search(
        problem.target, BASE, {"a": broken, "b": MODELS["b"]}, problem.evaluate, tasks=["near"],
        trials=1, progress=False, **options,
    )  # fmt: skip
    with pytest.raises(dfmerge.NumericalError, match=says) as refused:
        search.apply(dict.fromkeys(search.parameters, 0.4), 0)
    assert "non_finite" not in str(refused.value)


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("ties", {}, "space' of the search is empty"),
        ("ties", {"space": [1]}, "no object by option"),
        ("ties", {"space": {"lamda": [0, 1]}}, "its numeric options are: density, weights, lambda"),
        ("ties", {"space": {"aggregate": [0, 1]}}, "takes no number"),
        ("ties", {"space": {"lambda": [1, 1]}}, "no pair"),
        ("ties", {"space": {"lambda": {"a": [0, 1], "b": [0, 1]}}}, "takes one number"),
        ("ties", {"space": {"density": {"a": [0, 1]}}}, "for each of the models"),
        ("ties", {"space": {"density": [0, 2]}}, "density"),
        ("dare", {"space": {"seed": [0, 1e300]}}, "seed"),
        ("ties", {"space": {"lambda": [0, 1]}, "method_options": {"lambda": 1}}, "fixes"),
        ("ties", {"space": {"lambda": [0, 1]}, "bounds": [0, 1]}, "bounds"),
        ("ties", {"space": {"lambda": [0, 1]}, "fisher_mode": "static"}, "fisher"),
        ("fisher", {"space": {"weights": [0, 1]}}, "does not measure"),
        ("df_merge", {"space": {"coefficients": [0, 1]}, "fisher_mode": "none"}, "space"),
        ("tyes", {"space": {"lambda": [0, 1]}}, "method"),
    ],
)
def test_what_is_refused(method: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(dfmerge.Error) as refused:
        Problem("ties", {}).search(method, **options)
    assert message in str(refused.value)


def test_fisher_values_are_for_df_merge() -> None:
    problem = Problem("ties", {})
    with pytest.raises(TypeError, match="takes no Fisher values"):
        dfmerge.Search(
            problem.target, BASE, MODELS, problem.evaluate, lambda request: None, tasks=["near"],
            method="ties", space={"lambda": [0, 1]},
        )  # fmt: skip
