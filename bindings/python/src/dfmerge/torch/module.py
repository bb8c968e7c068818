"""Binding of a module: its parameters as named tensors in the module's own memory."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

_MERGED_DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class Bound:
    """The tensors of a bound module.

    Attributes
    ----------
    module : nn.Module
        The module itself; it must outlive every use of `tensors`.
    tensors : dict of str to Tensor
        Every distinct floating-point parameter once, in the module's order and under its first
        name, detached but sharing the module's memory: what is written here is what the
        module computes with.
    aliases : dict of str to str
        Further name of a tied parameter -> the name that `tensors` keeps.
    buffers : dict of str to Tensor
        What is left alone: buffers (persistent or not) and parameters that are not
        floating point, sharing memory.
    """

    module: nn.Module
    tensors: dict[str, Tensor]
    aliases: dict[str, str] = field(default_factory=dict)
    buffers: dict[str, Tensor] = field(default_factory=dict)

    def check(self) -> None:
        """Raise RuntimeError if a parameter has moved since `bind`.

        ``module.to(...)``, ``parameter.data = ...`` and a change of dtype give a parameter new
        memory; writes to `tensors` would then no longer reach the module.
        """
        now = dict(self.module.named_parameters(remove_duplicate=False))
        for name, tensor in self.tensors.items():
            there = now.get(name)
            if (
                there is None
                or there.data_ptr() != tensor.data_ptr()
                or there.dtype != tensor.dtype
            ):
                raise RuntimeError(
                    f"parameter '{name}' was replaced or moved after the module was bound; bind "
                    "it (make the Search) after the last .to(), .half() or .float(), and copy "
                    "weights out of it for another device"
                )


def bind(module: nn.Module) -> Bound:
    """Bind the parameters of a module, in place.

    Parameters tied in the module (one tensor under several names) are kept once. `requires_grad`
    plays no part. Cost: no copy of any weight.

    Raises
    ------
    ValueError
        A parameter that cannot be written in place from outside torch: not on the CPU, not
        contiguous, not a plain strided tensor of float64, float32, float16 or bfloat16, made
        in inference mode, or overlapping another parameter. The message names all of them.
    """
    tensors: dict[str, Tensor] = {}
    aliases: dict[str, str] = {}
    buffers: dict[str, Tensor] = {}
    kept: dict[int, str] = {}
    places: dict[tuple[int, torch.Size, torch.dtype], str] = {}
    problems: list[str] = []
    for name, parameter in module.named_parameters(remove_duplicate=False):
        if id(parameter) in kept:
            aliases[name] = kept[id(parameter)]
            continue
        problem = _problem(parameter)
        if problem is not None:
            problems.append(f"'{name}' {problem}")
        elif not parameter.is_floating_point():
            buffers[name] = parameter.detach()
        else:
            # Tied by memory rather than by object: `a.data = b.data`.
            place = (parameter.data_ptr(), parameter.shape, parameter.dtype)
            if parameter.numel() and place in places:
                aliases[name] = places[place]
            else:
                places[place] = name
                tensors[name] = parameter.detach()
            kept[id(parameter)] = places[place]
    problems += _overlaps(tensors)
    if problems:
        raise ValueError("the module cannot be bound: " + "; ".join(problems))
    buffers.update({name: buffer.detach() for name, buffer in module.named_buffers()})
    return Bound(module, tensors, aliases, buffers)


def state(module: nn.Module) -> dict[str, Tensor]:
    """A detached copy of a module's state_dict, on the CPU: weights to pass as base or model.

    Tied parameters are copied once and stay tied in the copy. Extra state that is not a tensor
    is left out.
    """
    copies: dict[int, Tensor] = {}
    out: dict[str, Tensor] = {}
    for name, value in module.state_dict(keep_vars=True).items():
        if isinstance(value, Tensor):
            if id(value) not in copies:
                copies[id(value)] = value.detach().to("cpu", copy=True).contiguous()
            out[name] = copies[id(value)]
    return out


def _problem(parameter: Tensor) -> str | None:
    """What stands against writing this parameter in place, with the remedy; None if nothing."""
    if isinstance(parameter, UninitializedParameter):
        return "has no shape yet (lazy module); run the module once before binding it"
    if parameter.device.type == "meta":
        return "is on the meta device and has no memory; load the module with its weights"
    if parameter.device.type != "cpu":
        return f"is on {parameter.device}; move the module to the CPU with module.cpu()"
    if parameter.layout != torch.strided or parameter.is_quantized:
        return f"is not a plain dense tensor ({parameter.layout}, {parameter.dtype})"
    if parameter.is_inference():
        return "was made in inference mode; make the module outside torch.inference_mode()"
    if not parameter.is_contiguous():
        return (
            f"is not contiguous (strides {list(parameter.stride())}); "
            "set parameter.data = parameter.data.contiguous()"
        )
    if parameter.is_floating_point() and parameter.dtype not in _MERGED_DTYPES:
        return f"has dtype {parameter.dtype}; convert it to bfloat16, float16 or float32"
    if parameter.is_complex():
        return f"has dtype {parameter.dtype}; complex parameters are not merged"
    return None


def _overlaps(tensors: dict[str, Tensor]) -> list[str]:
    """Name the pairs of parameters that share part of their memory."""
    spans = sorted(
        (tensor.data_ptr(), tensor.data_ptr() + tensor.numel() * tensor.element_size(), name)
        for name, tensor in tensors.items()
        if tensor.numel()
    )
    found: list[str] = []
    end, owner = 0, ""
    for start, stop, name in spans:
        if start < end:
            found.append(
                f"'{name}' overlaps '{owner}' in memory; give each parameter its own tensor"
            )
        if stop > end:
            end, owner = stop, name
    return found
