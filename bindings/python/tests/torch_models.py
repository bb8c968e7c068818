"""Models, rows and the plain per-row measurement that the Fisher tests compare with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

Scores = Callable[[Any, Any], Tensor]


def loop_fisher(
    module: nn.Module, scores: Scores, rows: list[Any], target: str = "class"
) -> dict[str, Tensor]:
    """The definition, written out: one row, one class, one full backward pass at a time."""
    module.eval()
    parameters = dict(module.named_parameters())
    out = {name: torch.zeros(p.shape, dtype=torch.float64) for name, p in parameters.items()}
    for row in rows:
        classes = scores(module, row).shape[1]
        for y in range(classes):
            z = scores(module, row)[0]
            log_p = torch.log_softmax(z, 0)
            value = log_p[y] if target == "class" else z[y]
            if not torch.isfinite(value):
                continue
            gradients = torch.autograd.grad(value, list(parameters.values()), allow_unused=True)
            p = log_p[y].exp().item()
            for name, gradient in zip(parameters, gradients, strict=True):
                if gradient is not None:
                    out[name] += p * gradient.double().square() / len(rows)
    return out


def zeros(module: nn.Module, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    return {name: torch.zeros(p.shape, dtype=dtype) for name, p in module.named_parameters()}


def largest_difference(got: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> float:
    """Largest difference of any parameter, relative to that parameter's largest entry.

    Parameters whose entries are all below 1e-8 of the model's largest are compared with that
    instead: theirs is rounding, as of attention's key bias, whose gradient is zero.
    """
    assert got.keys() == expected.keys()
    floor = 1e-8 * max(value.max().item() for value in expected.values() if value.numel())
    worst = 0.0
    for name, value in expected.items():
        if value.numel():
            scale = max(value.max().item(), floor)
            error = (got[name].double() - value).abs().max().item()
            worst = max(worst, error / scale)
    return worst


def mlp(classes: int) -> nn.Module:
    return nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, classes))


def cnn(classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, stride=2),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.Conv2d(8, 8, 3, padding="same", groups=4, bias=False),
        nn.GroupNorm(2, 8),
        nn.GELU(),
        nn.Conv2d(8, 8, (1, 3), dilation=2, groups=8, padding=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, classes),
    )


class OtherConvolutions(nn.Module):
    """One, two (transposed) and three dimensions, and BatchNorm1d."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.one = nn.Conv1d(2, 4, 3, stride=2, padding=1, groups=2)
        self.norm = nn.BatchNorm1d(4)
        self.back = nn.ConvTranspose2d(4, 3, 2, stride=2, output_padding=1)
        self.three = nn.Conv3d(1, 2, 2)
        self.out = nn.Linear(2, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.norm(self.one(x)))
        x = torch.tanh(self.back(x.unsqueeze(2)))
        return self.out(self.three(x.unsqueeze(1)).mean((2, 3, 4)))


class Encoder(nn.Module):
    """A small BERT: own attention, token, type and position embeddings, tied output."""

    def __init__(self, classes: int, width: int = 12, tokens: int = 20) -> None:
        super().__init__()
        self.word = nn.Embedding(tokens, width, padding_idx=0)
        self.position = nn.Embedding(16, width)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.RMSNorm(width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width, bias=False)
        self.mix = nn.Linear(width, width)
        self.classes = classes

    def forward(self, ids: Tensor) -> Tensor:
        """Log-probabilities of the first `classes` tokens, through the tied embedding."""
        rows, length = ids.shape
        x = self.word(ids) + self.position(torch.arange(length))
        q, k, v = (
            layer(x).view(rows, length, 3, -1).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        mask = (ids != 0)[:, None, None, :]
        a = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = self.norm1(x + self.out(a.transpose(1, 2).reshape(rows, length, -1)))
        x = self.norm2(x + self.down(functional.gelu(self.up(x))))
        keep = (ids != 0).unsqueeze(-1).to(x.dtype)
        h = self.mix((x * keep).sum(1) / keep.sum(1))
        z = functional.linear(h, self.word.weight)[:, 1 : self.classes + 1]
        return torch.log_softmax(z, 1)


class TorchTransformer(nn.Module):
    """nn.TransformerEncoderLayer (or a decoder layer), batch first or second."""

    def __init__(self, classes: int, batch_first: bool = True, decoder: bool = False) -> None:
        super().__init__()
        kind = nn.TransformerDecoderLayer if decoder else nn.TransformerEncoderLayer
        self.layer = kind(8, 2, 16, batch_first=batch_first)
        self.out = nn.Linear(8, classes)
        self.batch_first, self.decoder = batch_first, decoder

    def forward(self, x: Tensor) -> Tensor:
        x = x if self.batch_first else x.transpose(0, 1)
        x = self.layer(x, x.flip(1 if self.batch_first else 0)) if self.decoder else self.layer(x)
        x = x if self.batch_first else x.transpose(0, 1)
        return self.out(x[:, 0])


class Twice(nn.Module):
    """One layer used three times, once through its weight alone, on rows and without rows."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.shared = nn.Linear(6, 6)
        self.anchors = nn.Parameter(torch.randn(classes, 6))
        self.scale = nn.Parameter(torch.tensor(1.5))
        self.unused = nn.Parameter(torch.randn(3))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.shared(x))
        x = torch.tanh(self.shared(x)) @ self.shared.weight
        return self.scale * functional.linear(x, self.anchors)


class Bare(nn.Module):
    """Parameters used directly: position, class token, layer scale, hand-written norm."""

    def __init__(self, classes: int, length: int = 5, width: int = 6) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.randn(1, length + 1, width))
        self.token = nn.Parameter(torch.randn(1, 1, width))
        self.gamma = nn.Parameter(torch.randn(width))
        self.mix = nn.Linear(width, width)
        self.head = nn.Parameter(torch.randn(width, classes))
        self.bias = nn.Parameter(torch.randn(classes))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.position
        x = x + self.gamma * torch.tanh(self.mix(x))
        x = x * (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt() * (1 + self.gamma)
        return x[:, 0] @ self.head - self.bias


class Foreign(nn.Module):
    """An operation without a per-row rule (a bilinear form) after an ordinary layer."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.first = nn.Linear(6, 6)
        self.form = nn.Parameter(torch.randn(classes, 6, 6))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.first(x))
        return torch.einsum("bi,kij,bj->bk", x, self.form, x)


class MixesRows(nn.Module):
    """Batch statistics in eval mode: the scores of a row depend on the batch."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.first = nn.Linear(6, 6)
        self.last = nn.Linear(6, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return self.last(torch.tanh(x - 0.5 * x.mean(0)))


def call(module: nn.Module, rows: Any) -> Tensor:
    return module(rows)


def tokens(rows: int, length: int, generator: torch.Generator) -> Tensor:
    """Token rows of different lengths, padded with 0."""
    ids = torch.randint(1, 20, (rows, length), generator=generator)
    lengths = torch.randint(2, length + 1, (rows, 1), generator=generator)
    return ids * (torch.arange(length) < lengths)


CASES: dict[str, Any] = {
    "mlp": (mlp, lambda n, g: torch.randn(n, 6, generator=g)),
    "cnn": (cnn, lambda n, g: torch.randn(n, 3, 7, 6, generator=g)),
    "convolutions": (OtherConvolutions, lambda n, g: torch.randn(n, 2, 9, generator=g)),
    "encoder": (Encoder, lambda n, g: tokens(n, 7, g)),
    "torch-encoder": (TorchTransformer, lambda n, g: torch.randn(n, 4, 8, generator=g)),
    "torch-decoder": (
        lambda k: TorchTransformer(k, decoder=True),
        lambda n, g: torch.randn(n, 3, 8, generator=g),
    ),
    "sequence-first": (
        lambda k: TorchTransformer(k, batch_first=False),
        lambda n, g: torch.randn(n, 4, 8, generator=g),
    ),
    "twice": (Twice, lambda n, g: torch.randn(n, 6, generator=g)),
    "bare": (Bare, lambda n, g: torch.randn(n, 5, 6, generator=g)),
}


def build(name: str, classes: int, rows: int, dtype: torch.dtype) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(7)
    make, data = CASES[name]
    module = make(classes)
    for buffer, value in module.named_buffers():
        if buffer.endswith(("running_mean", "running_var")):
            value.uniform_(0.5, 1.5)
    x = data(rows, torch.Generator().manual_seed(3))
    return module.to(dtype), x.to(dtype) if x.is_floating_point() else x


def measure(fisher: Any, module: nn.Module, dtype: torch.dtype = torch.float64) -> Any:
    out = zeros(module, dtype)
    fisher.measure("m", out)
    return out
