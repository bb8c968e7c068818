"""Searches over torch modules: in place, tied tensors, buffers, moved parameters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from search_problem import Problem

import dfmerge
import dfmerge.torch


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
