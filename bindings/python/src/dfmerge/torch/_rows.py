"""Gradients of one parameter, row by row, in the cheapest form each operation allows.

Glossary: B rows of a batch, R positions of one row (tokens, pixels), theta_b the gradient of
row b's seeded score with respect to the parameter. Every class answers two questions: theta_b
itself (`row`), needed where several uses of one parameter must be summed before squaring, and
``acc += weight * sum_b theta_b^2`` (`add_squares`), which most forms get without theta_b.

Arithmetic is in float32, or float64 where the model is; 16-bit inputs are widened first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

# Above this many numbers the outer products of a batch are formed row by row: one row's product
# then stays in cache between its making and its squaring.
_BATCHED_PRODUCT_LIMIT = 1 << 20


class Rows(Protocol):
    """Per-row gradients theta_b [B, *shape] of one parameter."""

    def row(self, b: int) -> Tensor:
        """Return theta_b."""

    def add_squares(self, acc: Tensor, weight: float) -> None:
        """Add weight * sum_b theta_b^2 to acc."""


def widen(t: Tensor) -> Tensor:
    """Return t in float32 if it has 16 bits, else t."""
    return t.float() if t.dtype in (torch.float16, torch.bfloat16) else t


def add_square(acc: Tensor, gradient: Tensor, weight: float) -> None:
    """Add weight * gradient^2 to acc, whatever the two dtypes."""
    if gradient.dtype == acc.dtype:
        acc.addcmul_(gradient, gradient, value=weight)
    else:
        acc.add_(gradient.to(torch.promote_types(acc.dtype, gradient.dtype)).square(), alpha=weight)


class Dense:
    """theta given as it is, [B, *shape]."""

    def __init__(self, theta: Tensor) -> None:
        self.theta = theta

    def row(self, b: int) -> Tensor:
        return self.theta[b]

    def add_squares(self, acc: Tensor, weight: float) -> None:
        acc.add_(self.theta.square().sum(0), alpha=weight)


class OuterProducts:
    """theta_b = left_b^T right_b, left [B, R, p] and right [B, R, q]; viewed as `shape`.

    `left_ends`: left is the output gradient, so that positions after its last non-zero one
    (padding) may be left out; else right is.
    """

    def __init__(self, left: Tensor, right: Tensor, shape: torch.Size, *, left_ends: bool) -> None:
        self.left, self.right = widen(left), widen(right)
        self.shape = shape
        self.left_ends = left_ends

    def row(self, b: int) -> Tensor:
        return torch.mm(self.left[b].t(), self.right[b]).view(self.shape)

    def add_squares(self, acc: Tensor, weight: float) -> None:
        rows, positions, p = self.left.shape
        q = self.right.shape[2]
        if positions == 1:
            # (l_i r_j)^2 = l_i^2 r_j^2: one matrix product for the whole batch.
            squares = torch.mm(self.left[:, 0].square().t(), self.right[:, 0].square())
            acc.add_(squares.view(self.shape), alpha=weight)
        elif rows * p * q <= _BATCHED_PRODUCT_LIMIT:
            product = torch.bmm(self.left.transpose(1, 2), self.right)
            acc.add_(product.square_().sum(0).view(self.shape), alpha=weight)
        else:
            product = self.left.new_empty((p, q))
            for b, end in enumerate(self._ends()):
                torch.mm(self.left[b, :end].t(), self.right[b, :end], out=product)
                add_square(acc, product.view(self.shape), weight)

    def _ends(self) -> list[int]:
        """Positions of each row up to the last one with a gradient."""
        gradient = self.left if self.left_ends else self.right
        places = torch.arange(1, gradient.shape[1] + 1)
        ends: list[int] = (gradient.ne(0).any(-1) * places).amax(1).tolist()
        return ends


class Scatter:
    """theta_b = rows of a table [V, D]: gradient [B, R, D] added at indices [B, R]."""

    def __init__(self, indices: Tensor, gradient: Tensor, shape: torch.Size) -> None:
        self.indices, self.gradient = indices, widen(gradient)
        self.shape = shape

    def row(self, b: int) -> Tensor:
        table = self.gradient.new_zeros(self.shape)
        return table.index_add_(0, self.indices[b], self.gradient[b])

    def add_squares(self, acc: Tensor, weight: float) -> None:
        rows, positions, width = self.gradient.shape
        height = self.shape[0]
        # A key per (row, table entry): entries a row meets twice are summed before squaring.
        keys = self.indices + height * torch.arange(rows)[:, None]
        unique, slot = torch.unique(keys, return_inverse=True)
        sums = self.gradient.new_zeros((unique.numel(), width))
        sums.index_add_(0, slot.flatten(), self.gradient.reshape(rows * positions, width))
        acc.index_add_(0, unique % height, sums.square_().to(acc.dtype), alpha=weight)


class Computed:
    """theta_b from a function of b; also the gradient of something the parameter feeds."""

    def __init__(self, rows: int, make: Callable[[int], Tensor]) -> None:
        self.rows = rows
        self.make = make

    def row(self, b: int) -> Tensor:
        return self.make(b)

    def add_squares(self, acc: Tensor, weight: float) -> None:
        for b in range(self.rows):
            add_square(acc, self.make(b), weight)


def add_squares_of_sum(parts: list[Rows], rows: int, acc: Tensor, weight: float) -> None:
    """Add weight * sum_b (sum of the parts' theta_b)^2 to acc.

    A parameter used in several places (tied weights, a module called twice) has one gradient:
    the sum of its uses', which must be formed before it is squared.
    """
    if len(parts) == 1:
        parts[0].add_squares(acc, weight)
        return
    for b in range(rows):
        total = parts[0].row(b)
        for part in parts[1:]:
            total = total + part.row(b)
        add_square(acc, total, weight)
