"""The search from Python: answers, failures, journals, interrupts."""

from __future__ import annotations

import gc
import math
import os
import threading
import traceback
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import torch
from search_problem import GOAL, Problem

import dfmerge


@pytest.mark.parametrize("mode", ["none", "static", "dynamic", "interpolated"])
def test_every_fisher_mode_runs_and_improves(mode: str) -> None:
    problem = Problem()
    result = problem.search(fisher_mode=mode, trials=40, seed=3).run()
    assert result.value > 0.99 and len(result.trials) == 40
    if mode == "none":
        assert all(abs(result.coefficients[name] - GOAL[name]) < 0.05 for name in GOAL)
        assert result.exponent == 0


def test_the_best_candidate_stands_in_the_target(tmp_path: Path) -> None:
    problem = Problem()
    result = problem.search(trials=12).run()
    left = {name: value.copy() for name, value in problem.target.items()}
    for value in problem.target.values():
        value[...] = 0
    result.apply()
    for name, value in left.items():
        np.testing.assert_array_equal(problem.target[name], value)
    result.save(tmp_path / "merged")
    saved = dfmerge.load(tmp_path / "merged")
    np.testing.assert_array_equal(saved["w"], left["w"])


def test_paper_preset_merges_by_the_papers_formula() -> None:
    """The weights that stand in the target, against float64 NumPy with the measured Fishers."""
    problem = Problem()
    seen: list[tuple[dict[str, Any], dict[str, float]]] = []
    measured: dict[str, dict[str, np.ndarray[Any, Any]]] = {}

    def fisher(request: dfmerge.FisherRequest) -> None:
        for name in request.names:
            tau = problem.models[request.model][name] - problem.base[name].astype(np.float64)
            scaled = problem.base[name] + request.coefficient * tau
            # The Fisher is asked for at the scaled model, and the target holds it.
            np.testing.assert_allclose(problem.target[name], scaled, rtol=1e-6, atol=1e-7)
        problem.fisher(request)
        measured[request.model] = {n: v.astype(np.float64) for n, v in request.buffers.items()}

    def evaluate(trial: dfmerge.Trial) -> dict[str, float]:
        merged = {}
        for name, theta0 in problem.base.items():
            top, bottom = 0.0, 0.0
            for model, c in trial.coefficients.items():
                weight = measured[model][name] + 1e-12
                top = top + weight * c * (problem.models[model][name] - theta0.astype(np.float64))
                bottom = bottom + weight
            merged[name] = theta0 + 3 * top / bottom
            np.testing.assert_allclose(problem.target[name], merged[name], rtol=1e-6, atol=1e-7)
        seen.append((merged, trial.coefficients))
        return problem.evaluate(trial)

    search = dfmerge.Search(
        problem.target,
        problem.base,
        problem.models,
        evaluate,
        fisher,
        preset="paper",
        trials=12,
        progress=False,
    )
    result = search.run()
    assert len(seen) == 12 and result.exponent == 1
    # The first ten points are numpy's legacy generator's, as in the authors' optimiser.
    first = np.random.RandomState(0).uniform(size=(10, 3))
    for (_, coefficients), point in zip(seen, first, strict=False):
        np.testing.assert_array_equal(list(coefficients.values()), point)


def test_accumulate_squares_one_sample_at_a_time() -> None:
    problem = Problem()
    rng = np.random.default_rng(1)
    gradients = rng.normal(size=(5, 60, 50)).astype(np.float32)

    def fisher(request: dfmerge.FisherRequest) -> None:
        for gradient in gradients:
            request.accumulate("w", gradient, 0.2)
            request.accumulate("b", np.ones(11, np.float16), 0.2)
        expected = (gradients.astype(np.float64) ** 2).mean(0)
        np.testing.assert_allclose(request.buffers["w"], expected, rtol=1e-6)
        np.testing.assert_allclose(request.buffers["b"], 1, rtol=1e-6)
        with pytest.raises(dfmerge.ArgumentError, match="3 elements"):
            request.accumulate("b", np.ones(3, np.float32))
        with pytest.raises(dfmerge.ArgumentError, match="'x'"):
            request.accumulate("x", np.ones(3, np.float32))
        with pytest.raises(dfmerge.NumericalError, match="weight"):
            request.accumulate("b", np.ones(11, np.float32), -1.0)

    search = dfmerge.Search(
        problem.target, problem.base, problem.models, problem.evaluate, fisher,
        exponent=1, fisher_mode="static", trials=2, initial=1, progress=False,
    )  # fmt: skip
    search.run()


def test_failed_and_nan_evaluations_are_data() -> None:
    problem = Problem()

    def evaluate(trial: dfmerge.Trial) -> Any:
        if trial.number % 4 == 1:
            return None
        if trial.number % 4 == 2:
            return dict.fromkeys(GOAL, math.nan)
        return problem.evaluate(trial)

    result = dfmerge.Search(
        problem.target, problem.base, problem.models, evaluate, fisher_mode="none", trials=16,
        progress=False,
    ).run()  # fmt: skip
    states = [trial["state"] for trial in result.trials]
    assert states == ["complete", "failed", "failed", "complete"] * 4
    assert all(trial["reason"] for trial in result.trials if trial["state"] == "failed")


def test_variances_travel_with_the_scores() -> None:
    problem = Problem()

    def evaluate(trial: dfmerge.Trial) -> Any:
        return {task: (score, 0.03) for task, score in problem.evaluate(trial).items()}

    result = dfmerge.Search(
        problem.target, problem.base, problem.models, evaluate, fisher_mode="none", trials=3,
        progress=False,
    ).run()  # fmt: skip
    assert result.trials[0]["variance"] == pytest.approx(0.01)


def test_an_exception_surfaces_with_its_own_traceback() -> None:
    problem = Problem()

    def evaluate(trial: dfmerge.Trial) -> Any:
        if trial.number == 3:
            raise LookupError("the user's own error")
        return problem.evaluate(trial)

    search = dfmerge.Search(
        problem.target, problem.base, problem.models, evaluate, fisher_mode="none", progress=False
    )
    with pytest.raises(LookupError, match="own error") as caught:
        search.run()
    frames = traceback.extract_tb(caught.value.__traceback__)
    assert (
        frames[-1].name == "evaluate"
        and frames[-1].line == 'raise LookupError("the user\'s own error")'
    )
    assert search.result is not None and len(search.result.trials) == 3


def test_an_exception_in_the_fisher_callback_surfaces() -> None:
    problem = Problem()

    def fisher(request: dfmerge.FisherRequest) -> None:
        raise LookupError("no Fisher today")

    search = dfmerge.Search(
        problem.target, problem.base, problem.models, problem.evaluate, fisher, preset="paper",
        progress=False,
    )  # fmt: skip
    with pytest.raises(LookupError, match="no Fisher today"):
        search.run()
    assert search.result is None


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (0.5, TypeError, "pass tasks="),
        ({"a": 1.0}, ValueError, "this search has the tasks"),
        ({"a": 1.0, "b": "x", "c": 1.0}, TypeError, "'x' as the score of task 'b'"),
        ({"a": 1.0, "b": 1.0, "c": (1.0, 2.0, 3.0)}, TypeError, "score of task 'c'"),
        ({"a": 1.0, "b": 1.0, "c": (1.0, -1.0)}, ValueError, "variance of task 'c'"),
        ("text", TypeError, "evaluate returned 'text'"),
    ],
)
def test_wrong_answers_are_explained(answer: Any, error: type[Exception], says: str) -> None:
    problem = Problem()
    search = dfmerge.Search(
        problem.target, problem.base, problem.models, lambda trial: answer, fisher_mode="none",
        progress=False,
    )  # fmt: skip
    with pytest.raises(error, match=says):
        search.run()


def test_a_single_task_may_return_a_number() -> None:
    problem = Problem()
    result = dfmerge.Search(
        problem.target, problem.base, problem.models,
        lambda trial: problem.evaluate(trial)["a"],
        tasks=["score"], fisher_mode="none", trials=3, progress=False,
    ).run()  # fmt: skip
    assert set(result.scores) == {"score"}


@pytest.mark.parametrize(
    "score",
    [np.float32(0.5), np.array([0.5]), np.array(0.5), 0.5, (0.5, None)],
)
def test_scores_may_be_scalars_of_any_kind(score: Any) -> None:
    problem = Problem()
    result = dfmerge.Search(
        problem.target, problem.base, problem.models, lambda trial: dict.fromkeys(GOAL, score),
        fisher_mode="none", trials=1, progress=False,
    ).run()  # fmt: skip
    assert result.value == 0.5 and result.trials[0]["variance"] is None


def test_scores_may_be_tensors_with_a_gradient() -> None:
    test_scores_may_be_scalars_of_any_kind(torch.tensor(0.5, requires_grad=True))


def test_a_task_without_a_score_is_a_failed_trial() -> None:
    problem = Problem()

    def evaluate(trial: dfmerge.Trial) -> Any:
        return {**problem.evaluate(trial), "b": None if trial.number == 0 else 0.5}

    result = dfmerge.Search(
        problem.target, problem.base, problem.models, evaluate, fisher_mode="none", trials=2,
        progress=False,
    ).run()  # fmt: skip
    assert [trial["state"] for trial in result.trials] == ["failed", "complete"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"fisher": None, "preset": "paper"}, "fisher_mode='none'"),
        ({"fisher": "none"}, "called fisher_mode here"),
        ({"models": [{}, {}]}, "models is a list"),
        ({"models": {1: {}}}, "the name 1; names are texts"),
        ({"tasks": "accuracy"}, r"\['accuracy'\]"),
    ],
)
def test_wrong_arguments_are_explained_before_anything_runs(changes: Any, says: str) -> None:
    problem = Problem()
    arguments = {"models": problem.models, "fisher": problem.fisher, **changes}
    with pytest.raises(TypeError, match=says):
        dfmerge.Search(problem.target, problem.base, evaluate=problem.evaluate, **arguments)


def test_options_may_be_numpys() -> None:
    problem = Problem()
    result = problem.search(trials=np.int64(3), bounds=np.array([0, 0.5]), fisher_mode="none").run()
    assert len(result.trials) == 3 and result.to_dict()["options"]["bounds"] == [0, 0.5]


def test_callbacks_run_on_the_callers_thread() -> None:
    problem = Problem()
    threads = set()

    def evaluate(trial: dfmerge.Trial) -> Any:
        threads.add(threading.get_ident())
        assert not torch.is_grad_enabled()
        return problem.evaluate(trial)

    with torch.no_grad():
        dfmerge.Search(
            problem.target, problem.base, problem.models, evaluate, fisher_mode="none", trials=3,
            threads=4, progress=False,
        ).run()  # fmt: skip
    assert threads == {threading.get_ident()}


def test_two_searches_in_two_threads() -> None:
    expected = Problem().search(trials=15, seed=1).run().coefficients
    found: dict[int, Any] = {}

    def work(index: int) -> None:
        found[index] = Problem().search(trials=15, seed=1).run().coefficients

    workers = [threading.Thread(target=work, args=(index,)) for index in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert found == {0: expected, 1: expected}


def test_the_library_works_in_a_forked_child() -> None:
    problem = Problem()
    problem.search(trials=6).run()
    child = os.fork()
    if child == 0:
        try:
            Problem().search(trials=6).run()
            os._exit(0)
        except BaseException:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0


def test_a_kept_fisher_array_keeps_its_memory() -> None:
    problem, kept = Problem(), []

    def fisher(request: dfmerge.FisherRequest) -> None:
        problem.fisher(request)
        kept.append(request.buffers["w"])

    search = dfmerge.Search(
        problem.target, problem.base, problem.models, problem.evaluate, fisher,
        fisher_mode="static", exponent=1, trials=1, initial=1, progress=False,
    )  # fmt: skip
    search.run()
    handle = weakref.ref(search._handle)
    expected = kept[0].copy()
    del search
    gc.collect()
    assert handle() is not None
    np.testing.assert_array_equal(kept[0], expected)
    kept.clear()
    gc.collect()
    assert handle() is None
