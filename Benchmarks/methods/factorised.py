"""Methods that factorise, beside the same formulas in torch: 4 matrices of 768 x 768, F32."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor

import dfmerge

MATRICES, SIDE, MODELS = 4, 768, 3
#: Largest difference that is taken for rounding, relative to the largest element of the change.
ERROR = 1e-2

Weights = dict[str, Tensor]


class Matrices:
    """A base and models whose changes have some strong directions and noise."""

    def __init__(self, count: int = MATRICES) -> None:
        draws = torch.Generator().manual_seed(0)

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=draws)

        self.base = {f"matrix{i}": 0.02 * normal(SIDE, SIDE) for i in range(count)}
        self.models = [
            {
                name: value + 1e-3 * normal(SIDE, SIDE) + 1e-3 * normal(SIDE, 16) @ normal(16, SIDE)
                for name, value in self.base.items()
            }
            for _ in range(MODELS)
        ]
        self.out = {name: torch.zeros_like(value) for name, value in self.base.items()}


def polar(a: Tensor) -> Tensor:
    """The orthogonal polar factor."""
    u, _, v = torch.linalg.svd(a, full_matrices=False)
    factor: Tensor = u @ v
    return factor


def iso_c(changes: list[Tensor]) -> Tensor:
    """mean(s) U V^T of the summed changes."""
    u, s, v = torch.linalg.svd(sum(changes), full_matrices=False)
    change: Tensor = s.mean() * (u @ v)
    return change


def iso_cts(changes: list[Tensor], common: float = 0.8) -> Tensor:
    """The common directions of the sum, and each change's own beyond them, all of one strength."""
    size = min(changes[0].shape)
    own = round((size - int(common * size)) / len(changes))
    kept = size - own * len(changes)
    u, s, v = torch.linalg.svd(sum(changes), full_matrices=False)
    u, s, v = u[:, :kept], s[:kept], v[:kept]
    parts = [
        torch.linalg.svd(change - u @ (u.T @ change), full_matrices=False) for change in changes
    ]
    us = torch.cat([part[0][:, :own] for part in parts] + [u], dim=1)
    vs = torch.cat([part[2][:own] for part in parts] + [v])
    strength = torch.cat([part[1][:own] for part in parts] + [s]).mean()
    return strength * (polar(us) @ polar(vs))


def tsv_m(changes: list[Tensor]) -> Tensor:
    """The strongest directions of each change, made orthogonal to each other."""
    kept = min(changes[0].shape) // len(changes)
    parts = [torch.linalg.svd(change, full_matrices=False) for change in changes]
    us = torch.cat([part[0][:, :kept] for part in parts], dim=1)
    vs = torch.cat([part[2][:kept] for part in parts])
    s = torch.cat([part[1][:kept] for part in parts])
    return (polar(us) * s) @ polar(vs)


def opcm(changes: list[Tensor], alpha: float = 0.5) -> Tensor:
    """The changes one after the other, each without the strongest directions of what is there.

    Without the rescaling in between, which cancels out, and without that to the mean norm.
    """
    merged = changes[0]
    for change in changes[1:]:
        u, s, v = torch.linalg.svd(merged, full_matrices=False)
        first = int((s.cumsum(0) > alpha * s.sum()).int().argmax())
        inner = u.T @ change @ v.T
        kept = torch.zeros_like(inner)
        kept[:first, :first] = inner[:first, :first]
        kept.diagonal().copy_(inner.diagonal())
        merged = merged + change - u @ kept @ v
    return merged


def as_it_is(changes: list[Weights], merged: Weights) -> Weights:
    """What most formulas give is the change from the base."""
    return merged


def rescaled(changes: list[Weights], merged: Weights) -> Weights:
    """A merged change with the mean norm of the changes, over the whole model."""
    norm = sum(length(change) for change in changes) / len(changes)
    return {name: value * (norm / length(merged)) for name, value in merged.items()}


def length(change: Weights) -> float:
    """The norm over all matrices."""
    return float(sum(value.double().square().sum() for value in change.values()) ** 0.5)


FORMULAS: dict[str, Callable[[list[Tensor]], Tensor]] = {
    "iso_c": iso_c,
    "iso_cts": iso_cts,
    "opcm": opcm,
    "tsv_m": tsv_m,
}
#: What follows once every matrix is merged.
AFTERWARDS = {"opcm": rescaled}


class Sides:
    """Both sides of one method on the same matrices; each call gives its seconds."""

    def __init__(self, method: str, matrices: Matrices, threads: int) -> None:
        self._method, self._matrices, self._threads = method, matrices, threads
        self._theirs: Weights = {}

    def ours(self) -> float:
        """Merge in memory, into memory that is there."""
        given = self._matrices
        start = time.perf_counter()
        dfmerge.merge(given.base, given.models, self._method, out=given.out, threads=self._threads)
        return time.perf_counter() - start

    def torch(self) -> float:
        """The formula, matrix by matrix."""
        formula, base = FORMULAS[self._method], self._matrices.base
        start = time.perf_counter()
        changes = [
            {name: model[name] - value for name, value in base.items()}
            for model in self._matrices.models
        ]
        merged = {name: formula([change[name] for change in changes]) for name in base}
        merged = AFTERWARDS.get(self._method, as_it_is)(changes, merged)
        self._theirs = {name: value + merged[name] for name, value in base.items()}
        return time.perf_counter() - start

    def error(self) -> float:
        """How far the results are apart, relative to the largest change; both must have run."""
        gaps = []
        for name, base in self._matrices.base.items():
            gap = (self._matrices.out[name] - self._theirs[name]).abs().max()
            gaps.append(float(gap / (self._theirs[name] - base).abs().max()))
        return max(gaps)
