"""Which way each parameter is measured, and what happens when a way fails."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from ._fallback import add_squares_func, add_squares_row
from ._graph import LayoutMemory, RecordedGraph
from ._sampling import Sampling

ROUTES = ("graph", "func", "loop")
"""Fastest first."""

# Largest accepted difference between two rows measured together and the same rows one by one,
# relative to a parameter's largest Fisher entry. Both are rounded in the model's own precision
# (the second number: 16-bit), so this only has to tell rounding from a wrong answer.
_AGREEMENT, _AGREEMENT_HALF = 1e-3, 0.1
# Entries below this fraction of the model's largest are rounding only, the square of the unit
# roundoff with room above it. Attention's key bias is such a parameter: its gradient is zero.
_NOISE, _NOISE_HALF = 1e-9, 1e-3

Named = Mapping[str, Tensor]


class Routes:
    """Adds the squared gradients of rows to accumulators, each parameter by its best route.

    `wanted` is one of `ROUTES` or "auto". `taken` maps each parameter measured so far to its
    route.
    """

    def __init__(self, sampling: Sampling, wanted: str) -> None:
        if wanted not in ("auto", *ROUTES):
            raise ValueError(f"vectorize is '{wanted}'; choose one of auto, {', '.join(ROUTES)}")
        self.sampling = sampling
        self.wanted = wanted
        self.taken: dict[str, str] = {}
        self._layouts: LayoutMemory = {}
        self._slower: dict[str, str] = {}
        self._compared: set[str] = set()
        self._half_precision = False
        self._warned = False

    def compare(self, model: str, rows: Sequence[int], parameters: Named) -> None:
        """Measure rows together and one by one; what differs goes to the loop from now on.

        Done once for a model, and only where the route is this class's choice.
        """
        if self.wanted != "auto" or len(rows) < 2 or model in self._compared:
            return
        self._compared.add(model)
        together = {n: torch.zeros(p.shape) for n, p in parameters.items()}
        alone = {n: torch.zeros(p.shape) for n, p in parameters.items()}
        self.add(model, rows, parameters, together, 1.0)
        self._add_loop(model, rows, parameters, alone, 1.0)
        half = self._half_precision
        tolerance = _AGREEMENT_HALF if half else _AGREEMENT
        largest = {n: t.max().item() for n, t in alone.items() if t.numel()}
        noise = (_NOISE_HALF if half else _NOISE) * max(largest.values(), default=0.0)
        wrong = [
            name
            for name, scale in largest.items()
            if (together[name] - alone[name]).abs().max() > tolerance * max(scale, noise)
        ]
        self._use_loop(
            wrong,
            "rows measured together and one by one differ: a row's scores seem to depend on the "
            "other rows of its batch (mask the padding, avoid batch statistics)",
        )

    def add(
        self, model: str, rows: Sequence[int], parameters: Named, into: Named, weight: float
    ) -> None:
        """Add weight * (sum over rows and seeds of squared gradients) of one batch of rows."""
        left = dict(parameters)
        if self.wanted in ("auto", "graph") and len(rows) > 1:
            left = self._add_graph(model, rows, left, into, weight)
        if self.wanted == "func" or (self.wanted == "auto" and len(rows) > 1):
            left = self._add_func(model, rows, left, into, weight)
        if left:
            self._add_loop(model, rows, left, into, weight)
            if len(rows) > 1 or self.wanted == "loop":
                self.taken.update(dict.fromkeys(left, "loop"))

    def _add_graph(
        self, model: str, rows: Sequence[int], parameters: Named, into: Named, weight: float
    ) -> dict[str, Tensor]:
        """Add what the recorded graph covers; return the rest."""
        mine = {n: p for n, p in parameters.items() if n not in self._slower}
        rest = {n: p for n, p in parameters.items() if n not in mine}
        if not mine:
            return rest
        scores = self.sampling.scores(self.sampling.batch(model, rows), len(rows))
        if _is_nan(scores, mine, into):
            return rest
        with torch.autocast("cpu", enabled=False):
            seeds = self.sampling.seeds(model, rows, scores)
            try:
                graph = RecordedGraph(scores, self._layouts)
            except AttributeError as error:
                uncovered = dict.fromkeys(mine, f"below an unknown node of autograd ({error})")
            else:
                self._half_precision |= graph.half_precision
                uncovered = graph.add_squares(mine, seeds, into, weight)
        for name, reason in uncovered.items():
            if self.wanted == "graph":
                raise RuntimeError(f"parameter '{name}' is {reason}; use vectorize='auto'")
            self._slower[name] = "func"
            rest[name] = mine[name]
        self.taken.update({n: "graph" for n in mine if n not in uncovered})
        return rest

    def _add_func(
        self, model: str, rows: Sequence[int], parameters: Named, into: Named, weight: float
    ) -> dict[str, Tensor]:
        """Add what torch.func can vectorise; return the rest."""
        mine = {n: p for n, p in parameters.items() if self._slower.get(n) != "loop"}
        rest = {n: p for n, p in parameters.items() if n not in mine}
        if not mine:
            return rest
        sampling = self.sampling
        batch = sampling.batch(model, rows)
        scores = sampling.scores(batch, len(rows))
        if _is_nan(scores, mine, into):
            return rest
        seeds = sampling.seeds(model, rows, scores)
        try:
            add_squares_func(sampling.module, sampling.log_probs, batch, mine, seeds, into, weight)
        except Exception as error:  # vmap and the caller's function may raise anything here
            reason = (str(error).strip() or type(error).__name__).split("\n")[0]
            if self.wanted == "func":
                raise RuntimeError(f"torch.func cannot vectorise log_probs: {reason}") from error
            self._use_loop(mine, f"torch.func could not vectorise log_probs: {reason}")
            return {**rest, **mine}
        self.taken.update(dict.fromkeys(mine, "func"))
        return rest

    def _add_loop(
        self, model: str, rows: Sequence[int], parameters: Named, into: Named, weight: float
    ) -> None:
        for row in rows:
            scores = self.sampling.scores(self.sampling.batch(model, [row]), 1)
            if _is_nan(scores, parameters, into):
                return
            with torch.autocast("cpu", enabled=False):
                seeds = self.sampling.seeds(model, [row], scores)
                add_squares_row(scores, parameters, seeds, into, weight)

    def _use_loop(self, names: Iterable[str], reason: str) -> None:
        names = [n for n in names if self._slower.get(n) != "loop"]
        self._slower.update(dict.fromkeys(names, "loop"))
        if names and not self._warned:
            self._warned = True
            warnings.warn(
                f"Fisher: {len(names)} parameters ('{names[0]}' first) are measured by a slow "
                f"loop over rows; {reason}",
                stacklevel=2,
            )


def _is_nan(scores: Tensor, parameters: Named, into: Named) -> bool:
    """Mark the accumulators if the model has diverged: its Fisher is not a number."""
    if not bool(scores.isnan().any()):
        return False
    for name in parameters:
        into[name].fill_(torch.nan)
    return True
