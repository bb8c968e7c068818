"""Fisher as a callback: what a call leaves alone, its rows, buffers, and refusals."""

from __future__ import annotations

import copy
import random
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torch_models as models  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch_models import build, call, measure  # noqa: E402

from dfmerge.torch import Fisher  # noqa: E402
from dfmerge.torch._seeds import choose_rows  # noqa: E402


def test_a_call_leaves_everything_as_it_was() -> None:
    module, x = build("cnn", 3, 8, torch.float32)
    module.train()
    module[1].eval()
    module[0].weight.requires_grad_(False)
    module[9].bias.grad = kept = torch.ones(3)
    before = copy.deepcopy(module.state_dict())
    modes = [m.training for m in module.modules()]
    flags = [p.requires_grad for p in module.parameters()]
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()

    def noisy(module: nn.Module, rows: Tensor) -> Tensor:
        assert not module.training
        torch.rand(3)
        return module(rows)

    def check() -> None:
        assert torch.equal(torch.get_rng_state(), states[0])
        assert np.array_equal(np.random.get_state()[1], states[1])
        assert random.getstate() == states[2]
        assert [m.training for m in module.modules()] == modes
        assert [p.requires_grad for p in module.parameters()] == flags
        assert module[9].bias.grad is kept and kept.eq(1).all()
        assert all(p.grad is None for n, p in module.named_parameters() if n != "9.bias")
        assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())

    for vectorize in ("auto", "func", "loop"):
        fisher = Fisher(module, {"m": x}, noisy, vectorize=vectorize)
        with torch.no_grad():
            got = measure(fisher, module, torch.float32)
            assert not torch.is_grad_enabled()
        assert got["0.weight"].gt(0).any()
        check()

    def broken(module: nn.Module, rows: Tensor) -> Tensor:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        measure(Fisher(module, {"m": x}, broken), module)
    check()
    with torch.inference_mode():
        measure(Fisher(module, {"m": x}, noisy), module, torch.float32)
        assert torch.is_inference_mode_enabled()


def test_request_buffers_are_added_into_in_place() -> None:
    module, x = build("mlp", 3, 6, torch.float32)
    buffers = {n: np.zeros(p.shape, np.float32) for n, p in module.named_parameters()}
    request = SimpleNamespace(model="m", names=["0.weight", "2.bias"], buffers=buffers)
    fisher = Fisher(module, {"m": x}, call)
    fisher(request)
    once = {n: b.copy() for n, b in buffers.items()}
    fisher(request)
    assert once["0.weight"].any() and not once["0.bias"].any()
    np.testing.assert_allclose(buffers["2.bias"], 2 * once["2.bias"], rtol=1e-6)


def test_tied_parameters_answer_to_either_name() -> None:
    torch.manual_seed(0)
    module = nn.ModuleDict({"a": nn.Linear(4, 4), "b": nn.Linear(4, 4)})
    module["b"].weight = module["a"].weight
    x = torch.randn(5, 4)
    fisher = Fisher(module, {"m": x}, lambda m, r: m["b"](torch.tanh(m["a"](r))))
    first, other = {"a.weight": torch.zeros(4, 4)}, {"b.weight": torch.zeros(4, 4)}
    fisher.measure("m", first)
    fisher.measure("m", other)
    assert first["a.weight"].any()
    torch.testing.assert_close(first["a.weight"], other["b.weight"])


def test_rows_are_fixed_without_replacement_and_per_model() -> None:
    rows = choose_rows(1000, 30, 0, "a")
    assert rows == sorted(set(rows)) and len(rows) == 30 and rows[0] >= 0 and rows[-1] < 1000
    assert rows == choose_rows(1000, 30, 0, "a")
    assert rows != choose_rows(1000, 30, 0, "b") and rows != choose_rows(1000, 30, 1, "a")
    assert choose_rows(7, 30, 0, "a") == choose_rows(7, None, 0, "a") == list(range(7))
    # Pinned: a resumed run must measure the same rows after an update of the library.
    assert choose_rows(10, 3, 0, "a") == PINNED
    counts = np.bincount([r for s in range(3000) for r in choose_rows(10, 3, s, "a")])
    assert len(counts) == 10 and counts.min() > 780 and counts.max() < 1020


def test_rows_of_a_list_are_taken_smallest_first() -> None:
    """Similar lengths share a batch; which rows are measured does not change."""
    lengths = [7, 2, 5, 2, 9, 3]
    seen: list[list[int]] = []

    def scores(module: nn.Module, rows: list[Tensor]) -> Tensor:
        seen.append([len(r) for r in rows])
        return module(torch.stack([r.mean(0) for r in rows]))

    torch.manual_seed(0)
    module = models.mlp(3)
    data = {
        "tensors": [torch.randn(n, 6) for n in lengths],
        "m": [{"x": [0.0] * n} for n in lengths],
    }
    fisher = Fisher(module, data, scores, batch_size=2, vectorize="graph")
    fisher.measure("tensors", models.zeros(module))
    assert seen == [[2, 2], [3, 5], [7, 9]]
    assert fisher.rows("tensors") == [0, 1, 2, 3, 4, 5]
    seen.clear()
    by_items = Fisher(module, data, scores, batch_size=3, vectorize="graph", collate=to_rows)
    by_items.measure("m", models.zeros(module))
    assert seen == [[2, 2, 3], [5, 7, 9]]


def to_rows(rows: list[dict[str, list[float]]]) -> list[Tensor]:
    return [torch.ones(len(row["x"]), 6) for row in rows]


PINNED = [0, 3, 6]


def test_the_mean_is_over_the_rows_in_use() -> None:
    module, x = build("mlp", 3, 4, torch.float64)
    fisher = Fisher(module, {"m": x}, call, samples=30, batch_size=3)
    expected = models.loop_fisher(module, call, [x[i : i + 1] for i in range(4)])
    assert models.largest_difference(measure(fisher, module), expected) <= 1e-9
    one = Fisher(module, {"m": x[:1]}, call)
    expected = models.loop_fisher(module, call, [x[:1]])
    assert models.largest_difference(measure(one, module), expected) <= 1e-9


def test_nan_scores_give_nan() -> None:
    module, x = build("mlp", 3, 6, torch.float32)
    fisher = Fisher(module, {"m": x}, call)
    with torch.no_grad():
        module[0].weight[0, 0] = torch.nan
    assert all(t.isnan().all() for t in measure(fisher, module, torch.float32).values())


def test_wrong_arguments_are_named() -> None:
    module, x = build("mlp", 3, 4, torch.float32)
    data = {"m": x}
    for match, arguments in {
        "kind is 'e'": {"kind": "e"},
        "target is 'e'": {"target": "e"},
        "vectorize is 'fast'": {"vectorize": "fast"},
        "samples is 0": {"samples": 0},
        "batch_size is 0": {"batch_size": 0},
        "labels are needed": {"kind": "empirical"},
        "by no other kind": {"labels": {"m": [0]}},
    }.items():
        with pytest.raises(ValueError, match=match):
            Fisher(module, data, call, **arguments)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="TensorDataset"):
        Fisher(module, {"m": (x, x)}, call)
    with pytest.raises(TypeError, match="data is a Tensor; pass a dict"):
        Fisher(module, x, call)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"is a DataLoader.*its dataset"):
        Fisher(module, {"m": torch.utils.data.DataLoader(x)}, call)
    with pytest.raises(TypeError, match=r"returned a dict; return the Tensor \[2, K\]"):
        measure(Fisher(module, data, lambda m, r: {"logits": m(r)}), module)
    with pytest.raises(ValueError, match="no rows"):
        Fisher(module, {"m": []}, call)
    with pytest.raises(KeyError, match="no Fisher data for model 'z'"):
        Fisher(module, data, call).measure("z", {})
    with pytest.raises(KeyError, match="no parameter 'q'"):
        Fisher(module, data, call).measure("m", {"q": torch.zeros(1)})
    with pytest.raises(ValueError, match="has shape"):
        Fisher(module, data, call).measure("m", {"0.bias": torch.zeros(1)})
    with pytest.raises(TypeError, match="float32"):
        Fisher(module, data, call).measure("m", {"0.bias": torch.zeros(9, dtype=torch.int64)})
    with pytest.raises(ValueError, match=r"must return \[2, K\]"):
        measure(Fisher(module, data, lambda m, r: m(r)[0]), module)
    with pytest.raises(ValueError, match="one class"):
        measure(Fisher(module, data, lambda m, r: m(r)[:, :1]), module)
    with pytest.raises(ValueError, match="without a gradient"):
        measure(Fisher(module, data, lambda m, r: m(r).detach()), module)
    with pytest.raises(ValueError, match="label 9 of row 1"):
        measure(Fisher(module, data, call, kind="empirical", labels={"m": [0, 9, 0, 0]}), module)
