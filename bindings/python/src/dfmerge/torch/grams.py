"""Gram matrices of the inputs of a module's linear layers, for RegMean."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from .._merge import save


def gram(
    module: nn.Module,
    batches: Iterable[Any],
    *,
    forward: Callable[[Any, Any], Any] | None = None,
    mask: str | Callable[[Any], Tensor] | None = None,
    names: Sequence[str] | None = None,
    diagonal: bool = False,
    dtype: torch.dtype = torch.float32,
    out: str | os.PathLike[str] | None = None,
) -> dict[str, Tensor]:
    """Measure ``G = mean(x x^T)`` over everything that goes into each linear layer.

    One forward pass per batch, in eval mode and without gradients. Pass the results of all models
    as ``dfmerge.merge(None, models, method="regmean", grams=[...])``.

    Parameters
    ----------
    module : nn.Module
        A fine-tuned model. Its training flags are as before when the call returns or raises.
    batches : iterable
        The task's inputs; no labels. A few hundred rows are enough.
    forward : callable (module, batch), optional
        Runs the module. By default a mapping's entries are passed by name, those of a tuple or
        list in their order, anything else as the one argument.
    mask : str or callable batch -> Tensor, optional
        Which positions count, as numbers or booleans [B, T]; a text is the entry of the batch, such
        as ``"attention_mask"``. Inputs of layers with other leading dimensions, such as a pooler's,
        count in full. By default padding counts as any position does, as in the authors' code.
    names : sequence of str, optional
        Patterns (``*``, ``?``) of the weights to measure. By default those of all ``nn.Linear`` and
        of transformers' ``Conv1D`` that share no memory with an embedding.
    diagonal : bool
        Only the diagonals, for ``off_diagonal=0``: vectors in place of matrices.
    dtype : torch.float32 or torch.float64
        What products and sums are formed in, and the type of the result.
    out : path, optional
        A ``.safetensors`` file to write the result to as well.

    Returns
    -------
    dict of str to Tensor
        By the name of the weight, on the CPU: ``[i, i]`` (``[i]`` for diagonals), i inputs. A
        weight that several layers share has one, over all, under its first name. Layers that no
        batch reached, and those that compute without being called, such as ``out_proj`` of
        ``nn.MultiheadAttention``, have none: RegMean averages them.

    Raises
    ------
    ValueError
        No layer to measure, no input for any, a mask of another number of dimensions than two, or
        another dtype.

    Notes
    -----
    Memory: i^2 numbers of `dtype` per layer on the layer's device, all of them at a time: 67 MB for
    4096 inputs in float32; choose layers with `names` and call again for others where that is too
    much. Time: 2 i^2 operations per position and layer, as much as a square layer's forward pass.
    """
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"dtype is {dtype}; pass torch.float32 or torch.float64")
    layers = _layers(module, names)
    if not layers:
        raise ValueError(
            "the module has no linear layer to measure; names are those of weights, such as "
            f"'encoder.0.fc.weight', but were {names!r}"
            if names is not None
            else "the module has no linear layer (nn.Linear, Conv1D) to measure"
        )
    sums = _Sums(diagonal, dtype)
    with _measuring(module) as stack:
        for name, layer in layers:
            stack.callback(sums.watch(name, layer).remove)
        for batch in batches:
            sums.mask = _positions(mask, batch)
            (forward or _call)(module, batch)
    found = sums.means()
    if not found:
        raise ValueError("no batch reached a layer; pass one or more, and check forward and names")
    if out is not None:
        save(found, out)
    return found


class _Sums:
    """The sums over positions of one call."""

    def __init__(self, diagonal: bool, dtype: torch.dtype) -> None:
        self.mask: Tensor | None = None
        self._diagonal = diagonal
        self._dtype = dtype
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def watch(self, name: str, layer: nn.Module) -> Any:
        """Add up what goes into a layer from now on; the hook's handle."""

        def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            given = args[0] if args else next(iter(kwargs.values()), None)
            if isinstance(given, Tensor):
                self._add(name, given.detach())

        return layer.register_forward_pre_hook(hook, with_kwargs=True)

    def _add(self, name: str, given: Tensor) -> None:
        rows = self._rows(given)
        # Autocast would form the products in 16 bits.
        with torch.autocast(rows.device.type, enabled=False):
            wide = rows.to(self._dtype)
            part = wide.square().sum(0) if self._diagonal else wide.t() @ wide
        if name in self._sums:
            self._sums[name].add_(part.to(self._sums[name].device))
        else:
            self._sums[name] = part
        self._counts[name] = self._counts.get(name, 0) + len(rows)

    def _rows(self, given: Tensor) -> Tensor:
        """The positions that count, [n, i]."""
        rows = given.reshape(-1, given.shape[-1])
        mask = self.mask
        # Of one row per position, or in the order of positions where a model has flattened them.
        fits = mask is not None and given.shape[:-1] in (mask.shape, (mask.numel(),))
        return rows[mask.reshape(-1).to(rows.device)] if mask is not None and fits else rows

    def means(self) -> dict[str, Tensor]:
        """By name; a layer that met no position has none."""
        return {
            name: (total / self._counts[name]).cpu()
            for name, total in self._sums.items()
            if self._counts[name]
        }


def _layers(module: nn.Module, names: Sequence[str] | None) -> list[tuple[str, nn.Module]]:
    """Weights to measure by name, and the layers that have them."""
    patterns = [names] if isinstance(names, str) else names
    embeddings = {
        layer.weight
        for layer in module.modules()
        if isinstance(layer, (nn.Embedding, nn.EmbeddingBag))
    }
    first: dict[nn.Parameter, str] = {}
    found = []
    for path, layer in module.named_modules():
        weight = getattr(layer, "weight", None)
        if not _is_linear(layer) or not isinstance(weight, nn.Parameter):
            continue
        name = f"{path}.weight" if path else "weight"
        wanted = (
            weight not in embeddings
            if patterns is None
            else any(fnmatchcase(name, pattern) for pattern in patterns)
        )
        if wanted:
            found.append((first.setdefault(weight, name), layer))
    return found


def _is_linear(layer: nn.Module) -> bool:
    # transformers need not be installed to have a look at its class.
    return isinstance(layer, nn.Linear) or (
        type(layer).__name__ == "Conv1D" and hasattr(layer, "nf")
    )


def _call(module: nn.Module, batch: Any) -> Any:
    if isinstance(batch, Mapping):
        return module(**batch)
    return module(*batch) if isinstance(batch, (tuple, list)) else module(batch)


def _positions(mask: str | Callable[[Any], Tensor] | None, batch: Any) -> Tensor | None:
    if mask is None:
        return None
    given = batch[mask] if isinstance(mask, str) else mask(batch)
    found = torch.as_tensor(given)
    if found.dim() != 2:
        raise ValueError(
            f"the mask of a batch has the shape {list(found.shape)}; it must be [rows, positions]"
        )
    return found != 0


@contextmanager
def _measuring(module: nn.Module) -> Iterator[ExitStack]:
    """Eval mode without gradients; hooks that are put on the stack go before the modes return."""
    modes = [(m, m.training) for m in module.modules()]
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        try:
            module.eval()
            with ExitStack() as hooks:
                yield hooks
        finally:
            for m, training in modes:
                m.training = training
