"""Majority Kernels: weights that are trained as several copies and deployed as their mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize


def collapse(
    copies: Tensor | Sequence[Tensor], p: Tensor | Sequence[float] | None = None
) -> Tensor:
    """The tensor that e copies stand for: ``W = sum_i p_i W_i``, by default their mean.

    Differentiable: ``dL/dW_i = p_i dL/dW`` and, where `p` is a tensor that wants it,
    ``dL/dp_i = <W_i, dL/dW>``.

    Parameters
    ----------
    copies : Tensor [e, ...] or sequence of e Tensors
        e >= 1. A sequence is stacked first.
    p : Tensor [e] or sequence of e numbers, optional
        Taken as it is: a point of the simplex in Majority Kernels, any numbers otherwise. None is
        1/e each.

    Returns
    -------
    Tensor [...]
        In the dtype of the copies; 16-bit ones are summed in float32.

    Raises
    ------
    ValueError
        No copies, or another number of weights than copies.
    """
    stacked = copies if isinstance(copies, Tensor) else torch.stack(list(copies))
    if stacked.dim() == 0 or len(stacked) == 0:
        raise ValueError(
            f"copies have the shape {list(stacked.shape)}; pass one copy or more along dimension 0"
        )
    wide = torch.promote_types(stacked.dtype, torch.float32)
    if p is None:
        p = torch.full((len(stacked),), 1 / len(stacked), dtype=wide, device=stacked.device)
    weights = torch.as_tensor(p).to(device=stacked.device, dtype=wide)
    if weights.shape != stacked.shape[:1]:
        raise ValueError(
            f"p has the shape {list(weights.shape)}; pass one number for each of the "
            f"{len(stacked)} copies"
        )
    mixed: Tensor = torch.tensordot(weights, stacked.to(wide), dims=1)
    return mixed.to(stacked.dtype)


class MajorityKernels:
    """Trains weights of a module as `copies` copies each, of which it computes with a mixture.

    Every chosen weight W becomes ``[e, *W.shape]``. In training each forward pass of `module` uses,
    for every weight anew::

        W = sum_i p_i W_i,    p = (1 - t) / e + t u,    u uniform on the simplex

    with t = `temperature`: 1 at first, and to be lowered to 0 by the host as training goes on,
    where p_i = 1/e. In eval mode W is the mean. `deploy` leaves a plain module with the mean.

    Parameters
    ----------
    module : nn.Module
        Changed in place, by `torch.nn.utils.parametrize`. Make optimizers, and move it to its
        device, as ever; weight decay acts on every copy.
    copies : int
        e, 2 or more.
    names : str or sequence of str, optional
        Patterns (``*``, ``?``) of the parameters to expand. By default the weights of ``nn.Linear``
        and of convolutions.
    initialize : callable Tensor -> None, optional
        Draws each copy anew, in place, such as ``nn.init.xavier_uniform_``. By default all begin as
        the weight that is there.
    temperature : float
        t above, 0 to 1.
    generator : torch.Generator, optional
        Where u comes from, on the CPU; by default torch's own.

    Attributes
    ----------
    names : list of str
        The parameters that were expanded.
    temperature : float
        May be set between steps.

    Raises
    ------
    ValueError
        Fewer than two copies, a temperature that is none, no weight to expand, or one that is
        tied to another name (`dfmerge.torch.untie` gives each its own).

    Notes
    -----
    Majority Kernels (arXiv 2402.05033). No code of the authors was found to compare with: this is
    how we understand the paper. That p is drawn as above, how it is annealed, and that copies begin
    equal is our choice. Memory: e times the chosen weights, with what an optimizer keeps of each.
    ``dfmerge.merge(None, [path], "collapse")`` collapses a checkpoint of ``module.state_dict()``,
    under the names that it has there.

    Examples
    --------
    >>> kernels = MajorityKernels(net, copies=3)
    >>> for step in range(steps):
    ...     kernels.temperature = 1 - step / steps
    ...     train(net, step)
    >>> kernels.deploy()
    """

    def __init__(
        self,
        module: nn.Module,
        copies: int = 3,
        names: str | Sequence[str] | None = None,
        *,
        initialize: Callable[[Tensor], object] | None = None,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> None:
        if copies < 2:
            raise ValueError(f"copies is {copies}; pass 2 or more")
        self.temperature = temperature
        chosen = _chosen(module, names)
        self.module = module
        self.names = [f"{path}.{leaf}" if path else leaf for path, leaf in chosen]
        self.copies = copies
        self._places = chosen
        self._generator = generator
        self._mixtures: list[_Mixture] = []
        for path, leaf in chosen:
            owner = module.get_submodule(path)
            mixture = _Mixture(copies, initialize)
            parametrize.register_parametrization(owner, leaf, mixture)
            self._mixtures.append(mixture)
        self._hook = module.register_forward_pre_hook(lambda *_: self.draw())

    @property
    def temperature(self) -> float:
        """How far p may be from 1/e: 0 not at all, 1 anywhere on the simplex."""
        return self._temperature

    @temperature.setter
    def temperature(self, value: float) -> None:
        if not 0 <= value <= 1:
            raise ValueError(f"temperature is {value}; pass a number from 0 to 1")
        self._temperature = float(value)

    def draw(self) -> None:
        """Draw the mixtures of the next pass; each forward pass of the module begins with it."""
        for mixture in self._mixtures:
            if mixture.training:
                mixture.draw(self._temperature, self._generator)

    def deploy(self) -> nn.Module:
        """Put the mean in the place of the copies, for good; the module, plain again.

        Names and shapes are those of before, the order of parameters within a layer may not be.
        Further calls do nothing.
        """
        self._hook.remove()
        for (path, leaf), mixture in zip(self._places, self._mixtures, strict=True):
            mixture.p.fill_(1 / self.copies)
            mixture.eval()
            parametrize.remove_parametrizations(self.module.get_submodule(path), leaf)
        self._places, self._mixtures = [], []
        return self.module


class _Mixture(nn.Module):
    """The parametrization: copies in, their mixture out."""

    p: Tensor

    def __init__(self, copies: int, initialize: Callable[[Tensor], object] | None) -> None:
        super().__init__()
        self.copies = copies
        self._initialize = initialize
        self.register_buffer("p", torch.full((copies,), 1 / copies), persistent=False)

    def draw(self, temperature: float, generator: torch.Generator | None) -> None:
        # Exponential draws over their sum are uniform on the simplex.
        drawn = torch.empty(self.copies, dtype=torch.float64).exponential_(generator=generator)
        mixed = temperature * drawn / drawn.sum() + (1 - temperature) / self.copies
        # A new tensor: the graph of an earlier pass may still need the old one.
        self.p = mixed.to(device=self.p.device, dtype=self.p.dtype)

    def forward(self, copies: Tensor) -> Tensor:
        return collapse(copies, self.p if self.training else None)

    def right_inverse(self, weight: Tensor) -> Tensor:
        """What a weight is expanded to; also called when one is assigned."""
        copies = weight.detach().unsqueeze(0).repeat(self.copies, *[1] * weight.dim())
        if self._initialize is not None:
            for copy in copies:
                self._initialize(copy)
            self._initialize = None
        return copies


def _chosen(module: nn.Module, names: str | Sequence[str] | None) -> list[tuple[str, str]]:
    """Path of the owner and name in it, of every parameter to expand."""
    patterns = [names] if isinstance(names, str) else names
    slots: dict[int, list[str]] = {}
    found: list[tuple[str, str]] = []
    wanted: dict[str, nn.Parameter] = {}
    for path, owner in module.named_modules(remove_duplicate=False):
        is_kernel = isinstance(owner, (nn.Linear, nn.modules.conv._ConvNd))
        for leaf, parameter in owner.named_parameters(recurse=False, remove_duplicate=False):
            name = f"{path}.{leaf}" if path else leaf
            slots.setdefault(id(parameter), []).append(name)
            matches = (
                is_kernel and leaf == "weight"
                if patterns is None
                else any(fnmatchcase(name, pattern) for pattern in patterns)
            )
            if matches:
                wanted[name] = parameter
                found.append((path, leaf))
    for name, parameter in wanted.items():
        others = [other for other in slots[id(parameter)] if other != name]
        if others:
            raise ValueError(
                f"'{name}' is tied to '{others[0]}'; untie them (dfmerge.torch.untie), or leave "
                "them out of names"
            )
        if not parameter.is_floating_point():
            raise ValueError(f"'{name}' has dtype {parameter.dtype}; leave it out of names")
    if not found:
        raise ValueError(
            "the module has no weight to expand"
            + ("" if patterns is None else f"; no parameter's name matches {list(patterns)!r}")
        )
    return found
