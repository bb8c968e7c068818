"""One comparison: a call of ours and the peer's call that should give the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Options = dict[str, Any]
#: How the element types are merged: type of the files, type of the peer's arithmetic.
F32, BF16, BF16_THROUGHOUT = ("F32", "float32"), ("BF16", "float32"), ("BF16", "bfloat16")
TORCH = {"F32": "float32", "BF16": "bfloat16"}


@dataclass(frozen=True)
class Explained:
    """Tensors in which results differ by more than rounding, why, and in how many elements."""

    sentence: str
    tensors: tuple[str, ...] = ("*",)
    #: Most of all elements that may differ.
    share: float = 1.0
    #: Where: kinds of inputs and types, each "*" for all.
    kind: str = "*"
    dtype: str = "*"

    def applies(self, kind: str, dtype: str) -> bool:
        """Whether it speaks of these inputs."""
        return self.kind in ("*", kind) and self.dtype in ("*", dtype)


@dataclass(frozen=True)
class Pair:
    """Our method and options, and the peer's; a list among its parameters is one value a model."""

    method: str
    options: Options
    peer: str
    call: str
    parameters: Options
    variant: str
    models: int = 3
    base: bool = True
    #: The peer calls the first of the models its base.
    first_is_base: bool = False
    fishers: bool = False
    grams: bool = False
    kinds: tuple[str, ...] = ("random", "structured")
    types: tuple[tuple[str, str], ...] = (F32, BF16)
    #: Whether rounding depends on the largest element of a tensor.
    by_tensor: bool = False
    tolerance: float = 1e-6
    #: Randomised: compared by the share kept and the mean, see differences.Drawn.
    drawn: Options | None = None
    explained: tuple[Explained, ...] = field(default=())

    def explanations(self, kind: str, dtype: str) -> list[Explained]:
        """Those that speak of these inputs."""
        return [e for e in self.explained if e.applies(kind, dtype)]
