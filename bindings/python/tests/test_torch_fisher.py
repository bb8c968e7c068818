"""Fisher estimators: every kind and route against the written-out loop and closed forms."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torch_models as models  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.nn import functional  # noqa: E402
from torch_models import CASES, build, call, measure, tokens  # noqa: E402

from dfmerge.torch import Fisher, choice_log_likelihood  # noqa: E402
from dfmerge.torch._rules import RULES  # noqa: E402
from dfmerge.torch._seeds import class_factor  # noqa: E402


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("classes", "rows", "batch"), [(2, 7, 3), (3, 6, 6), (6, 11, 4)])
def test_graph_equals_loop_entry_by_entry_in_float64(
    name: str, classes: int, rows: int, batch: int
) -> None:
    module, x = build(name, classes, rows, torch.float64)
    fisher = Fisher(module, {"m": x}, call, samples=None, batch_size=batch, vectorize="graph")
    got = measure(fisher, module)
    expected = models.loop_fisher(module, call, [x[i : i + 1] for i in range(rows)])
    assert fisher.route == "graph"
    for entry, value in expected.items():
        torch.testing.assert_close(got[entry], value, rtol=1e-9, atol=1e-20, msg=entry)


@pytest.mark.parametrize("name", CASES)
def test_graph_equals_loop_in_float32(name: str) -> None:
    module, x = build(name, 4, 10, torch.float32)
    fisher = Fisher(module, {"m": x}, call, samples=None, batch_size=4)
    got = measure(fisher, module, torch.float32)
    expected = models.loop_fisher(module, call, [x[i : i + 1] for i in range(10)])
    assert fisher.route == "graph"
    assert models.largest_difference(got, expected) <= 1e-5


@pytest.mark.parametrize("name", ["cnn", "encoder", "sequence-first"])
def test_large_products_are_formed_row_by_row(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dfmerge.torch._rows._BATCHED_PRODUCT_LIMIT", 0)
    module, x = build(name, 3, 6, torch.float64)
    for dtype, tolerance in ((torch.float64, 1e-9), (torch.float32, 1e-5)):
        module = module.to(dtype)
        data = x.to(dtype) if x.is_floating_point() else x
        fisher = Fisher(module, {"m": data}, call, vectorize="graph")
        expected = models.loop_fisher(module, call, [data[i : i + 1] for i in range(6)])
        got = measure(fisher, module, torch.float32 if dtype is torch.float32 else torch.float64)
        assert models.largest_difference(got, expected) <= tolerance


@pytest.mark.parametrize("length", [2, 3, 4, 6, 8, 12])
@pytest.mark.parametrize("rows", [2, 4])
def test_rows_are_found_when_lengths_match_the_batch(rows: int, length: int) -> None:
    """Shapes alone cannot tell rows from positions when one divides the other."""
    generator = torch.Generator().manual_seed(length)
    ids = tokens(rows, length, generator)
    x = torch.randn(rows, length, 8, generator=generator, dtype=torch.float64)
    torch.manual_seed(0)
    for module, data in (
        (models.Encoder(3).double(), ids),
        (models.TorchTransformer(3, batch_first=False).double(), x),
        (models.TorchTransformer(3, batch_first=False, decoder=True).double(), x),
    ):
        fisher = Fisher(module, {"m": data}, call, vectorize="graph")
        expected = models.loop_fisher(module, call, [data[i : i + 1] for i in range(rows)])
        assert models.largest_difference(measure(fisher, module), expected) <= 1e-9


def test_layouts_are_found_again_when_the_length_changes() -> None:
    torch.manual_seed(0)
    module = models.TorchTransformer(3, batch_first=False).double()
    rows = [torch.randn(1, t, 8, dtype=torch.float64) for t in (1, 1, 3, 3, 5, 5, 2, 2)]
    fisher = Fisher(module, {"m": rows}, call, collate=torch.cat, batch_size=2, vectorize="graph")
    expected = models.loop_fisher(module, call, rows)
    assert models.largest_difference(measure(fisher, module), expected) <= 1e-9


@pytest.mark.parametrize("order", ["rows-first", "choices-first"])
def test_choices_flattened_into_the_batch(order: str) -> None:
    """A model that scores every choice as a sequence of its own: B x C sequences."""
    torch.manual_seed(0)
    module = models.Encoder(6).double()
    x = torch.stack([tokens(3, 5, torch.Generator().manual_seed(i)) for i in range(4)])

    def scores(module: nn.Module, batch: Tensor) -> Tensor:
        count = len(batch)
        if order == "rows-first":
            return module(batch.flatten(0, 1))[:, 1].view(count, 3)
        return module(batch.transpose(0, 1).flatten(0, 1))[:, 1].view(3, count).t()

    fisher = Fisher(module, {"m": x}, scores, target="choice", vectorize="graph")
    expected = models.loop_fisher(module, scores, [x[i : i + 1] for i in range(4)], "choice")
    assert models.largest_difference(measure(fisher, module), expected) <= 1e-9


def test_anchors_encoded_by_the_same_model_have_no_rows() -> None:
    """Label texts encoded in the same call: uses of the embedding with rows and without."""
    torch.manual_seed(0)
    word = nn.Embedding(20, 5).double()
    x = torch.randint(0, 20, (6, 4))
    labels = torch.tensor([[1, 2], [3, 1], [7, 8]])

    def scores(module: nn.Module, batch: Tensor) -> Tensor:
        return module(batch).mean(1) @ module(labels).sum(1).t()

    fisher = Fisher(word, {"m": x}, scores)
    expected = models.loop_fisher(word, scores, [x[i : i + 1] for i in range(6)])
    assert models.largest_difference(measure(fisher, word), expected) <= 1e-9
    assert fisher.route == "graph"


def test_exact_equals_the_closed_form_of_softmax_regression() -> None:
    """F(W_ki) = mean p_k (1 - p_k) x_i^2, F(b_k) = mean p_k (1 - p_k), in NumPy."""
    torch.manual_seed(1)
    module = nn.Linear(5, 4).double()
    x = torch.randn(12, 5, dtype=torch.float64)
    w, b = (p.detach().numpy() for p in module.parameters())
    z = x.numpy() @ w.T + b
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    spread = p * (1 - p)
    for vectorize in ("graph", "func", "loop"):
        fisher = Fisher(module, {"m": x}, call, vectorize=vectorize)
        got = measure(fisher, module)
        expected = (spread[:, :, None] * x.numpy()[:, None, :] ** 2).mean(0)
        np.testing.assert_allclose(got["weight"].numpy(), expected, rtol=1e-12)
        np.testing.assert_allclose(got["bias"].numpy(), spread.mean(0), rtol=1e-12)


@pytest.mark.parametrize("classes", [2, 3, 5, 6])
def test_class_factor_is_a_factor_even_at_certainty(classes: int) -> None:
    z = torch.randn(50, classes, dtype=torch.float64) * torch.logspace(-1, 2.5, 50)[:, None]
    p = torch.cat([torch.softmax(z, 1), torch.eye(classes, dtype=torch.float64)])
    s = class_factor(p)
    assert s.shape == (classes - 1, len(p), classes)
    product = torch.einsum("jbi,jbk->bik", s, s)
    expected = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    torch.testing.assert_close(product, expected, rtol=1e-9, atol=1e-15)
    # p (1 - p) with 1 - p as the sum of the others: exact to the last digits, however small.
    others = p @ (1 - torch.eye(classes, dtype=torch.float64))
    diagonal = product.diagonal(dim1=1, dim2=2)
    torch.testing.assert_close(diagonal, p * others, rtol=1e-12, atol=0)


def test_logits_and_log_probabilities_give_the_same() -> None:
    module, x = build("mlp", 3, 8, torch.float64)
    for kind in ("exact", "sampled"):
        first = measure(Fisher(module, {"m": x}, call, kind=kind), module)
        other = Fisher(module, {"m": x}, lambda m, r: torch.log_softmax(m(r), 1), kind=kind)
        assert models.largest_difference(measure(other, module), first) <= 1e-12


def test_sampled_converges_to_exact() -> None:
    module, x = build("mlp", 3, 4, torch.float64)
    exact = measure(Fisher(module, {"m": x}, call), module)
    many = x.repeat(3000, 1)
    fisher = Fisher(module, {"m": many}, call, kind="sampled", samples=None, batch_size=1000)
    # 12,000 draws of 3 classes: the standard error of an entry is about 1 % of the largest.
    assert models.largest_difference(measure(fisher, module), exact) <= 0.05
    few = Fisher(module, {"m": x}, call, kind="sampled")
    assert models.largest_difference(measure(few, module), exact) > 0.05
    torch.testing.assert_close(measure(few, module), measure(few, module), rtol=0, atol=0)


def test_sampled_depends_on_the_seed() -> None:
    module, x = build("mlp", 3, 30, torch.float64)
    runs = [measure(Fisher(module, {"m": x}, call, kind="sampled", seed=s), module) for s in (0, 1)]
    assert models.largest_difference(runs[1], runs[0]) > 0.01


@pytest.mark.parametrize("given", ["mapping", "callable"])
@pytest.mark.parametrize("vectorize", ["graph", "func", "loop"])
def test_empirical_uses_the_given_labels(given: str, vectorize: Any) -> None:
    module, x = build("mlp", 3, 7, torch.float64)
    y = torch.tensor([0, 2, 1, 1, 0, 2, 2])
    labels: Any = {"m": y} if given == "mapping" else lambda row: row[1]
    data: Any = x if given == "mapping" else [(x[i], int(y[i])) for i in range(7)]
    fisher = Fisher(
        module,
        {"m": data},
        call,
        kind="empirical",
        labels=labels,
        vectorize=vectorize,
        collate=None if given == "mapping" else lambda rows: torch.stack([r[0] for r in rows]),
    )
    got = measure(fisher, module)
    for name, parameter in module.named_parameters():
        expected = sum(
            torch.autograd.grad(
                functional.cross_entropy(module(x[i : i + 1]), y[i : i + 1]), parameter
            )[0].square()
            / 7
            for i in range(7)
        )
        torch.testing.assert_close(got[name], expected, rtol=1e-9, atol=1e-20)


@pytest.mark.parametrize("vectorize", ["auto", "graph", "loop"])
def test_choice_target_is_the_papers(vectorize: Any) -> None:
    """sum_c pi_c (grad lp_c)^2, written out, with a choice missing in some rows."""
    torch.manual_seed(2)
    module = nn.Embedding(11, 11).double()
    inputs = torch.randint(0, 11, (5, 3, 4))
    targets = torch.randint(0, 11, (5, 3, 4))
    targets[:, :, 3] = -100
    targets[1, 2] = targets[4, 0] = -100

    def scores(module: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return choice_log_likelihood(module(batch[0]), batch[1])

    data = torch.utils.data.TensorDataset(inputs, targets)
    got = measure(
        Fisher(module, {"m": data}, scores, target="choice", vectorize=vectorize, batch_size=2),
        module,
    )["weight"]
    expected = torch.zeros_like(got)
    for ids, wanted in zip(inputs, targets, strict=True):
        values = []
        for choice in range(3):
            scored = [t for t in range(4) if wanted[choice, t] >= 0]
            log_p = torch.log_softmax(module(ids[choice]), -1)
            if scored:
                values.append(sum(log_p[t, wanted[choice, t]] for t in scored) / len(scored))
        pi = torch.softmax(torch.stack(values).detach(), 0)
        for weight, value in zip(pi, values, strict=True):
            (gradient,) = torch.autograd.grad(value, module.weight, retain_graph=True)
            expected += weight * gradient.square() / 5
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-18)


def test_choice_log_likelihood_masks_and_refuses() -> None:
    logits = torch.randn(2, 3, 5)
    targets = torch.tensor([[1, 2, -100], [-100, 4, 0]])
    mask = torch.tensor([[1, 1, 1], [1, 1, 0]])
    log_p = torch.log_softmax(logits, -1)
    expected = torch.stack([(log_p[0, 0, 1] + log_p[0, 1, 2]) / 2, log_p[1, 1, 4]])
    torch.testing.assert_close(choice_log_likelihood(logits, targets, mask), expected)
    assert choice_log_likelihood(logits.bfloat16(), targets).dtype == torch.float32
    assert choice_log_likelihood(logits, torch.full((2, 3), -100)).isneginf().all()
    with pytest.raises(ValueError, match="one target per position"):
        choice_log_likelihood(logits, targets[:, :2])
    with pytest.raises(ValueError, match="mask has shape"):
        choice_log_likelihood(logits, targets, mask[:, :2])


def test_only_what_has_no_rule_takes_torch_func() -> None:
    torch.manual_seed(0)
    module, x = models.Foreign(3).double(), torch.randn(9, 6, dtype=torch.float64)
    fisher = Fisher(module, {"m": x}, call, batch_size=4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = measure(fisher, module)
    expected = models.loop_fisher(module, call, [x[i : i + 1] for i in range(9)])
    assert models.largest_difference(got, expected) <= 1e-9
    assert fisher.route == "graph+func"
    assert fisher.routes["first.weight"] == "graph"
    assert fisher.routes["form"] == "func"
    with pytest.raises(RuntimeError, match=r"'form' is used by"):
        measure(Fisher(module, {"m": x}, call, vectorize="graph"), module)


@pytest.mark.parametrize("lost", ["a node's saved tensor", "a node's shape"])
def test_another_torch_whose_graph_reads_differently(
    lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The graph's nodes are private to torch: what cannot be read takes the next route."""

    def missing(*_: Any) -> Any:
        raise AttributeError("'AddmmBackward0' object has no attribute '_saved_mat1'")

    if lost == "a node's shape":
        monkeypatch.setattr("dfmerge.torch._graph._metadata", missing)
    else:
        changed = dataclasses.replace(RULES["AddmmBackward0"], rows=missing)
        monkeypatch.setitem(RULES, "AddmmBackward0", changed)
    module, x = build("cnn", 3, 6, torch.float64)
    fisher = Fisher(module, {"m": x}, call, batch_size=4)
    expected = models.loop_fisher(module, call, [x[i : i + 1] for i in range(6)])
    assert models.largest_difference(measure(fisher, module), expected) <= 1e-9
    assert fisher.routes["9.weight"] == "func"
    assert fisher.route == ("func" if lost == "a node's shape" else "graph+func")


def test_lists_of_rows_without_a_rule_take_the_loop_and_warn() -> None:
    torch.manual_seed(0)
    module = models.Foreign(3).double()
    x = [torch.randn(6, dtype=torch.float64) for _ in range(9)]
    fisher = Fisher(module, {"m": x}, lambda m, rows: m(torch.stack(rows)), batch_size=4)
    with pytest.warns(UserWarning, match="slow loop"):
        got = measure(fisher, module)
    expected = models.loop_fisher(module, call, [t[None] for t in x])
    assert models.largest_difference(got, expected) <= 1e-9
    assert fisher.route == "graph+loop"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        measure(fisher, module)
    with pytest.raises(RuntimeError, match=r"torch\.func cannot vectorise"):
        measure(Fisher(module, {"m": x}, lambda m, r: m(torch.stack(r)), vectorize="func"), module)


def test_scores_that_mix_rows_take_the_loop_and_warn() -> None:
    torch.manual_seed(0)
    module, x = models.MixesRows(3).double(), torch.randn(8, 6, dtype=torch.float64)
    fisher = Fisher(module, {"m": x}, call)
    with pytest.warns(UserWarning, match="slow loop"):
        got = measure(fisher, module)
    expected = models.loop_fisher(module, call, [x[i : i + 1] for i in range(8)])
    assert models.largest_difference(got, expected) <= 1e-9
    assert "loop" in fisher.route


def test_padding_that_leaks_into_the_scores_is_noticed() -> None:
    torch.manual_seed(0)
    module = models.mlp(3).double()
    rows = [torch.randn(n, 6, dtype=torch.float64) for n in (2, 2, 2, 5)]

    def scores(module: nn.Module, rows: list[Tensor]) -> Tensor:
        return module(nn.utils.rnn.pad_sequence(rows, batch_first=True).mean(1))

    fisher = Fisher(module, {"m": rows}, scores)
    with pytest.warns(UserWarning, match="mask the padding"):
        got = measure(fisher, module)
    expected = models.loop_fisher(module, scores, [[row] for row in rows])
    assert models.largest_difference(got, expected) <= 1e-9


def test_func_route_alone_equals_the_loop() -> None:
    for name in ("mlp", "cnn", "twice", "bare"):
        module, x = build(name, 3, 5, torch.float64)
        got = measure(Fisher(module, {"m": x}, call, vectorize="func"), module)
        expected = models.loop_fisher(module, call, [x[i : i + 1] for i in range(5)])
        assert models.largest_difference(got, expected) <= 1e-9, name


def test_bfloat16_autocast_and_weights() -> None:
    module, x = build("encoder", 3, 8, torch.float32)
    del module.key.bias  # its Fisher is zero, and rounding in 16 bits
    module.key.register_parameter("bias", None)
    exact = measure(Fisher(module, {"m": x}, call), module, torch.float32)
    fisher, loop = (Fisher(module, {"m": x}, call, vectorize=v) for v in ("auto", "loop"))
    with torch.autocast("cpu", torch.bfloat16):
        got = measure(fisher, module, torch.float32)
        plain = measure(loop, module, torch.float32)
        assert torch.is_autocast_enabled("cpu")
    assert fisher.route == "graph"
    assert 0 < models.largest_difference(got, exact) < 0.05
    assert models.largest_difference(got, plain) < 0.02
    module.bfloat16()
    fisher = Fisher(module, {"m": x}, call)
    assert models.largest_difference(measure(fisher, module, torch.float32), exact) < 0.2
    assert fisher.route == "graph"
