"""Majority Kernels: the collapse and its adjoint, and modules that are trained as copies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

import dfmerge  # noqa: E402
from dfmerge.torch import MajorityKernels, collapse, state  # noqa: E402


def drawn(*shape: int, dtype: Any = None) -> Any:
    return torch.randn(*shape, dtype=dtype or torch.float64)


def test_the_adjoint_in_closed_form() -> None:
    """dL/dW_i = p_i dL/dW, dL/dp_i = <W_i, dL/dW>."""
    torch.manual_seed(0)
    copies = drawn(3, 4, 5).requires_grad_()
    p = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64, requires_grad=True)
    out = collapse(copies, p)
    torch.testing.assert_close(out, 0.2 * copies[0] + 0.5 * copies[1] + 0.3 * copies[2])
    seed = drawn(4, 5)
    out.backward(seed)
    torch.testing.assert_close(copies.grad, torch.stack([0.2 * seed, 0.5 * seed, 0.3 * seed]))
    torch.testing.assert_close(p.grad, (copies.detach() * seed).sum((1, 2)))


@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 2), (4,), (2, 2, 1, 3)])
def test_gradcheck(shape: tuple[int, ...]) -> None:
    copies = drawn(*shape).requires_grad_()
    p = torch.rand(shape[0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(collapse, (copies, p))
    assert torch.autograd.gradcheck(collapse, (copies,))
    assert torch.autograd.gradgradcheck(collapse, (copies, p))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_types_and_sequences(dtype: Any) -> None:
    copies = drawn(3, 6).to(dtype)
    found = collapse(list(copies), [0.5, 0.25, 0.25])
    assert found.dtype == dtype
    wide = copies.double()
    wanted = (0.5 * wide[0] + 0.25 * wide[1] + 0.25 * wide[2]).to(dtype)
    # A value in the middle of two may be rounded either way.
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(collapse(copies), wide.mean(0).to(dtype))


def test_arguments() -> None:
    with pytest.raises(ValueError, match="one copy or more"):
        collapse(torch.zeros(0, 3))
    with pytest.raises(ValueError, match="one copy or more"):
        collapse(torch.tensor(1.0))
    with pytest.raises(ValueError, match="each of the 3 copies"):
        collapse(torch.zeros(3, 2), [0.5, 0.5])
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    with pytest.raises(ValueError, match="pass 2 or more"):
        MajorityKernels(net, 1)
    with pytest.raises(ValueError, match="temperature is 2"):
        MajorityKernels(net, 2, temperature=2)
    with pytest.raises(ValueError, match="no parameter's name matches"):
        MajorityKernels(net, 2, "conv*")
    net[1].weight = net[0].weight
    with pytest.raises(ValueError, match=r"'0.weight' is tied to '1.weight'"):
        MajorityKernels(net)
    assert not hasattr(net[0], "parametrizations")


def network() -> Any:
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv1d(2, 3, 3), nn.BatchNorm1d(3), nn.Flatten(), nn.ReLU(), nn.Linear(12, 4)
    )


def test_equal_copies_are_the_module() -> None:
    net, x = network().eval(), torch.randn(5, 2, 6)
    before, outcome = state(net), net(x)
    kernels = MajorityKernels(net, 3)
    assert kernels.names == ["0.weight", "4.weight"]
    assert net[0].parametrizations.weight.original.shape == (3, 3, 2, 3)
    torch.testing.assert_close(net(x), outcome)
    net.train()
    torch.testing.assert_close(net[4](torch.ones(12)), net[4].eval()(torch.ones(12)))
    assert kernels.deploy() is net
    after = state(net)
    assert set(after) == set(before)
    for name, value in before.items():
        torch.testing.assert_close(after[name], value)
    kernels.deploy()


def test_mixtures_of_training() -> None:
    net = nn.Sequential(nn.Linear(3, 2, bias=False), nn.Linear(2, 2))
    generator = torch.Generator().manual_seed(3)
    kernels = MajorityKernels(
        net, 4, "0.*", initialize=nn.init.xavier_uniform_, generator=generator
    )
    assert kernels.names == ["0.weight"]
    copies = net[0].parametrizations.weight.original
    assert len({tuple(copy.flatten().tolist()) for copy in copies}) == 4
    draws = []
    for step in range(200):
        kernels.temperature = 1 if step < 100 else 0.5
        net.zero_grad()
        out = net(torch.ones(1, 3))
        p = net[0].parametrizations.weight[0].p
        # One mixture for the whole pass, whatever asks for the weight.
        torch.testing.assert_close(net[0].weight, torch.tensordot(p, copies, 1))
        assert p.sum().item() == pytest.approx(1, abs=1e-6) and (p >= 0).all()
        out.sum().backward()
        ratio = copies.grad / copies.grad.sum(0)
        torch.testing.assert_close(ratio, p.view(-1, 1, 1).expand_as(ratio), rtol=1e-4, atol=1e-5)
        draws.append(p.numpy())
    full, half = np.array(draws[:100]), np.array(draws[100:])
    assert np.abs(full.mean(0) - 0.25).max() < 0.1 and len(np.unique(full[:, 0])) == 100
    # Uniform on the simplex of four: variance 3 / 80 for each; half as far, a quarter of it.
    assert full.var(0).mean() == pytest.approx(3 / 80, rel=0.3)
    assert half.min() >= 0.125 and half.var(0).mean() == pytest.approx(3 / 320, rel=0.3)
    kernels.temperature = 0
    net(torch.ones(1, 3))
    torch.testing.assert_close(net[0].weight, copies.mean(0))
    kernels.temperature = 1
    net.eval()
    net(torch.ones(1, 3))
    torch.testing.assert_close(net[0].weight, copies.mean(0))
    mean = copies.detach().mean(0)
    net.train()
    kernels.deploy()
    torch.testing.assert_close(net[0].weight.detach(), mean)
    assert isinstance(net[0].weight, nn.Parameter) and set(state(net)) == {
        "0.weight",
        "1.weight",
        "1.bias",
    }


def test_the_same_draws_from_the_same_generator() -> None:
    found = []
    for _ in range(2):
        net = network()
        kernels = MajorityKernels(net, 3, generator=torch.Generator().manual_seed(5))
        torch.randn(7)
        kernels.draw()
        found.append(
            [m[0].p for m in (net[0].parametrizations.weight, net[4].parametrizations.weight)]
        )
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
    assert not torch.equal(*found[0])


def test_training_and_the_method(tmp_path: Any) -> None:
    """Copies part in training; deploy() and method collapse give the same mean."""
    net = network()
    kernels = MajorityKernels(net, 3)
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    x, y = torch.randn(32, 2, 6), torch.randint(0, 4, (32,))
    losses = []
    for step in range(30):
        kernels.temperature = 1 - step / 30
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    copies = net[4].parametrizations.weight.original
    assert not torch.equal(copies[0], copies[1])
    expanded = state(net)
    dfmerge.save(expanded, tmp_path / "expanded.safetensors")
    found = dfmerge.merge(None, [tmp_path / "expanded.safetensors"], "collapse")
    plain = state(kernels.deploy())
    assert set(found) == set(expanded)
    for name, value in plain.items():
        path, _, leaf = name.rpartition(".")
        own = name if name in found else f"{path}.parametrizations.{leaf}.original"
        np.testing.assert_allclose(np.asarray(found[own]), value.numpy(), 1e-5, 1e-7)
