"""The search from Python: answers, failures, journals, interrupts."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from search_problem import GOAL, Problem, reproducible

import dfmerge
import dfmerge.torch

PROGRAM = Path(__file__).with_name("search_problem.py")


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
    [np.float32(0.5), np.array([0.5]), torch.tensor(0.5, requires_grad=True), 0.5, (0.5, None)],
)
def test_scores_may_be_scalars_of_any_kind(score: Any) -> None:
    problem = Problem()
    result = dfmerge.Search(
        problem.target, problem.base, problem.models, lambda trial: dict.fromkeys(GOAL, score),
        fisher_mode="none", trials=1, progress=False,
    ).run()  # fmt: skip
    assert result.value == 0.5 and result.trials[0]["variance"] is None


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


# --- journals -----------------------------------------------------------------------------------


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


def test_kill_9_at_random_moments_loses_nothing(tmp_path: Path, long: bool) -> None:
    """Each resumed run ends with the trials and the bytes of the uninterrupted one."""
    options = '{"trials": 25, "fisher_mode": "interpolated", "nodes": 3}'
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
    with pytest.raises(dfmerge.FormatError, match="option 'seed' is 0, this search's is 7"):
        Problem().search(trials=3, journal=journal, seed=7).run()


# --- Ctrl-C -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [True, False])
def test_a_stopped_search_saves_its_best_and_goes_on_where_it_was(
    tmp_path: Path, kept: bool
) -> None:
    problem = Problem()

    def evaluate(trial: dfmerge.Trial) -> dict[str, float]:
        if trial.number == 7 and problem.evaluations == 7:
            problem.evaluations += 1
            raise KeyboardInterrupt
        return problem.evaluate(trial)

    search = dfmerge.Search(
        problem.target, problem.base, problem.models, evaluate, problem.fisher, trials=9,
        progress=False, journal=tmp_path / "run.jsonl" if kept else None, resume=False,
    )  # fmt: skip
    with pytest.raises(KeyboardInterrupt):
        search.run()
    assert search.result is not None and len(search.result.trials) == 7
    stopped_at = problem.target["w"].copy()
    search.result.save(tmp_path / "best.safetensors")
    search.result.apply()
    np.testing.assert_array_equal(
        dfmerge.load(tmp_path / "best.safetensors")["w"], problem.target["w"]
    )
    assert not np.array_equal(stopped_at, problem.target["w"])
    result = search.run()
    whole = Problem().search(trials=9).run()
    assert [t["coefficients"] for t in result.trials] == [t["coefficients"] for t in whole.trials]


def test_a_result_is_saved_after_another_search_over_the_same_memory(tmp_path: Path) -> None:
    problem = Problem()
    first = problem.search(trials=4).run()
    left = problem.target["w"].copy()
    problem.search(trials=5, fisher_mode="none").run()
    assert not np.array_equal(left, problem.target["w"])
    first.save(tmp_path / "first.safetensors")
    np.testing.assert_array_equal(dfmerge.load(tmp_path / "first.safetensors")["w"], left)


@pytest.mark.parametrize("moment", range(6))
def test_ctrl_c_stops_cleanly_and_is_never_lost(tmp_path: Path, moment: int) -> None:
    """SIGINT at many moments, in the callback and at its edges: always KeyboardInterrupt."""
    problem = Problem(pause=0.002)
    search = problem.search(trials=10_000, journal=tmp_path / "run.jsonl", fisher_mode="none")
    timer = threading.Timer(0.15 + 0.013 * moment, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        search.run()
    assert time.monotonic() - begun < 5
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert search.result is not None and search.result.value <= 1
    done = len(search.result.trials)
    again = Problem()
    again.search(trials=done + 1, journal=tmp_path / "run.jsonl", fisher_mode="none").run()
    assert again.evaluations <= 2


STORM = """
import os, signal, threading, time
from search_problem import Problem
search = Problem(pause=0.001).search(trials=10_000, fisher_mode="none")
stop = threading.Event()
def storm():
    time.sleep(0.15)
    while not stop.is_set():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.0002)
# While the run lasts a signal may come at any line of it; afterwards none must be left over.
previous = signal.getsignal(signal.SIGINT)
thread = threading.Thread(target=storm, daemon=True)
thread.start()
outcome = "lost"
try:
    try:
        search.run()
    except KeyboardInterrupt:
        outcome = "delivered"
    stop.set()
except KeyboardInterrupt:
    outcome = "delivered"
    stop.set()
signal.signal(signal.SIGINT, signal.SIG_IGN)
thread.join()
print(outcome)
"""


@pytest.mark.parametrize("attempt", range(5))
def test_a_storm_of_interrupts_is_delivered(attempt: int) -> None:
    found = subprocess.run(
        [sys.executable, "-c", STORM],
        capture_output=True,
        text=True,
        cwd=PROGRAM.parent,
        timeout=60,
        check=False,
    )
    assert found.stdout.strip() == "delivered", found.stderr
    # ctypes reports an exception that escaped from a callback this way.
    assert "Exception ignored" not in found.stderr


def test_a_hosts_own_handler_is_left_in_place() -> None:
    previous = signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        handler = signal.getsignal(signal.SIGINT)
        Problem().search(trials=2, initial=1).run()
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, previous)


# --- torch --------------------------------------------------------------------------------------


def test_a_module_is_merged_in_place_with_ties_and_buffers(tmp_path: Path) -> None:
    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = torch.nn.Embedding(5, 3)
            self.norm = torch.nn.BatchNorm1d(3)
            self.head = torch.nn.Linear(3, 5, bias=False)
            self.head.weight = self.embed.weight

    torch.manual_seed(0)
    base, a, b, live = Net(), Net(), Net(), Net()
    live.load_state_dict(base.state_dict())
    pointer = live.embed.weight.data_ptr()
    goal = base.embed.weight + 0.5 * (a.embed.weight - base.embed.weight)

    def evaluate(trial: dfmerge.Trial) -> float:
        return -float((live.embed.weight - goal).square().mean().item())

    search = dfmerge.Search(
        live, base, {"a": a, "b": b}, evaluate, tasks=["score"], fisher_mode="none", trials=25,
        progress=False,
    )  # fmt: skip
    result = search.run()
    assert live.embed.weight.data_ptr() == pointer
    assert live.head.weight is live.embed.weight
    assert abs(result.coefficients["a"] - 0.5) < 0.05 and abs(result.coefficients["b"]) < 0.05
    result.save(tmp_path / "model.safetensors")
    saved = dfmerge.load(tmp_path / "model.safetensors")
    assert "head.weight" not in saved and "norm.running_mean" in saved
    np.testing.assert_array_equal(saved["embed.weight"], live.embed.weight.detach().numpy())


def test_the_base_defaults_to_what_the_target_holds() -> None:
    problem = Problem()
    search = dfmerge.Search(
        problem.target, None, problem.models, problem.evaluate, fisher_mode="none", trials=12,
        progress=False,
    )  # fmt: skip
    assert search.run().value > 0.9


@pytest.mark.parametrize("as_file", [True, False])
def test_a_model_may_have_either_name_of_a_tied_tensor(tmp_path: Path, as_file: bool) -> None:
    module = torch.nn.ModuleDict({"embed": torch.nn.Embedding(5, 3), "head": torch.nn.Linear(3, 5)})
    module["head"].weight = module["embed"].weight
    state = dfmerge.torch.state(module)
    state["head.weight"] = state.pop("embed.weight") + 1
    path = tmp_path / "model.safetensors"
    dfmerge.save(state, path)
    search = dfmerge.Search(
        module, None, {"a": path if as_file else state}, lambda trial: 0.5, fisher_mode="none",
        tasks=["score"], trials=1, progress=False,
    )  # fmt: skip
    search.apply({"a": 1.0}, 0)
    assert torch.equal(module["embed"].weight, state["head.weight"])


@pytest.mark.parametrize("when", ["before", "during"])
def test_a_module_that_moved_is_refused(when: str) -> None:
    module = torch.nn.Linear(3, 2)

    def evaluate(trial: dfmerge.Trial) -> float:
        module.double()
        return 0.5

    search = dfmerge.Search(
        module, None, {"a": torch.nn.Linear(3, 2)}, evaluate, fisher_mode="none", tasks=["score"],
        progress=False,
    )  # fmt: skip
    if when == "before":
        module.double()
    with pytest.raises(RuntimeError, match="'weight' was replaced or moved"):
        search.run()


def test_extra_state_of_modules_is_left_out(tmp_path: Path) -> None:
    class Net(torch.nn.Linear):
        def get_extra_state(self) -> dict[str, int]:
            return {"version": 1}

    module = Net(3, 2)
    result = dfmerge.Search(
        module, Net(3, 2), {"a": Net(3, 2).state_dict()}, lambda trial: 0.5, fisher_mode="none",
        tasks=["score"], trials=1, progress=False,
    ).run()  # fmt: skip
    result.save(tmp_path / "model.safetensors")
    assert set(dfmerge.load(tmp_path / "model.safetensors")) == {"weight", "bias"}


def test_a_fisher_of_another_module_or_without_data_is_refused() -> None:
    module, other, rows = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2), torch.zeros(4, 3)

    def search(measured: torch.nn.Module, names: str) -> dfmerge.Search:
        fisher = dfmerge.torch.Fisher(measured, dict.fromkeys(names, rows), lambda m, x: m(x))
        models = {name: torch.nn.Linear(3, 2) for name in "ab"}
        return dfmerge.Search(module, None, models, lambda trial: 0.5, fisher)

    search(module, "ab")
    with pytest.raises(ValueError, match="pass both the same module"):
        search(other, "ab")
    with pytest.raises(KeyError, match="no Fisher data for model 'b'"):
        search(module, "a")


@pytest.mark.parametrize("when", [0, 2, 5])
def test_a_module_that_moves_during_the_search_is_noticed(when: int) -> None:
    """Else every later merge would go past the module, and old weights would be scored."""
    model = torch.nn.Linear(3, 2)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    tuned = {"a": {name: value + 1 for name, value in state.items()}}

    def evaluate(trial: dfmerge.Trial) -> float:
        if trial.number == when:
            model.weight.data = model.weight.data.clone()
        return float(model.weight.detach().sum())

    search = dfmerge.Search(
        model, state, tuned, evaluate, fisher_mode="none", trials=6, initial=2, progress=False
    )
    with pytest.raises(RuntimeError, match="'weight' was replaced or moved"):
        search.run()
    assert search.result is not None and len(search.result.trials) == when + 1


def test_a_parameter_of_a_dict_target_may_be_given_other_memory() -> None:
    """The library keeps writing to memory that is alive, whatever becomes of the parameter."""
    parameter = torch.nn.Parameter(torch.zeros(1 << 16))
    place = parameter.data_ptr()
    base = {"w": torch.zeros(1 << 16)}
    search = dfmerge.Search(
        {"w": parameter}, base, {"a": {"w": torch.ones(1 << 16)}}, lambda trial: 0.0,
        fisher_mode="none", trials=2, initial=1, progress=False,
    )  # fmt: skip
    parameter.data = torch.zeros(1)
    others = [torch.full((1 << 16,), 7.0) for _ in range(4)]
    assert all(other.data_ptr() != place for other in others)  # the memory is still held
    search.run()
    assert all((other == 7).all() for other in others)


def test_a_file_that_has_only_the_other_name_of_a_tied_tensor(tmp_path: Path) -> None:
    class Tied(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = torch.nn.Linear(3, 3, bias=False)
            self.second = torch.nn.Linear(3, 3, bias=False)
            self.second.weight = self.first.weight

    model = Tied()
    path = tmp_path / "model.safetensors"
    dfmerge.save({"second.weight": torch.ones(3, 3)}, path)
    search = dfmerge.Search(
        model, path, {"a": path}, lambda trial: 0.0, fisher_mode="none", trials=1, progress=False
    )
    search.run()
    assert (model.first.weight == 1).all()
