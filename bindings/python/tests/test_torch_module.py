"""Binding a module: names, memory, ties, and what is refused."""

from __future__ import annotations

import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from dfmerge.torch import bind, state  # noqa: E402


def tied() -> nn.Module:
    module = nn.Sequential(nn.Embedding(5, 3), nn.BatchNorm1d(3), nn.Linear(3, 5, bias=False))
    module[2].weight = module[0].weight
    return module


def test_tensors_are_the_modules_memory_in_its_order() -> None:
    module = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2))
    bound = bind(module)
    assert list(bound.tensors) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    assert bound.aliases == {} and bound.buffers == {} and bound.module is module
    bound.tensors["0.bias"].fill_(7)
    assert module[0].bias.eq(7).all()
    assert not any(t.requires_grad for t in bound.tensors.values())
    assert all(p.requires_grad for p in module.parameters())


def test_writes_from_outside_torch_reach_the_module() -> None:
    module = nn.Linear(3, 2).to(torch.bfloat16)
    bound = bind(module)
    bound.tensors["weight"].view(torch.int16).numpy()[:] = 0x3F80
    assert module.weight.eq(1).all()


def test_tied_parameters_are_kept_once() -> None:
    bound = bind(tied())
    assert list(bound.tensors) == ["0.weight", "1.weight", "1.bias"]
    assert bound.aliases == {"2.weight": "0.weight"}
    assert sorted(bound.buffers) == [
        "1.num_batches_tracked",
        "1.running_mean",
        "1.running_var",
    ]


def test_parameters_tied_through_data_are_kept_once() -> None:
    module = nn.ModuleList([nn.Linear(2, 2, bias=False) for _ in range(3)])
    module[2].weight.data = module[0].weight.data
    bound = bind(module)
    assert list(bound.tensors) == ["0.weight", "1.weight"]
    assert bound.aliases == {"2.weight": "0.weight"}


def test_empty_and_scalar_parameters_are_bound() -> None:
    module = nn.ParameterDict(
        {"a": torch.zeros(0, 3), "b": torch.tensor(2.0), "c": torch.zeros(0, 3)}
    )
    assert {n: tuple(t.shape) for n, t in bind(module).tensors.items()} == {
        "a": (0, 3),
        "b": (),
        "c": (0, 3),
    }
    assert bind(nn.ReLU()).tensors == {}


def test_parameters_that_are_not_floating_point_are_left_alone() -> None:
    module = nn.Module()
    module.codes = nn.Parameter(torch.arange(3), requires_grad=False)
    bound = bind(module)
    assert bound.tensors == {} and list(bound.buffers) == ["codes"]


def test_frozen_parameters_are_bound() -> None:
    module = nn.Linear(2, 2).requires_grad_(False)
    assert len(bind(module).tensors) == 2


def refused() -> dict[str, nn.Module]:
    strided = nn.Linear(3, 2, bias=False)
    strided.weight.data = strided.weight.data.t().contiguous().t()
    overlapping = nn.ModuleList([nn.Linear(4, 1, bias=False), nn.Linear(4, 1, bias=False)])
    memory = torch.zeros(6)
    overlapping[0].weight.data = memory[:4].view(1, 4)
    overlapping[1].weight.data = memory[2:].view(1, 4)
    with torch.inference_mode():
        inference = nn.Linear(2, 2)
    cases = {
        r"'weight' is on the meta device": nn.Linear(2, 2, device="meta"),
        r"'weight' is not contiguous \(strides \[1, 2\]\)": strided,
        r"'1\.weight' overlaps '0\.weight'": overlapping,
        r"'weight' was made in inference mode": inference,
        r"'weight' has no shape yet": nn.LazyLinear(2),
        r"'weight' has dtype torch\.complex64": nn.Linear(2, 2, dtype=torch.complex64),
        r"'weight' has dtype torch\.float8_e4m3fn": nn.ParameterDict(
            {"weight": torch.zeros(2).to(torch.float8_e4m3fn)}
        ),
        r"'weight' is not a plain dense tensor": nn.ParameterDict(
            {"weight": torch.eye(2).to_sparse()}
        ),
    }
    if torch.cuda.is_available():
        cases[r"'weight' is on cuda:0; move the module to the CPU"] = nn.Linear(2, 2).cuda()
    return cases


@pytest.mark.parametrize("message", refused())
def test_parameters_that_cannot_be_written_are_named(message: str) -> None:
    with pytest.raises(ValueError, match="cannot be bound: " + message):
        bind(refused()[message])


def test_every_problem_is_named_at_once() -> None:
    with pytest.raises(ValueError, match=r"'0\.weight'.*'0\.bias'.*'1\.weight'.*'1\.bias'"):
        bind(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)).to("meta"))


def test_check_notices_moved_parameters() -> None:
    module = nn.Linear(2, 2)
    bound = bind(module)
    bound.check()
    module.load_state_dict(nn.Linear(2, 2).state_dict())
    bound.check()
    module.bias.data = torch.zeros(2)
    with pytest.raises(RuntimeError, match="'bias' was replaced"):
        bound.check()
    module = nn.Linear(2, 2)
    bound = bind(module)
    module.half()
    with pytest.raises(RuntimeError, match="'weight' was replaced"):
        bound.check()


def test_state_is_a_detached_copy_that_keeps_ties() -> None:
    module = tied()
    copied = state(module)
    assert list(copied) == list(module.state_dict())
    assert copied["2.weight"] is copied["0.weight"]
    assert not copied["0.weight"].requires_grad
    before = module[0].weight.detach().clone()
    copied["0.weight"].zero_()
    assert torch.equal(module[0].weight, before)


def test_importing_dfmerge_does_not_import_torch() -> None:
    code = "import sys, dfmerge; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
