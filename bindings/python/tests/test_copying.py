"""Copies and pickles: of opened weights and tensors they work, of what runs they are refused."""

from __future__ import annotations

import copy
import gc
import multiprocessing
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from search_problem import Problem

import dfmerge

COPIES = [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "one.safetensors"
    dfmerge.save({"w": np.arange(6, dtype=np.float32)}, found)
    return found


@pytest.mark.parametrize("copied", COPIES)
def test_copied_weights_open_the_file_themselves(
    path: Path, copied: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    weights = dfmerge.load(path.name)
    other = copied(weights)
    assert other._handle is not weights._handle
    del weights
    gc.collect()
    dfmerge.save({"w": np.zeros(6, np.float32)}, path.parent / "other.safetensors")
    dfmerge.load(path.parent / "other.safetensors")
    assert other["w"].tolist() == [0, 1, 2, 3, 4, 5]
    assert other.path == os.fspath(path)


def total(weights: dfmerge.Weights) -> float:
    return float(weights["w"].sum())


def test_weights_may_be_sent_to_another_process(path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(total, (dfmerge.load(path),)) == 15


@pytest.mark.parametrize("copied", COPIES[:2])
def test_a_copied_tensor_has_memory_of_its_own(path: Path, copied: Callable[[Any], Any]) -> None:
    tensor = dfmerge.load(path).tensor("w").copy()
    other = copied(tensor)
    np.asarray(other)[...] = 7
    assert tensor.memoryview().tolist() == [0, 1, 2, 3, 4, 5]
    del tensor
    gc.collect()
    assert other.memoryview().tolist() == [7] * 6
    assert not copied(dfmerge.load(path).tensor("w")).readonly


def test_a_tensor_is_not_pickled(path: Path) -> None:
    with pytest.raises(TypeError, match=r"tensor 'w' is memory .*send tensor\.numpy\(\)"):
        pickle.dumps(dfmerge.load(path).tensor("w"))


@pytest.mark.parametrize("copied", COPIES)
def test_searches_and_results_are_not_copied(copied: Callable[[Any], Any]) -> None:
    search = Problem().search(trials=4)
    with pytest.raises(TypeError, match=r"a Search belongs .* make another one"):
        copied(search)
    with pytest.raises(TypeError, match=r"a Result belongs .* send result\.to_dict\(\)"):
        copied(search.run())


def test_asking_for_a_name_copies_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = dfmerge.load(path)

    def read(self: dfmerge.Weights, name: str) -> Any:
        raise AssertionError(f"{name} was read")

    monkeypatch.setattr(dfmerge.Weights, "__getitem__", read)
    assert "w" in weights and "v" not in weights and 3 not in weights
    assert weights.keys() & {"w", "v"} == {"w"}


def test_asking_for_a_fisher_buffers_name_makes_nothing() -> None:
    problem, made = Problem(), []

    def fisher(request: dfmerge.FisherRequest) -> None:
        assert "missing" not in request.buffers
        assert all(name in request.buffers for name in request.names)
        made.append(len(request.buffers._made))
        for name in request.names:
            request.buffers[name][...] += 1

    dfmerge.Search(
        problem.target, problem.base, problem.models, problem.evaluate, fisher, trials=4,
        progress=False,
    ).run()  # fmt: skip
    assert made and not any(made)
