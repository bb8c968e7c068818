"""Methods that factorise, beside the same formulas in torch: 12 matrices of 768 x 768, F32."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor

import dfmerge

MATRICES, SIDE, MODELS = 12, 768, 3
#: Largest difference that is taken for rounding, relative to the largest element of the change.
ERROR = 1e-2

Weights = dict[str, Tensor]


class Inputs:
    """A base and models whose changes have some strong directions and noise."""

    def __init__(self, matrices: int = MATRICES) -> None:
        draws = torch.Generator().manual_seed(0)

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=draws)

        self.base = {f"matrix{i}": 0.02 * normal(SIDE, SIDE) for i in range(matrices)}
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
    return u @ v


def iso_c(base: Tensor, changes: list[Tensor]) -> Tensor:
    """theta0 + mean(s) U V^T of the summed changes."""
    u, s, v = torch.linalg.svd(sum(changes), full_matrices=False)
    return base + s.mean() * (u @ v)


def iso_cts(base: Tensor, changes: list[Tensor], common: float = 0.8) -> Tensor:
    """The common directions of the sum, and each change's own beyond them, all of one strength."""
    size = min(base.shape)
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
    return base + strength * (polar(us) @ polar(vs))


def tsv_m(base: Tensor, changes: list[Tensor]) -> Tensor:
    """The strongest directions of each change, made orthogonal to each other."""
    kept = min(base.shape) // len(changes)
    parts = [torch.linalg.svd(change, full_matrices=False) for change in changes]
    us = torch.cat([part[0][:, :kept] for part in parts], dim=1)
    vs = torch.cat([part[2][:kept] for part in parts])
    s = torch.cat([part[1][:kept] for part in parts])
    return base + (polar(us) * s) @ polar(vs)


FORMULAS: dict[str, Callable[[Tensor, list[Tensor]], Tensor]] = {
    "iso_c": iso_c,
    "iso_cts": iso_cts,
    "tsv_m": tsv_m,
}


class Sides:
    """Both sides of one method on the same matrices; each call gives its seconds."""

    def __init__(self, method: str, inputs: Inputs, threads: int) -> None:
        self._method, self._inputs, self._threads = method, inputs, threads
        self._theirs: Weights = {}

    def ours(self) -> float:
        """Merge in memory, into memory that is there."""
        start = time.perf_counter()
        dfmerge.merge(
            self._inputs.base,
            self._inputs.models,
            self._method,
            out=self._inputs.out,
            threads=self._threads,
        )
        return time.perf_counter() - start

    def torch(self) -> float:
        """The formula, matrix by matrix."""
        formula = FORMULAS[self._method]
        start = time.perf_counter()
        self._theirs = {
            name: formula(base, [model[name] - base for model in self._inputs.models])
            for name, base in self._inputs.base.items()
        }
        return time.perf_counter() - start

    def error(self) -> float:
        """How far the results are apart, relative to the largest change; both must have run."""
        gaps = []
        for name, base in self._inputs.base.items():
            gap = (self._inputs.out[name] - self._theirs[name]).abs().max()
            gaps.append(float(gap / (self._theirs[name] - base).abs().max()))
        return max(gaps)
