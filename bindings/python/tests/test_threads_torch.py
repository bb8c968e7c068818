"""Torch beside a search: data loaders that fork, and modes of the calling thread."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
from search_problem import Problem
from torch.utils.data import DataLoader, TensorDataset

import dfmerge

pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")


@pytest.mark.parametrize("persistent", [True, False])
def test_a_data_loader_forks_its_workers_in_the_callbacks(persistent: bool, tmp_path: Any) -> None:
    expected = Problem().search(trials=5).run().coefficients
    problem = Problem()
    data = TensorDataset(torch.arange(40.0))
    loader = DataLoader(
        data, batch_size=8, num_workers=2, multiprocessing_context="fork",
        persistent_workers=persistent,
    )  # fmt: skip
    sums: list[float] = []

    def evaluate(trial: dfmerge.Trial) -> dict[str, float]:
        sums.append(sum(float(batch.sum()) for (batch,) in loader))
        return problem.evaluate(trial)

    def fisher(request: dfmerge.FisherRequest) -> None:
        sums.append(sum(float(batch.sum()) for (batch,) in loader))
        problem.fisher(request)

    search = dfmerge.Search(
        problem.target, problem.base, problem.models, evaluate, fisher, trials=5,
        journal=tmp_path / "run.jsonl", progress=False,
    )  # fmt: skip
    assert search.run().coefficients == expected
    assert len(sums) > 5 and set(sums) == {780.0}


def test_callbacks_have_the_modes_of_the_calling_thread() -> None:
    seen: list[tuple[bool, bool, bool, bool]] = []

    def work() -> None:
        problem = Problem()

        def look(answer: Any) -> Any:
            modes = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
            seen.append((*modes, torch.is_autocast_enabled("cpu"), torch.ones(1).requires_grad_()
                         .mul(2).requires_grad if not modes[1] else False))  # fmt: skip
            return answer

        dfmerge.Search(
            problem.target, problem.base, problem.models,
            lambda trial: look(problem.evaluate(trial)), lambda request: look(
                problem.fisher(request)), trials=3, exponent=1, progress=False,
        ).run()  # fmt: skip

    for context, expected in (
        (torch.enable_grad(), (True, False, False, True)),
        (torch.no_grad(), (False, False, False, False)),
        (torch.inference_mode(), (False, True, False, False)),
        (torch.autocast("cpu", dtype=torch.bfloat16), (True, False, True, True)),
    ):
        with context:
            work()
            assert len(seen) > 3 and set(seen) == {expected}
            seen.clear()
            # Another thread has its own modes.
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
            assert set(seen) == {(True, False, False, True)}
            seen.clear()
