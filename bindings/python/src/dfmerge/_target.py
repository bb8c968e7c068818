"""The memory that a search writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from . import _arrays, _ffi
from ._weights import Lent, without_extra_state

_MERGED = {_ffi.DFM_DTYPE_F64, _ffi.DFM_DTYPE_F32, _ffi.DFM_DTYPE_F16, _ffi.DFM_DTYPE_BF16}


class Target:
    """A module's parameters, or arrays by name, registered for writing in place."""

    #: Address of a target's first tensor -> the mark of what was last written there, by any search.
    _marks: ClassVar[dict[int, object]] = {}

    def __init__(self, target: Any) -> None:
        self._module: Any = None
        self._bound: Any = None
        #: Tied names that are not registered, by the name that is.
        self.aliases: dict[str, str] = {}
        if hasattr(target, "named_parameters"):
            from .torch import bind

            self._module = target
            self._bound = bind(target)
            tensors, self.aliases = self._bound.tensors, dict(self._bound.aliases)
        elif isinstance(target, Mapping):
            tensors = dict(target)
        else:
            raise TypeError(
                f"target is a {type(target).__name__}; pass a torch module or a dict of arrays"
            )
        self.lent = Lent(tensors, "the target", writable=True)
        #: The tensors that are merged (floating-point) by name.
        self.merged = {
            name: tensor
            for name, tensor in self.lent.tensors.items()
            if self.lent.views[name].dtype in _MERGED
        }
        views = self.lent.views.values()
        self._address = next((view.address for view in views if view.nbytes), 0)

    def check(self) -> None:
        """Raise RuntimeError if the module computes with other memory than what is written."""
        if self._bound is not None:
            self._bound.check()

    def mark(self, what: object) -> None:
        """Note what stands in the memory now."""
        self._marks[self._address] = what

    def holds(self, what: object) -> bool:
        """Whether ``what`` was the last to be noted for this memory."""
        return self._marks.get(self._address) is what

    def snapshot(self) -> dict[str, Any]:
        """A copy of what the target holds now."""
        return {name: _arrays.copied(name, tensor) for name, tensor in self.lent.tensors.items()}

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor."""
        return self.lent.views[name].shape

    def tensors_to_save(self) -> tuple[dict[str, Any], dict[str, str]]:
        """What a checkpoint of the target holds, and metadata that names dropped aliases."""
        if self._module is None:
            return dict(self.lent.tensors), {}
        self.check()
        state = {
            name: tensor.detach().contiguous()
            for name, tensor in without_extra_state(self._module.state_dict()).items()
            if name not in self.aliases
        }
        return state, dict(self.aliases)
