"""Greedy soup, against the authors' loop (arXiv 2203.05482, main.py:142-185) in NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from search_problem import reproducible

import dfmerge

Arrays = dict[str, Any]


def models_of(seed: int, count: int, dtype: Any = np.float32) -> dict[str, Arrays]:
    """Models of odd shapes, a scalar and an empty tensor among them."""
    rng = np.random.default_rng(seed)
    shapes: dict[str, tuple[int, ...]] = {"w": (7, 5), "b": (3,), "s": (), "none": (0, 4)}
    return {
        f"m{index}": {
            name: np.asarray(rng.normal(size=shape)).astype(dtype) for name, shape in shapes.items()
        }
        for index in range(count)
    }


def flat(arrays: Arrays) -> Any:
    return np.concatenate([np.asarray(array, np.float64).ravel() for array in arrays.values()])


def authors(models: dict[str, Arrays], score: Callable[[Any], float | None]) -> Any:
    """The soup, its weights, and the models of every candidate; equal scores in their order."""
    points = {name: flat(arrays) for name, arrays in models.items()}
    alone = {name: score(point) for name, point in points.items()}
    names = [name for name in models if alone[name] is not None]
    order = [names[i] for i in np.argsort([-alone[n] for n in names], kind="stable")]
    soup, mean, best = [order[0]], points[order[0]], alone[order[0]]
    tried = [[name] for name in models]
    for name in order[1:]:
        k = len(soup)
        candidate = mean * (k / (k + 1)) + points[name] * (1 / (k + 1))
        tried.append([*soup, name])
        found = score(candidate)
        if found is not None and found > best:
            soup, mean, best = [*soup, name], candidate, found
    return soup, mean, tried, best


class Problem:
    """Scores by the distance from a goal, in steps that make ties."""

    def __init__(self, seed: int, count: int, steps: float = 0.0, dtype: Any = np.float32) -> None:
        self.models = models_of(seed, count, dtype)
        rng = np.random.default_rng(seed + 1000)
        shares = rng.random(count)
        points = [flat(arrays) for arrays in self.models.values()]
        self.goal = sum(s * p for s, p in zip(shares / shares.sum(), points, strict=True))
        self.steps = steps
        self.fails: Callable[[Any], bool] = lambda point: False
        self.target = {name: np.zeros_like(array) for name, array in self.models["m0"].items()}
        self.stop_at = -1
        self.seen: list[list[str]] = []

    def score(self, point: Any) -> float | None:
        if self.fails(point):
            return None
        value = -float(((point - self.goal) ** 2).mean())
        return round(value / self.steps) * self.steps if self.steps else value

    def evaluate(self, trial: dfmerge.Trial) -> float | None:
        if trial.number == self.stop_at:
            raise RuntimeError("stopped by the test")
        self.seen.append([name for name, weight in trial.coefficients.items() if weight > 0])
        weights = [weight for weight in trial.coefficients.values() if weight > 0]
        assert weights == [1 / len(weights)] * len(weights)
        return self.score(flat(self.target))

    def search(self, **options: Any) -> dfmerge.Search:
        options.setdefault("strategy", "greedy_soup")
        return dfmerge.Search(
            self.target, None, self.models, self.evaluate, progress=False, **options
        )


@pytest.mark.parametrize("steps", [0.0, 0.2, 0.5, 100.0])
@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_makes_the_authors_soup(count: int, steps: float) -> None:
    for seed in range(6):
        problem = Problem(seed, count, steps)
        result = problem.search().run()
        soup, mean, tried, best = authors(problem.models, problem.score)
        assert result.soup == soup and result.ended == "complete"
        assert problem.seen == [sorted(names) for names in tried]
        assert result.value == pytest.approx(best, rel=1e-5)
        np.testing.assert_allclose(flat(problem.target), mean, rtol=1e-6, atol=1e-6)
        # As a merge of these models, to the last bit.
        members = {name: problem.models[name] for name in problem.models if name in soup}
        merged = dfmerge.merge(None, members, "average")
        for name, array in merged.items():
            assert array.tobytes() == problem.target[name].tobytes()
        again = dfmerge.merge(None, problem.models, "average", options=result.options)
        np.testing.assert_array_equal(flat(again), flat(problem.target))
        assert result.decisions is not None
        assert [d["model"] for d in result.decisions if d["accepted"]] == soup


def test_equal_scores_leave_the_first_model() -> None:
    problem = Problem(3, 4, steps=1e9)
    result = problem.search().run()
    assert result.soup == ["m0"] and len(result.trials) == 7
    assert [d["accepted"] for d in result.decisions or []] == [True, False, False, False]
    assert result.coefficients == {"m0": 1, "m1": 0, "m2": 0, "m3": 0}


def test_failed_evaluations_are_not_accepted() -> None:
    rng = np.random.default_rng(0)
    for seed in range(8):
        problem = Problem(seed, 5)
        axis = rng.normal(size=problem.goal.shape)
        problem.fails = lambda point, axis=axis: bool(axis @ point > 1)  # type: ignore[misc]
        if all(problem.fails(flat(arrays)) for arrays in problem.models.values()):
            continue
        result = problem.search().run()
        soup, _, tried, _ = authors(problem.models, problem.score)
        assert result.soup == soup and problem.seen == [sorted(names) for names in tried]
        assert len(result.decisions or []) == 5


def test_no_score_at_all() -> None:
    problem = Problem(0, 3)
    problem.fails = lambda point: True
    with pytest.raises(dfmerge.NumericalError, match="None of the 3 trials has a score"):
        problem.search().run()


def test_a_model_that_is_not_finite_spoils_only_itself() -> None:
    problem = Problem(1, 3)
    problem.models["m1"]["w"][2, 3] = np.nan
    result = problem.search().run()
    assert result.soup is not None and "m1" not in result.soup and len(result.trials) == 4
    failed = next(d for d in result.decisions or [] if d["model"] == "m1")
    assert failed["alone"] is None and not failed["accepted"]
    (text,) = [text for text in result.warnings if "1 of 4 trials failed" in text]
    assert "leave out the model" in text and "non_finite" not in text


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_types(dtype: Any) -> None:
    problem = Problem(5, 4, dtype=dtype)
    result = problem.search().run()
    soup, mean, _, _ = authors(problem.models, problem.score)
    assert result.soup == soup
    tolerance = 1e-3 if dtype == np.float16 else 1e-15
    np.testing.assert_allclose(flat(problem.target), mean, rtol=tolerance, atol=tolerance)


def test_torch_and_bfloat16() -> None:
    torch = pytest.importorskip("torch")
    models = {
        name: {key: torch.tensor(array).bfloat16() for key, array in arrays.items()}
        for name, arrays in models_of(2, 3).items()
    }
    target = {key: torch.zeros_like(tensor) for key, tensor in models["m0"].items()}
    search = dfmerge.Search(
        target, None, models, lambda trial: sum(w > 0 for w in trial.coefficients.values()),
        strategy="greedy_soup", progress=False,
    )  # fmt: skip
    result = search.run()
    assert result.soup == ["m0", "m1", "m2"] and result.margin["average"]["difference"] == 0
    expected = sum(arrays["w"].double() for arrays in models.values()) / 3
    torch.testing.assert_close(target["w"], expected.bfloat16())


def test_goes_on_where_it_stopped(tmp_path: Path) -> None:
    whole = Problem(7, 4)
    expected = whole.search(journal=tmp_path / "whole.jsonl").run()
    lines = reproducible(str(tmp_path / "whole.jsonl"))
    for stop in range(len(expected.trials)):
        journal = tmp_path / f"{stop}.jsonl"
        first, second = Problem(7, 4), Problem(7, 4)
        first.stop_at = stop
        search = first.search(journal=journal)
        with pytest.raises(RuntimeError, match="stopped by the test"):
            search.run()
        assert (search.result is None) == (stop == 0)
        if search.result is not None:
            assert search.result.ended is None and search.result.soup
        result = second.search(journal=journal).run()
        assert first.seen + second.seen == whole.seen
        assert reproducible(str(journal)) == lines
        assert flat(second.target).tobytes() == flat(whole.target).tobytes()
        assert (result.soup, result.decisions) == (expected.soup, expected.decisions)
        # The same search may go on, too.
        first.stop_at = -1
        assert search.run().soup == expected.soup


def test_trials_time_and_target_are_limits(tmp_path: Path) -> None:
    whole = Problem(9, 4).search().run()
    short = Problem(9, 4).search(trials=5, journal=tmp_path / "a.jsonl").run()
    assert short.ended == "trials" and short.trials[4]["value"] == whole.trials[4]["value"]
    assert len(short.decisions or []) == 2
    longer = Problem(9, 4).search(journal=tmp_path / "a.jsonl").run()
    assert longer.ended == "complete" and longer.decisions == whole.decisions
    assert Problem(9, 4).search(trials=99).run().ended == "complete"
    highest = whole.trials[2]["value"]
    assert Problem(9, 4).search(target_score=highest).run().ended == "target"


def test_several_tasks_and_floors() -> None:
    models = {"a": {"w": np.float32([1, 0])}, "b": {"w": np.float32([0, 1])}}
    target = {"w": np.zeros(2, np.float32)}

    def evaluate(trial: dfmerge.Trial) -> dict[str, float]:
        x, y = map(float, target["w"])
        return {"x": x, "y": y + 0.1}

    def soup(**options: Any) -> dfmerge.Result:
        return dfmerge.Search(
            target, None, models, evaluate, strategy="greedy_soup", tasks=["x", "y"],
            progress=False, **options,
        ).run()  # fmt: skip

    # The mean is the same everywhere; the minimum is not.
    assert soup().soup == ["a"]
    result = soup(aggregate="minimum")
    assert result.soup == ["a", "b"] and result.scores == pytest.approx({"x": 0.5, "y": 0.6})
    assert result.pareto is not None
    weights = soup(aggregate="weighted", task_weights={"x": 1, "y": 2})
    assert weights.soup == ["b"]
    kept = soup(floors={"x": 0.4, "y": 0.4})
    assert kept.soup == ["a", "b"] and kept.feasible
    missed = soup(floors={"x": 0.9, "y": 0.9})
    assert not missed.feasible


def test_what_it_says(tmp_path: Path) -> None:
    problem = Problem(11, 3)
    result = problem.search().run()
    text = repr(result)
    assert text.startswith("Result(value ") and f"soup of {', '.join(result.soup or [])}" in text
    assert result.interval is None and result.importance == {}
    assert result.trials[0]["origin"] == "alone" and result.trials[0]["mean"] is None
    margin = result.margin["baseline"]
    assert margin["name"] == f"{(result.soup or [''])[0]} alone" and margin["interval"] is None
    assert margin["difference"] == pytest.approx(result.value - margin["value"])
    problem.target["w"][:] = 0
    result.apply()
    assert problem.score(flat(problem.target)) == result.value
    result.save(tmp_path / "soup.safetensors")
    assert (tmp_path / "soup.safetensors").exists()
    data = result.to_dict()
    assert data["method"] == "average" and data["options"]["trials"] == 5
    assert "acquisition" not in data["options"]


def test_a_soup_begins_another_search() -> None:
    problem = Problem(13, 3)
    soup = problem.search().run()
    result = problem.search(
        strategy="bayesian", fisher_mode="none", tasks=["score"], trials=1, enqueue=[soup],
        bounds=[0, 1],
    ).run()  # fmt: skip
    # The weights of the average are task arithmetic's coefficients.
    assert result.trials[0]["coefficients"] == soup.coefficients
    assert result.value == pytest.approx(soup.value, rel=1e-4)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"initial": 4}, dfmerge.ArgumentError, "'initial'.*strategy 'bayesian'"),
        ({"groups": "layers:2"}, dfmerge.ArgumentError, "'groups'"),
        ({"enqueue": [{"m0": 1, "m1": 1}]}, dfmerge.ArgumentError, "'enqueue'"),
        ({"method": "ties"}, dfmerge.ArgumentError, "'ties'.*averages models"),
        ({"space": {"weights": [0, 1]}}, dfmerge.ArgumentError, "'space'"),
        ({"strategy": "greedy"}, dfmerge.ArgumentError, "greedy_soup"),
        ({"fisher": lambda request: None}, TypeError, "takes no Fisher values"),
        (
            {"evaluate_subset": lambda trial: 1.0, "subset_share": 0.5},
            dfmerge.ArgumentError,
            "'subset_share'",
        ),
    ],
)
def test_refuses(options: dict[str, Any], error: type[Exception], says: str) -> None:
    options = {"fisher_mode": "none", **options} if "strategy" in options else options
    with pytest.raises(error, match=says):
        Problem(0, 2).search(**options)


def test_the_report_speaks_of_the_soup(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from report_pages import Page

    problem = Problem(11, 14)
    problem.models["m3"]["w"][:] = math.nan
    result = problem.search().run()
    result.report(tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text("utf-8"))
    for words in (
        "Greedy soup", "Chosen soup", "Decisions", "Score of the soup with it", "joined",
        "left out", "What the soup gains", "Weights by trial", "every model tried", "alone",
        "12 of 14 models, those of the soup first",
    ):  # fmt: skip
        assert words in page.text, words
    for words in ("acquisition", "exponent", "Importance", "learnt", "expected", "initial"):
        assert words not in page.text, words
    titles = [part.get_suptitle() for part in result.plot().subfigs]
    assert titles == ["Progress", "What the soup gains", "Weights by trial", "Scores by task"]
