"""Scores of answer choices, for token models."""

from __future__ import annotations

import torch
from torch import Tensor


def choice_log_likelihood(
    logits: Tensor,
    targets: Tensor,
    mask: Tensor | None = None,
    *,
    ignore_index: int = -100,
) -> Tensor:
    """Length-normalised log-likelihood of each choice's tokens.

    ``lp = (1/n) sum_t log softmax(logits_t)[targets_t]`` over the n scored positions t of a
    choice. The score by which DF-Merge ranks choices, and which its Fisher differentiates:
    use it in `Fisher(..., target="choice")`.

    Parameters
    ----------
    logits : Tensor [..., T, V]
        Scores of the V tokens at T positions; leading dimensions are rows and choices, e.g.
        [B, C, T, V].
    targets : Tensor [..., T], integer
        The token that position t must predict. Nothing is shifted here: for a decoder-only
        model pass ``logits[..., :-1, :]`` and ``ids[..., 1:]``.
    mask : Tensor [..., T], optional
        True or non-zero where the position is scored.
    ignore_index : int
        Positions whose target has this value are not scored, mask or no mask.

    Returns
    -------
    Tensor [...]
        In float32 for 16-bit logits, otherwise in the dtype of `logits`. A choice without any
        scored position gets -inf, hence weight zero: this pads ragged choices.

    Raises
    ------
    ValueError
        The shapes of `targets` or `mask` are not those of `logits` without its last dimension.
    """
    if targets.shape != logits.shape[:-1]:
        raise ValueError(
            f"targets have shape {list(targets.shape)}, logits {list(logits.shape)}; pass one "
            f"target per position: {list(logits.shape[:-1])}"
        )
    scored = targets != ignore_index
    if mask is not None:
        if mask.shape != targets.shape:
            raise ValueError(
                f"mask has shape {list(mask.shape)}; it needs that of targets, "
                f"{list(targets.shape)}"
            )
        scored = scored & (mask != 0)
    if logits.dtype in (torch.float16, torch.bfloat16):
        logits = logits.float()
    index = torch.where(scored, targets, torch.zeros_like(targets))
    # log p = z_y - logsumexp(z) without a second [..., T, V] tensor for log_softmax.
    picked = logits.gather(-1, index.unsqueeze(-1)).squeeze(-1) - logits.logsumexp(-1)
    total = torch.where(scored, picked, torch.zeros_like(picked)).sum(-1)
    count = scored.sum(-1)
    mean = total / count.clamp_min(1)
    return torch.where(count > 0, mean, torch.full_like(mean, float("-inf")))
