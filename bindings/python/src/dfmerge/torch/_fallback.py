"""Per-row gradients for what the recorded graph's rules do not cover.

`func`: torch.func.vmap over rows of a vector-Jacobian product; needs rows stacked in tensors.
`loop`: one forward pass per row and one backward pass per row and seed; needs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from ._rows import add_square

Scores = Callable[[nn.Module, Any], Tensor]
# vmap holds one gradient per row of the chunk; this many numbers at once.
_NUMBERS_PER_CHUNK = 1 << 26


class _Scorer(nn.Module):
    """The score function as a module, so that functional_call can swap its parameters."""

    def __init__(self, module: nn.Module, scores: Scores) -> None:
        super().__init__()
        self.module = module
        self.scores = scores

    def forward(self, batch: Any) -> Tensor:
        return self.scores(self.module, batch)


def add_squares_func(
    module: nn.Module,
    scores: Scores,
    batch: Any,
    parameters: Mapping[str, Tensor],
    seeds: Tensor,
    accumulators: Mapping[str, Tensor],
    weight: float,
) -> None:
    """Add weight * sum over seeds [S, B, K] and rows of squared gradients, by torch.func.

    `batch` must be a tensor or a nest of tensors whose first dimension counts the rows. Raises
    whatever vmap raises on a score function it cannot transform; nothing is added then.
    """
    rows = seeds.shape[1]
    leaves = pytree.tree_leaves(batch)
    if not leaves or any(not isinstance(t, Tensor) or t.shape[:1] != (rows,) for t in leaves):
        raise TypeError("the batch is not made of tensors with one entry per row")
    scorer = _Scorer(module, scores)
    numbers = sum(p.numel() for p in parameters.values())
    chunk = max(1, min(rows, _NUMBERS_PER_CHUNK // max(numbers, 1)))

    def seeded(values: dict[str, Tensor], row: Any, seed: Tensor) -> Tensor:
        one = pytree.tree_map(lambda t: t.unsqueeze(0), row)
        out = torch.func.functional_call(scorer, values, (one,))
        assert isinstance(out, Tensor)
        return (out[0] * seed).sum()

    gradient = torch.func.vmap(
        torch.func.grad(seeded), in_dims=(None, 0, 0), chunk_size=chunk, randomness="same"
    )
    values = {f"module.{name}": p.detach() for name, p in parameters.items()}
    # All seeds first: a failure in any leaves the accumulators as they were.
    sums = {name: torch.zeros_like(acc) for name, acc in accumulators.items() if name in parameters}
    for seed in seeds:
        for name, theta in gradient(values, batch, seed).items():
            total = theta.to(torch.promote_types(theta.dtype, torch.float32)).square().sum(0)
            sums[name.removeprefix("module.")].add_(total)
    for name, total in sums.items():
        accumulators[name].add_(total, alpha=weight)


def add_squares_row(
    scores: Tensor,
    parameters: Mapping[str, Tensor],
    seeds: Tensor,
    accumulators: Mapping[str, Tensor],
    weight: float,
) -> None:
    """Add weight * sum over seeds [S, 1, K] of squared gradients of one row's scores [1, K]."""
    names = list(parameters)
    for seed in seeds:
        gradients = torch.autograd.grad(
            scores, list(parameters.values()), seed, retain_graph=True, allow_unused=True
        )
        for name, gradient in zip(names, gradients, strict=True):
            if gradient is not None:
                add_square(accumulators[name], gradient, weight)
