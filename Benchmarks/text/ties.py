"""TIES merging, as a baseline.

Source: Yadav et al. 2023 (arXiv 2306.01708). Deviation: none known; ties in the elected sign go
to the sign that most parameters elect.
"""

from __future__ import annotations

import torch
from model import Weights
from torch import Tensor

KEPT_SHARE = 0.2


def ties_vector(base: Weights, models: dict[str, Weights]) -> Weights:
    """The merged task vector, to be scaled and added to the base.

    Trim each task vector to its largest 20 % by magnitude, elect each parameter's sign by the
    summed mass, average the values that agree with it. Cost: one copy of every task vector.
    """
    names = list(base)
    flat = torch.stack(
        [torch.cat([(m[n] - base[n]).reshape(-1) for n in names]) for m in models.values()]
    )
    for vector in flat:
        _trim(vector, KEPT_SHARE)
    sign = torch.sign(flat.sum(0))
    sign[sign == 0] = torch.sign(sign.sum())
    agrees = torch.where(sign[None] > 0, flat > 0, flat < 0)
    merged = (flat * agrees).sum(0) / agrees.sum(0).clamp(min=1)
    pieces = merged.split([base[name].numel() for name in names])
    return {n: piece.view_as(base[n]) for n, piece in zip(names, pieces, strict=True)}


def _trim(vector: Tensor, share: float) -> None:
    """Set all but the largest `share` of the entries to 0, in place."""
    count = vector.numel()
    threshold = vector.abs().kthvalue(count - int(share * count)).values
    vector[vector.abs() < threshold] = 0
