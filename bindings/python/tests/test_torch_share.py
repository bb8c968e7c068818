"""Sharing layers of a module: ties, gradients, Fisher values, and what the method gives."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from test_method_share import groups  # noqa: E402
from torch import nn  # noqa: E402

import dfmerge  # noqa: E402
from dfmerge.torch import Fisher, bind, share, state, untie  # noqa: E402


class Block(nn.Module):
    def __init__(self, width: int = 5) -> None:
        super().__init__()
        self.inner = nn.Linear(width, width)
        self.norm = nn.BatchNorm1d(width)

    def forward(self, x: Any) -> Any:
        return torch.tanh(self.inner(self.norm(x)))


class Stack(nn.Module):
    """Two stacks, a head that is tied to the first layer, and a table of the first layer's own."""

    def __init__(self, depth: int = 4, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.layers = nn.ModuleList(Block() for _ in range(depth))
        self.tower = nn.Module()
        self.tower.h = nn.ModuleList(nn.Linear(5, 5, bias=False) for _ in range(2))
        self.head = nn.Linear(5, 5)
        self.head.weight = self.layers[0].inner.weight
        self.layers[0].table = nn.Parameter(torch.randn(3))
        for layer in self.layers:
            layer.norm.running_mean.normal_()

    def forward(self, x: Any) -> Any:
        for layer in [*self.layers, *self.tower.h]:
            x = layer(x)
        return self.head(x)


@pytest.mark.parametrize("pattern", ["sequence", "cycle", "cycle_rev"])
@pytest.mark.parametrize(("depth", "distinct"), [(4, 2), (5, 2), (6, 1), (3, 2)])
def test_the_module_has_what_the_method_gives(pattern: str, depth: int, distinct: int) -> None:
    module = Stack(depth)
    # Tied to a tensor outside: in a merge it has a name of its own.
    options = {"distinct_layers": distinct, "pattern": pattern}
    before = {name: value.clone() for name, value in state(module).items()}
    wanted = dfmerge.merge(None, [before], "share", options=options)
    ties = dfmerge.plan(None, [before], "share", options=options)["ties"]
    aliases = share(module, distinct, pattern)
    for name, value in state(module).items():
        if name == "head.weight":
            assert module.head.weight is module.layers[0].inner.weight
        else:
            torch.testing.assert_close(value, wanted[name], rtol=1e-6, atol=1e-7)
    parameters = dict(module.named_parameters(remove_duplicate=False))
    assert aliases == {name: kept for name, kept in ties.items() if name in parameters}
    for name, kept in aliases.items():
        assert parameters[name] is parameters[kept]
    bound = bind(module)
    assert set(aliases) <= set(bound.aliases)
    chosen = groups(depth, distinct, pattern)
    weights = [id(layer.inner.weight) for layer in module.layers]
    assert [weights.index(weight) for weight in weights] == [chosen.index(n) for n in chosen]


def test_gradients_of_all_sites_add_up() -> None:
    """dL/dw = sum_k dL/dw_k: against the same layers with parameters of their own."""
    module = Stack(4, 1).double().eval()
    share(module, 2, "cycle")
    alone = copy.deepcopy(module)
    assert sorted(untie(alone)) == sorted(bind(module).aliases)
    assert not bind(alone).aliases
    x = torch.randn(3, 5, dtype=torch.float64)
    for each in (module, alone):
        each(x).square().sum().backward()
    own = dict(alone.named_parameters())
    for name, parameter in module.named_parameters():
        names = [name, *(n for n, kept in bind(module).aliases.items() if kept == name)]
        total = sum(own[n].grad for n in names if own[n].grad is not None)
        if parameter.grad is not None:
            torch.testing.assert_close(parameter.grad, total)


class Twice(nn.Module):
    """z = w x + w (w x) over scalars, as two layers of one weight."""

    def __init__(self, w: float) -> None:
        super().__init__()
        self.h = nn.ModuleList(nn.Linear(1, 1, bias=False) for _ in range(2))
        for layer in self.h:
            nn.init.constant_(layer.weight, w)

    def forward(self, x: Any) -> Any:
        first = self.h[0](x)
        return torch.cat([first + self.h[1](first), torch.zeros_like(first)], 1)


@pytest.mark.parametrize("vectorize", ["auto", "graph", "func", "loop"])
@pytest.mark.parametrize("tie", ["share", "memory"])
def test_the_fisher_of_a_shared_parameter(vectorize: str, tie: str) -> None:
    """E[(sum_k g_k)^2], not sum_k E[g_k^2]: dz/dw = x + 2 w x, in closed form."""
    w, rows = 0.4, torch.tensor([[0.5], [-1.0], [2.0], [0.3]])
    module = Twice(w)
    if tie == "share":
        assert share(module) == {"h.1.weight": "h.0.weight"}
    else:
        module.h[1].weight.data = module.h[0].weight.data
    x = rows[:, 0].double().numpy()
    z = w * x + w * w * x
    p = 1 / (1 + np.exp(-z))
    # Two classes, z and 0: sum_y p_y (d log p_y)^2 = p (1 - p) (dz/dw)^2.
    wanted = np.mean(p * (1 - p) * (x + 2 * w * x) ** 2)
    fisher = Fisher(module, {"m": rows}, lambda net, x: net(x), vectorize=vectorize)
    objects = list(module.parameters())
    for name in ("h.0.weight", "h.1.weight"):
        found = np.zeros((1, 1), np.float32)
        fisher.measure("m", {name: found})
        np.testing.assert_allclose(found[0, 0], wanted, 1e-5)
    assert all(one is other for one, other in zip(objects, module.parameters(), strict=True))


def test_tensors_of_their_own_are_left_alone() -> None:
    module = Stack(4, 2)
    before = {name: value.clone() for name, value in state(module).items()}
    aliases = share(module, tensors=["layers.*.bias", "tower.[h].*"])
    assert set(aliases.values()) == {"layers.0.inner.bias", "layers.0.norm.bias"}
    for name, value in state(module).items():
        if not name.startswith("layers.") or not name.endswith(".bias"):
            assert torch.equal(value, before[name]), name


def test_sharing_again_parts_what_was_tied() -> None:
    """A parameter in two groups of another pattern becomes two."""
    module = Stack(4, 3)
    share(module, 2, "cycle")
    values = [layer.inner.bias.detach().clone() for layer in module.layers]
    share(module, 2, "sequence")
    for n, layer in enumerate(module.layers):
        pair = (values[0], values[1]) if n < 2 else (values[2], values[3])
        torch.testing.assert_close(layer.inner.bias, torch.stack(pair).mean(0))
    assert module.layers[0].inner.bias is module.layers[1].inner.bias
    assert module.layers[1].inner.bias is not module.layers[2].inner.bias


def test_a_parameter_counts_once() -> None:
    module = Stack(3, 4)
    module.layers[1].inner.bias = module.layers[0].inner.bias
    one, other = (module.layers[n].inner.bias.detach().clone() for n in (0, 2))
    share(module)
    torch.testing.assert_close(module.layers[0].inner.bias, (one + other) / 2)


def test_training_and_untying() -> None:
    module = Stack(4, 5)
    aliases = share(module, 2)
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    for _ in range(3):
        optimizer.zero_grad()
        module(torch.randn(8, 5)).square().mean().backward()
        optimizer.step()
    assert torch.equal(module.layers[0].inner.weight, module.layers[1].inner.weight)
    before = {name: value.clone() for name, value in state(module).items()}
    assert set(untie(module, aliases)) == set(aliases)
    assert set(bind(module).aliases) == {"head.weight"}
    for name, value in state(module).items():
        assert torch.equal(value, before[name])
    with pytest.raises(KeyError, match="no parameter 'nothing'"):
        untie(module, ["nothing"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: setattr(m.layers[2], "inner", nn.Linear(5, 6)), "differ in shape"),
        (lambda m: m.layers[2].half(), "differ in dtype"),
    ],
)
def test_what_cannot_share_changes_nothing(change: Any, message: str) -> None:
    module = Stack(3, 6)
    change(module)
    before = [(name, id(p), p.clone()) for name, p in module.named_parameters()]
    with pytest.raises(ValueError, match=message) as refused:
        share(module)
    assert "'layers.0." in str(refused.value) and "'layers.2." in str(refused.value)
    for (name, address, value), (after, p) in zip(before, module.named_parameters(), strict=True):
        assert (name, address) == (after, id(p)) and torch.equal(value, p)


def test_arguments() -> None:
    module = Stack(3)
    with pytest.raises(ValueError, match="pattern is 'zigzag'"):
        share(module, 1, "zigzag")
    with pytest.raises(ValueError, match="at least 1"):
        share(module, 0)
    with pytest.raises(TypeError, match="whole number"):
        share(module, 1.5)
    with pytest.raises(ValueError, match=r"one of 2 layers 'tower.h.', of which there are to be 3"):
        share(module, 3)
