"""The merge step of a search: by DFMerge, as the paper's published code structures it in torch,
and by torch loops that make no new tensors.

With coefficients c_m and Fisher values F_m, the step writes theta0 + c_m tau_m into the target for
each model in turn, where the host would measure F_m, and at last
theta0 + M sum(F_m c_m tau_m) / sum(F_m). `scaled=False` leaves the former out: a search whose
Fisher values are known already has no need of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from t5 import Inputs, Weights
from torch import Tensor

import dfmerge

#: The Fisher values count as they are; the paper's constant was added when they were measured.
NO_EPSILON = 1e-38
#: Elements of a piece whose scratch stays in the cache; of 2^16 to 2^21 the fastest here.
PIECE = 1 << 18


class DFMerge:
    """This library, on two threads, into the target's memory."""

    def __init__(self, inputs: Inputs, threads: int) -> None:
        self._inputs, self._threads = inputs, threads

    def run(self, scaled: bool) -> None:
        """One step."""
        i = self._inputs
        if scaled:
            for model, c in zip(i.models, i.coefficients, strict=True):
                options = {"coefficients": c}
                self._merge([model], "task_arithmetic", options, None)
        options = {"coefficients": i.coefficients, "epsilon": NO_EPSILON}
        self._merge(i.models, "df_merge", options, i.fishers)

    def _merge(
        self, models: list[Weights], method: str, options: dict[str, Any], fishers: Any
    ) -> None:
        dfmerge.merge(
            self._inputs.base,
            models,
            method=method,
            options=options,
            fishers=fishers,
            out=self._inputs.target,
            threads=self._threads,
        )


class Authors:
    """As the published code goes: whole models as dictionaries, a new one for each operation.

    It keeps task vectors, made once; here they stand in the models' memory between `before` and
    `after`. (The published program keeps the models as well; that memory is not counted here.)
    """

    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs

    def before(self) -> None:
        """Turn the models into task vectors."""
        for model in self._inputs.models:
            for name, value in model.items():
                value.sub_(self._inputs.base[name])

    def after(self) -> None:
        """Turn the task vectors back into models."""
        for model in self._inputs.models:
            for name, value in model.items():
                value.add_(self._inputs.base[name])

    def run(self, scaled: bool) -> None:
        """One step."""
        i = self._inputs
        total: Weights | None = None
        weighted: Weights | None = None
        for tau, fisher, c in zip(i.models, i.fishers, i.coefficients, strict=True):
            if scaled:
                point = _both(torch.add, i.base, _each(tau, c))
                self._write(point)
            total = _both(torch.add, total, fisher) if total else _each(fisher, 1.0)
            term = _both(torch.mul, _each(fisher, c), tau)
            weighted = _both(torch.add, weighted, term) if weighted else term
        assert total is not None and weighted is not None
        mean = _both(torch.div, _each(weighted, float(len(i.models))), total)
        self._write(_both(torch.add, mean, i.base))

    def _write(self, weights: Weights) -> None:
        for name, value in self._inputs.target.items():
            value.copy_(weights[name])


def _both(operation: Callable[[Tensor, Tensor], Tensor], a: Weights, b: Weights) -> Weights:
    return {name: operation(a[name], b[name]) for name in a}


def _each(weights: Weights, factor: float) -> Weights:
    return {name: factor * value for name, value in weights.items()}


class InPlace:
    """What torch can do without new tensors: operations in place, with scratch made once.

    It goes tensor by tensor, or by pieces of `piece` elements, so that what an operation leaves is
    still in the cache for the next one.
    """

    def __init__(self, inputs: Inputs, piece: int | None) -> None:
        self._inputs = inputs
        largest = max(tensor.numel() for tensor in inputs.base.values())
        self._piece = piece or largest
        self._scratch = [torch.empty(self._piece) for _ in range(3)]
        pieces = [self._pieces(weights) for weights in (inputs.base, inputs.target)]
        models = zip(*[self._pieces(weights) for weights in inputs.models], strict=True)
        fishers = zip(*[self._pieces(weights) for weights in inputs.fishers], strict=True)
        self._steps = list(zip(*pieces, models, fishers, strict=True))

    def run(self, scaled: bool) -> None:
        """One step."""
        coefficients = self._inputs.coefficients
        if scaled:
            for number, c in enumerate(coefficients):
                for base, target, models, _ in self._steps:
                    torch.lerp(base, models[number], c, out=target)
        for base, target, models, fishers in self._steps:
            total, weighted, tau = (part[: base.numel()] for part in self._scratch)
            for number, c in enumerate(coefficients):
                torch.sub(models[number], base, out=tau)
                if number == 0:
                    total.copy_(fishers[0])
                    torch.mul(tau, fishers[0], out=weighted).mul_(c)
                else:
                    total.add_(fishers[number])
                    weighted.addcmul_(tau, fishers[number], value=c)
            torch.addcdiv(base, weighted, total, value=float(len(models)), out=target)

    def _pieces(self, weights: Weights) -> list[Tensor]:
        return [piece for value in weights.values() for piece in value.view(-1).split(self._piece)]
