"""Layers of a module that share their parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import translate
from re import compile as compiled

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from ._stacks import PATTERNS, Pattern, sharing_groups


def share(
    module: nn.Module,
    distinct_layers: int = 1,
    pattern: Pattern = "sequence",
    *,
    tensors: str | Sequence[str] = "*",
) -> dict[str, str]:
    """Give a module `distinct_layers` distinct layers: method ``share``, in place and tied.

    Of the L layers of each stack those with the same g(i), i from 0, share: every parameter becomes
    the mean over its group and *one* Parameter at all sites::

        sequence    g(i) = floor(i D / L)                     0 0 0 1 1 1
        cycle       g(i) = i mod D                            0 1 0 1 0 1
        cycle_rev   the same, the last round backwards        0 1 0 1 1 0

    for L = 6 and D = `distinct_layers` = 2. Layers are numbered by the first part of a name that is
    a whole number, and what stands before it names the stack, as in ``dfmerge.merge``. Autograd
    adds the gradients of all sites, ``dL/dw = sum_k dL/dw_k``, and `Fisher` squares that sum.

    Parameters
    ----------
    module : nn.Module
        Any device. Make optimizers afterwards: some parameters are gone.
    distinct_layers : int
        D, from 1 to the number of layers that each stack has.
    pattern : {"sequence", "cycle", "cycle_rev"}
    tensors : str or sequence of str
        Patterns (``*``, ``?``) of the tensors to share; others stay as they are.

    Returns
    -------
    dict of str to str
        Further name of a parameter -> its name in the first layer of the group, where it has been
        tied; for `untie`. The parameter of the first layer keeps its identity and `requires_grad`.

    Raises
    ------
    ValueError
        Another pattern or number; tensors of one group with different shapes, dtypes or devices.
        Nothing has changed then.

    Notes
    -----
    A parameter that is tied within its group counts once; further names that it has outside follow
    it. Where a parameter stands in two groups, both get new ones. Floating-point buffers that
    ``state_dict`` has get the mean too, each in its own memory. Sums are in float64. Memory: one
    tensor in float64 at a time. Sources as for method ``share``: the patterns are those of Takase
    and Kiyono (arXiv 2104.06022).

    Examples
    --------
    >>> aliases = share(model, distinct_layers=3, pattern="cycle_rev")
    """
    if pattern not in PATTERNS:
        raise ValueError(f"pattern is '{pattern}'; choose one of {', '.join(PATTERNS)}")
    if isinstance(distinct_layers, bool) or not isinstance(distinct_layers, int):
        raise TypeError(f"distinct_layers is {distinct_layers!r}; pass a whole number")
    if distinct_layers < 1:
        raise ValueError(f"distinct_layers is {distinct_layers}; it must be at least 1")
    kept = _floating(module)
    groups = sharing_groups(
        module.state_dict(keep_vars=True), _matching(kept, tensors), distinct_layers, pattern
    )
    for group in groups:
        _check(group, kept)
    aliases: dict[str, str] = {}
    with torch.no_grad():
        tied = [group for group in groups if isinstance(kept[group[0]], nn.Parameter)]
        for group in groups:
            if group not in tied:
                mean = _mean([kept[name] for name in group])
                for name in group:
                    kept[name].copy_(mean)
        for name, parameter in _shared(tied, kept).items():
            _put(module, name, parameter)
    for group in tied:
        aliases.update(dict.fromkeys(group[1:], group[0]))
    return aliases


def untie(module: nn.Module, names: Iterable[str] | None = None) -> list[str]:
    """Give tied names parameters of their own, with the same values; make optimizers afterwards.

    Parameters
    ----------
    module : nn.Module
    names : iterable of str, optional
        The names that get a parameter of their own, such as the keys of what `share` returned. By
        default every name but the first of each tied parameter.

    Returns
    -------
    list of str
        The names that now have a parameter of their own and did not before.

    Raises
    ------
    KeyError
        A name that is no parameter's.
    """
    named = dict(module.named_parameters(remove_duplicate=False))
    wanted = list(named) if names is None else list(names)
    for name in wanted:
        if name not in named:
            raise KeyError(f"the module has no parameter '{name}'")
    count: dict[int, int] = {}
    for parameter in named.values():
        count[id(parameter)] = count.get(id(parameter), 0) + 1
    # Of every name that is wanted, the first keeps the parameter unless another name has it.
    untied = []
    firsts: set[int] = set()
    for name in wanted:
        parameter = named[name]
        if count[id(parameter)] < 2 or (names is None and id(parameter) not in firsts):
            firsts.add(id(parameter))
            continue
        count[id(parameter)] -= 1
        own = nn.Parameter(parameter.detach().clone(), requires_grad=parameter.requires_grad)
        _put(module, name, own)
        untied.append(name)
    return untied


def _floating(module: nn.Module) -> dict[str, Tensor]:
    """What a merge would see: parameters and buffers of the state that are floating point."""
    there: dict[str, Tensor] = dict(module.named_parameters(remove_duplicate=False))
    there.update(module.named_buffers(remove_duplicate=False))
    found = {}
    for name in module.state_dict(keep_vars=True):
        tensor = there.get(name)
        if tensor is None or not tensor.is_floating_point():
            continue
        if isinstance(tensor, UninitializedParameter):
            raise ValueError(f"'{name}' has no shape yet (lazy module); run the module once before")
        found[name] = tensor
    return found


def _matching(names: Iterable[str], patterns: str | Sequence[str]) -> list[str]:
    """The names that a pattern matches as a whole; brackets stand for themselves."""
    given = [patterns] if isinstance(patterns, str) else list(patterns)
    tests = [compiled(translate(pattern.replace("[", "[[]"))) for pattern in given]
    return [name for name in names if any(test.match(name) for test in tests)]


def _check(group: Sequence[str], kept: Mapping[str, Tensor]) -> None:
    """Raise unless one tensor can stand for all."""
    first = kept[group[0]]
    for name in group[1:]:
        tensor = kept[name]
        for what, one, other in (
            ("shape", list(first.shape), list(tensor.shape)),
            ("dtype", first.dtype, tensor.dtype),
            ("device", first.device, tensor.device),
            ("kind", _kind(first), _kind(tensor)),
        ):
            if one != other:
                raise ValueError(
                    f"'{group[0]}' and '{name}' are to share but differ in {what}: {one} and "
                    f"{other}; leave such tensors out of `tensors`, or choose another pattern"
                )


def _kind(tensor: Tensor) -> str:
    return "parameter" if isinstance(tensor, nn.Parameter) else "buffer"


def _shared(groups: Sequence[Sequence[str]], kept: Mapping[str, Tensor]) -> dict[str, nn.Parameter]:
    """The parameter of every name that has to change it; the first site's have their means."""
    owners: dict[int, set[int]] = {}
    for number, group in enumerate(groups):
        for name in group:
            owners.setdefault(id(kept[name]), set()).add(number)
    # Means of what stands in several groups are taken before anything is written.
    contested = {n for own in owners.values() if len(own) > 1 for n in own}
    means = {n: _mean([kept[name] for name in groups[n]]) for n in sorted(contested)}
    put: dict[str, nn.Parameter] = {}
    replaced: dict[int, nn.Parameter] = {}
    for number, group in enumerate(groups):
        first = kept[group[0]]
        assert isinstance(first, nn.Parameter)
        if number in contested:
            first = nn.Parameter(means.pop(number), requires_grad=first.requires_grad)
        else:
            first.copy_(_mean([kept[name] for name in group]))
            replaced.update((id(kept[name]), first) for name in group)
        put.update(dict.fromkeys(group, first))
    for name, tensor in kept.items():
        if name not in put and id(tensor) in replaced:
            put[name] = replaced[id(tensor)]
    return {name: parameter for name, parameter in put.items() if kept[name] is not parameter}


def _mean(tensors: Sequence[Tensor]) -> Tensor:
    """The mean of the distinct ones, in their dtype."""
    places = {(tensor.data_ptr(), tensor.stride()): tensor for tensor in tensors}
    distinct = list(places.values())
    wide = torch.float32 if distinct[0].device.type == "mps" else torch.float64
    total = torch.zeros_like(distinct[0], dtype=wide)
    for tensor in distinct:
        total.add_(tensor.to(wide))
    return total.div_(len(distinct)).to(distinct[0].dtype)


def _put(module: nn.Module, name: str, parameter: nn.Parameter) -> None:
    """Make a parameter that of a name."""
    path, _, leaf = name.rpartition(".")
    setattr(module.get_submodule(path), leaf, parameter)
