"""From a model's name to batches of its fixed rows, their scores and output seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils import data as torch_data

from ._seeds import choose_rows, output_seeds, row_uniforms

Labels = Mapping[str, Any] | Callable[[Any], int]


@dataclass(frozen=True)
class Sampling:
    """Rows, scores and seeds of a Fisher measurement; the fields are `Fisher`'s parameters."""

    module: nn.Module
    data: Mapping[str, Any]
    log_probs: Callable[[Any, Any], Tensor]
    samples: int | None
    seed: int
    kind: str
    target: str
    labels: Labels | None
    collate: Callable[[list[Any]], Any] | None

    def __post_init__(self) -> None:
        _one_of("kind", self.kind, ("exact", "sampled", "empirical"))
        _one_of("target", self.target, ("class", "choice"))
        if self.samples is not None and self.samples < 1:
            raise ValueError(f"samples is {self.samples}; it must be at least 1, or None for all")
        if (self.kind == "empirical") != (self.labels is not None):
            raise ValueError("labels are needed by kind='empirical', and by no other kind")
        for model, rows in self.data.items():
            if isinstance(rows, tuple):
                raise TypeError(
                    f"data['{model}'] is a tuple, which could be rows or columns; pass a list of "
                    "rows, or torch.utils.data.TensorDataset(*columns)"
                )
            if isinstance(rows, torch_data.DataLoader | torch_data.IterableDataset):
                raise TypeError(
                    f"data['{model}'] is a {type(rows).__name__}, whose rows have no numbers; pass "
                    "its dataset or list(rows), and what makes a batch of rows as collate"
                )
            if len(rows) == 0:
                raise ValueError(f"data['{model}'] has no rows; pass at least one")

    def rows(self, model: str) -> list[int]:
        """Indices of the rows measured for a model, ascending."""
        if model not in self.data:
            raise KeyError(f"no Fisher data for model '{model}'; data has {sorted(self.data)}")
        return choose_rows(len(self.data[model]), self.samples, self.seed, model)

    def by_size(self, model: str, rows: list[int]) -> list[int]:
        """The rows, smallest first, so that rows padded to one length are of similar length."""
        source = self.data[model]
        if isinstance(source, Tensor | np.ndarray | torch_data.TensorDataset):
            return rows
        return sorted(rows, key=lambda i: _size(source[i]))

    def batch(self, model: str, rows: Sequence[int]) -> Any:
        """What `log_probs` is given for these rows."""
        source = self.data[model]
        if self.collate is not None:
            return self.collate([source[i] for i in rows])
        if isinstance(source, Tensor):
            return source[torch.tensor(rows)]
        if isinstance(source, np.ndarray):
            return torch.from_numpy(source[np.asarray(rows)])
        if isinstance(source, torch_data.TensorDataset):
            return tuple(t[torch.tensor(rows)] for t in source.tensors)
        return [source[i] for i in rows]

    def scores(self, batch: Any, rows: int) -> Tensor:
        """The scores [B, K] of a batch, refused where no Fisher can come of them."""
        scores = self.log_probs(self.module, batch)
        if not isinstance(scores, Tensor):
            raise TypeError(
                f"log_probs returned a {type(scores).__name__}; return the Tensor [{rows}, K], "
                "such as output.logits"
            )
        if scores.dim() != 2 or scores.shape[0] != rows:
            raise ValueError(
                f"log_probs returned shape {list(scores.shape)} for {rows} rows; it must return "
                f"[{rows}, K]"
            )
        if self.kind == "exact" and self.target == "class" and scores.shape[1] < 2:
            raise ValueError(
                "log_probs returned one class, whose Fisher is zero; return at least two columns"
            )
        if scores.grad_fn is None:
            raise ValueError(
                "log_probs returned scores without a gradient; do not use no_grad, detach or "
                "inference_mode in it"
            )
        return scores

    def seeds(self, model: str, rows: Sequence[int], scores: Tensor) -> Tensor:
        """Output seeds [S, B, K] for these rows."""
        uniforms = labels = None
        if self.kind == "sampled":
            uniforms = row_uniforms(rows, self.seed, model)
        elif self.kind == "empirical":
            labels = self._given_labels(model, rows, scores.shape[1])
        return output_seeds(
            scores, target=self.target, kind=self.kind, uniforms=uniforms, labels=labels
        )

    def _given_labels(self, model: str, rows: Sequence[int], classes: int) -> Tensor:
        if isinstance(self.labels, Mapping):
            if model not in self.labels:
                raise KeyError(f"no labels for model '{model}'; labels has {sorted(self.labels)}")
            given = [int(self.labels[model][i]) for i in rows]
        else:
            assert self.labels is not None
            given = [int(self.labels(self.data[model][i])) for i in rows]
        for row, y in zip(rows, given, strict=True):
            if not 0 <= y < classes:
                raise ValueError(
                    f"label {y} of row {row} of model '{model}' is outside the {classes} classes "
                    "that log_probs returned"
                )
        return torch.tensor(given)


def _size(row: Any) -> int:
    """Numbers or characters in a row."""
    if isinstance(row, Tensor | np.ndarray):
        return math.prod(row.shape)
    if isinstance(row, str | bytes):
        return len(row)
    if isinstance(row, Mapping):
        return sum(map(_size, row.values()))
    if isinstance(row, list | tuple):
        return sum(map(_size, row))
    return 1


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} is '{value}'; choose one of {', '.join(allowed)}")
