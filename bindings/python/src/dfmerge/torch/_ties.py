"""Parameters that are one in memory and several to torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def tied_by_memory(module: nn.Module, parameters: Mapping[str, Tensor]) -> Iterator[None]:
    """While it lasts, parameters that share all their memory are the one among `parameters`.

    After ``a.data = b.data`` one tensor has two Parameters, and a gradient for each of its uses;
    the derivative with respect to the tensor is their sum, which autograd forms where both are one
    object.
    """
    first: dict[tuple[int, torch.Size, tuple[int, ...], torch.dtype], Tensor] = {}
    for parameter in parameters.values():
        if parameter.numel():
            first.setdefault(_place(parameter), parameter)
    changed: list[tuple[nn.Module, str, nn.Parameter]] = []
    for owner in module.modules():
        for name, own in owner.named_parameters(recurse=False, remove_duplicate=False):
            one = first.get(_place(own)) if own.numel() else None
            if one is not None and one is not own:
                changed.append((owner, name, own))
    try:
        for owner, name, own in changed:
            setattr(owner, name, first[_place(own)])
        yield
    finally:
        for owner, name, own in changed:
            setattr(owner, name, own)


def _place(tensor: Tensor) -> tuple[int, torch.Size, tuple[int, ...], torch.dtype]:
    return tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype
