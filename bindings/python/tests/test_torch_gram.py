"""The Gram estimator against products that are written out, and RegMean with what it finds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

import dfmerge  # noqa: E402
from dfmerge.torch import gram  # noqa: E402


class Tiny(nn.Module):
    """Tokens in, with a tied head, a shared layer, a pooler and a dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 6)
        self.fc = nn.Linear(6, 8)
        self.twice = nn.Linear(8, 8)
        self.again = nn.Linear(8, 8, bias=False)
        self.again.weight = self.twice.weight
        self.pooler = nn.Linear(8, 6)
        self.head = nn.Linear(6, 11, bias=False)
        self.head.weight = self.embed.weight
        self.unused = nn.Linear(6, 2)
        self.drop = nn.Dropout(0.5)

    def forward(self, ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        x = self.drop(self.fc(self.embed(ids)))
        x = self.again(torch.tanh(self.twice(input=x)).flatten(0, 1)).view_as(x)
        return self.head(self.pooler(x.mean(1)))


def rows(model: Any, batches: list[Tensor], masks: list[Tensor] | None = None) -> dict[str, Tensor]:
    """What goes into each layer, in double, position by position."""
    found: dict[str, list[Tensor]] = {"fc.weight": [], "twice.weight": [], "pooler.weight": []}
    for number, ids in enumerate(batches):
        keep = torch.ones(ids.shape, dtype=torch.bool) if masks is None else masks[number] != 0
        a = model.embed(ids)
        b = model.fc(a)
        c = torch.tanh(model.twice(b))
        d = model.again(c)
        found["fc.weight"].append(a[keep])
        found["twice.weight"] += [b[keep], c[keep]]
        found["pooler.weight"].append(d.mean(1))
    return {name: torch.cat(parts).detach().double() for name, parts in found.items()}


def batches(sizes: list[tuple[int, int]]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randint(0, 11, size, generator=generator) for size in sizes]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("diagonal", [False, True])
def test_means_of_products(dtype: Any, diagonal: bool) -> None:
    torch.manual_seed(0)
    model = Tiny()
    ids = batches([(3, 5), (2, 7), (1, 1)])
    found = gram(model, ids, dtype=dtype, diagonal=diagonal)
    expected = rows(model, ids)
    assert set(found) == set(expected)
    for name, x in expected.items():
        full = x.T @ x / len(x)
        assert found[name].dtype == dtype
        # The model itself computes in float32.
        torch.testing.assert_close(
            found[name].double(), full.diagonal() if diagonal else full, rtol=1e-5, atol=1e-6
        )
    assert model.training and model.drop.training and not model.fc._forward_pre_hooks


def test_masks_leave_padding_out() -> None:
    torch.manual_seed(0)
    model = Tiny().double().eval()
    ids = batches([(3, 5), (2, 7)])
    masks = [torch.ones(one.shape, dtype=torch.int64) for one in ids]
    masks[0][:, 3:] = 0
    masks[1][0, 1:] = 0
    given = [{"ids": i, "attention_mask": m} for i, m in zip(ids, masks, strict=True)]
    expected = rows(model, ids, masks)
    for mask in ("attention_mask", lambda batch: batch["attention_mask"].bool()):
        found = gram(model, given, mask=mask, dtype=torch.float64)
        for name, x in expected.items():
            torch.testing.assert_close(found[name], x.T @ x / len(x), rtol=1e-12, atol=1e-14)
    all_of_it = gram(model, given, dtype=torch.float64)
    for name, x in rows(model, ids).items():
        torch.testing.assert_close(all_of_it[name], x.T @ x / len(x), rtol=1e-12, atol=1e-14)


def test_names_and_forward() -> None:
    torch.manual_seed(0)
    model = Tiny()
    ids = batches([(2, 3)])
    assert set(gram(model, ids, names=["fc*"])) == {"fc.weight"}
    assert set(gram(model, ids, names=["head.weight", "p*"])) == {"head.weight", "pooler.weight"}
    called = []

    def forward(module: Any, batch: Any) -> Any:
        called.append(batch["x"])
        return module(batch["x"])

    gram(model, ({"x": one, "label": 3} for one in ids), forward=forward)
    assert len(called) == 1
    linear = nn.Linear(4, 2)
    x = torch.randn(5, 4)
    torch.testing.assert_close(gram(linear, [(x,)])["weight"], x.T @ x / 5)


def test_layers_of_transformers_that_store_weights_the_other_way() -> None:
    class Conv1D(nn.Module):
        def __init__(self, outputs: int, inputs: int) -> None:
            super().__init__()
            self.nf = outputs
            self.weight = nn.Parameter(torch.randn(inputs, outputs))

        def forward(self, x: Tensor) -> Tensor:
            return x @ self.weight

    model = nn.Sequential(Conv1D(3, 4))
    x = torch.randn(6, 4)
    torch.testing.assert_close(gram(model, [x])["0.weight"], x.T @ x / 6)


def test_under_autocast_products_are_formed_in_full() -> None:
    torch.manual_seed(0)
    linear = nn.Linear(32, 4)
    x = torch.randn(100, 32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = gram(linear, [x])["weight"]
    torch.testing.assert_close(found, x.T @ x / 100)
    half = gram(nn.Linear(32, 4).bfloat16(), [x.bfloat16()])["weight"]
    wide = x.bfloat16().float()
    torch.testing.assert_close(half, wide.T @ wide / 100)


def test_what_is_refused() -> None:
    model = Tiny()
    ids = batches([(2, 3)])
    with pytest.raises(ValueError, match="no linear layer to measure; names"):
        gram(model, ids, names=["nothing"])
    with pytest.raises(ValueError, match="no linear layer"):
        gram(nn.Sequential(nn.Tanh()), ids)
    with pytest.raises(ValueError, match="no batch reached"):
        gram(model, [])
    with pytest.raises(ValueError, match="dtype"):
        gram(model, ids, dtype=torch.float16)
    with pytest.raises(ValueError, match=r"\[rows, positions\]"):
        gram(model, ids, mask=lambda batch: torch.ones(3))
    model.eval()
    model.fc.train()
    with pytest.raises(RuntimeError):
        gram(model, [torch.randn(2, 3)])
    assert model.fc.training and not model.training and not model.fc._forward_pre_hooks


def test_regmean_of_two_models_is_closer_to_both_than_the_mean(tmp_path: Path) -> None:
    """Least squares: no linear layer has less error on the inputs that were measured."""
    torch.manual_seed(0)
    base = nn.Linear(20, 5)
    models, inputs, files = [], [], []
    for number in range(2):
        model = nn.Linear(20, 5)
        with torch.no_grad():
            model.weight.copy_(base.weight + 0.1 * torch.randn_like(base.weight))
        scale = torch.exp(torch.randn(20))
        x = torch.randn(200, 20) * scale
        file = tmp_path / f"{number}.safetensors"
        gram(model, x.split(32), out=file)
        models.append(model.state_dict())
        inputs.append(x)
        files.append(file)
    merged = dfmerge.merge(None, models, method="regmean", grams=files)

    def loss(weight: Tensor) -> float:
        return sum(
            float(((x @ (weight - one["weight"]).T) ** 2).mean())
            for x, one in zip(inputs, models, strict=True)
        )

    mean = (models[0]["weight"] + models[1]["weight"]) / 2
    assert loss(merged["weight"]) < 0.9 * loss(mean)
    for _ in range(5):
        other = merged["weight"] + 0.01 * torch.randn(5, 20)
        assert loss(merged["weight"]) < loss(other)
    np.testing.assert_allclose(
        merged["bias"], (models[0]["bias"] + models[1]["bias"]) / 2, rtol=1e-6
    )
