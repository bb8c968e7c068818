"""Where the rows of a batch are in an intermediate result."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ._rows import widen

SECOND = -1
"""Layout of a node's output whose second dimension counts the rows, as in [T, B, D]."""


@dataclass(frozen=True)
class Layout:
    """Where the B rows are in the first dimensions of a node's output.

    `outer` >= 1: dimension 0 counts (outer, B, inner) in that order; outer = 1 is the usual
    batch-first layout, outer = n/B the one with rows innermost. `outer` = SECOND: dimension 1
    is B.
    """

    rows: int
    outer: int = 1

    @staticmethod
    def fits(shape: torch.Size, rows: int) -> tuple[bool, bool, bool]:
        """What decides which layouts a shape allows: dim 0 a multiple, dim 0 equal, dim 1 equal."""
        first = shape[0] if len(shape) else 0
        second = shape[1] if len(shape) >= 3 else 0
        return first > 0 and first % rows == 0, first == rows, second == rows

    def like(self, shape: torch.Size) -> Layout:
        """The same arrangement (rows first, rows last or second) in another shape's size."""
        return self if self.outer in (1, SECOND) else Layout(self.rows, shape[0] // self.rows)

    @staticmethod
    def candidates(shape: torch.Size, rows: int) -> list[Layout]:
        """Layouts that the shape allows, most usual first."""
        found: list[Layout] = []
        multiple, _, second = Layout.fits(shape, rows)
        if multiple:
            inner = shape[0] // rows
            outer = [n for n in range(1, inner + 1) if inner % n == 0]
            # Batch-first, rows innermost, then the mixed ones.
            order = sorted(outer, key=lambda n: (n != 1, n != inner, n))
            found = [Layout(rows, n) for n in order]
        if second:
            found.insert(1 if found else 0, Layout(rows, SECOND))
        return found

    @property
    def dimension(self) -> int:
        """The dimension of the node's output that holds the rows."""
        return 1 if self.outer == SECOND else 0

    def split(self, t: Tensor) -> Tensor:
        """Return t [...] as [B, R, *rest], `rest` being the dimensions that hold no rows."""
        if self.outer == SECOND:
            return t.transpose(0, 1).unsqueeze(1)
        inner = t.shape[0] // (self.outer * self.rows)
        parts = t.reshape(self.outer, self.rows, inner, *t.shape[1:]).transpose(0, 1)
        return parts.reshape(self.rows, self.outer * inner, *t.shape[1:])

    def positions(self, t: Tensor, features: int) -> Tensor:
        """Return t as [B, R, *last `features` dimensions]."""
        parts = self.split(t)
        tail = parts.shape[parts.dim() - features :]
        return parts.reshape(self.rows, -1, *tail)

    def broadcast(self, shape: torch.Size, output: torch.Size) -> list[int] | None:
        """Dimensions `shape` keeps of one row's `output`, None if it has rows of its own."""
        if len(shape) > len(output):
            return None
        aligned = [1] * (len(output) - len(shape)) + list(shape)
        return (
            aligned[: self.dimension] + aligned[self.dimension + 1 :]
            if (aligned[self.dimension] == 1)
            else None
        )

    def reduce(self, t: Tensor, shape: torch.Size) -> Tensor:
        """Sum t over everything that `shape` was broadcast over, except rows: [B, *shape]."""
        kept = self.broadcast(shape, t.shape)
        assert kept is not None
        parts = self.split(widen(t)).sum(1)
        return parts.sum_to_size(self.rows, *kept).reshape(self.rows, *shape)
