"""Output seeds: which combinations of a row's scores are differentiated.

Glossary: B rows of one batch, K classes or choices, z [B, K] the scores, p = softmax(z) over K,
e_y the unit vector of class y, S seeds. A *seed* s [B, K] stands for one backward pass with
the cotangent s at z, so that row b contributes (J_b^T s_b)^2, J_b = dz_b / dtheta.

The three kinds of diagonal Fisher, and what is squared for each target:

==========  =============================================  =====================================
kind        target "class" (d log p(y) = J^T (e_y - p))    target "choice" (d z_y = J^T e_y)
==========  =============================================  =====================================
exact       sum_y p_y (J^T (e_y - p))^2: K - 1 seeds       sum_y p_y (J^T e_y)^2: K seeds
sampled     y ~ p: 1 seed                                  y ~ p: 1 seed
empirical   y given: 1 seed                                y given: 1 seed
==========  =============================================  =====================================

K - 1 and not K for the exact class Fisher: sum_y p_y (e_y - p)(e_y - p)^T = diag(p) - p p^T has
rank K - 1, and any factor with that product gives the same sum of squares (`class_factor`).
Seeds act on z itself. Log-probabilities may be passed for z: a seed of zero sum goes through
log_softmax unchanged, and every class seed has zero sum.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

_WORD_BYTES = 8
_WORD_RANGE = 1 << (8 * _WORD_BYTES)


def _word(*key: object) -> int:
    """Return 64 bits determined by `key` alone, the same on every machine and version."""
    text = "\0".join(map(str, key)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=_WORD_BYTES).digest(), "little")


def choose_rows(count: int, samples: int | None, seed: int, model: str) -> list[int]:
    """Choose `samples` of `count` rows without replacement, ascending (all when None or too few).

    Floyd's algorithm on hashed words: it depends on (count, samples, seed, model) only, never on
    the order of calls, so a resumed run measures the same rows.
    """
    if samples is None or samples >= count:
        return list(range(count))
    chosen: set[int] = set()
    for last in range(count - samples, count):
        # The modulo's bias is below count / 2^64.
        pick = _word(seed, model, "row", last) % (last + 1)
        chosen.add(last if pick in chosen else pick)
    return sorted(chosen)


def row_uniforms(rows: Sequence[int], seed: int, model: str) -> Tensor:
    """One number in [0, 1) for each row, fixed for the run: the draw behind a sampled label."""
    words = [_word(seed, model, "label", row) / _WORD_RANGE for row in rows]
    return torch.tensor(words, dtype=torch.float64)


def class_factor(p: Tensor) -> Tensor:
    """Return s [K-1, B, K] with sum_j s_j s_j^T = diag(p) - p p^T for every row of p [B, K].

    Seed j settles class j against the classes after it: with t_j = sum_{i >= j} p_i and
    a = sqrt(p_j / t_j), its entries are a sqrt(t_{j+1}) at j and -a p_i / sqrt(t_{j+1}) after j.
    Only sums and products of non-negative numbers: nothing cancels when one p is close to 1.
    """
    rows, classes = p.shape
    tail = p.flip(1).cumsum(1).flip(1)
    seeds = p.new_zeros((max(classes - 1, 0), rows, classes))
    for j in range(classes - 1):
        rest = tail[:, j + 1]
        lead = torch.where(tail[:, j] > 0, p[:, j] / tail[:, j], 0.0).sqrt()
        seeds[j, :, j] = lead * rest.sqrt()
        scale = torch.where(rest > 0, lead / rest.sqrt(), 0.0)
        seeds[j, :, j + 1 :] = -p[:, j + 1 :] * scale[:, None]
    return seeds


def output_seeds(
    scores: Tensor,
    *,
    target: str,
    kind: str,
    uniforms: Tensor | None = None,
    labels: Tensor | None = None,
) -> Tensor:
    """Return the seeds [S, B, K] of one batch, formed in float64, in the dtype of `scores`.

    `uniforms` [B] is needed by kind "sampled" (inverse of the cumulative p, so that nearby
    models draw the same labels), `labels` [B] by kind "empirical". Seeds that are zero for
    every row are dropped.
    """
    p = torch.softmax(scores.detach().double(), dim=1)
    if kind == "exact":
        each = torch.diag_embed(p.sqrt()).transpose(0, 1)
        seeds = class_factor(p) if target == "class" else each
    else:
        if kind == "sampled":
            assert uniforms is not None
            y = torch.searchsorted(p.cumsum(1), uniforms[:, None], right=True).squeeze(1)
            y = y.clamp_max(p.shape[1] - 1)
        else:
            assert labels is not None
            y = labels
        one = torch.nn.functional.one_hot(y, p.shape[1]).to(p)
        seeds = (one - p if target == "class" else one)[None]
    seeds = seeds[seeds.flatten(1).ne(0).any(1)]
    return seeds.to(scores.dtype)
