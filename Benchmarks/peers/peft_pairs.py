"""Our combinations of LoRA adapters beside peft's."""

from __future__ import annotations

from typing import Any

from adapters import ALPHAS, RANK
from pair import F32, Explained, Options, Pair

WEIGHTS = [1.0, 0.5, -0.3]
ONCE = [weight * RANK / alpha for weight, alpha in zip(WEIGHTS, ALPHAS, strict=True)]
TWICE = Explained("peft multiplies each update by its scaling twice")


def _pair(
    method: str, ours: Options, call: str, theirs: Options, variant: str, **more: Any
) -> Pair:
    return Pair(method, {"weights": WEIGHTS, **ours}, "peft", call,
                {"weights": WEIGHTS, **theirs}, variant, base=False, kinds=("adapters",),
                types=(F32,), by_tensor=True, **more)  # fmt: skip


PAIRS = [
    _pair("lora_linear", {}, "linear", {}, "negative weights too"),
    _pair("lora_cat", {}, "cat", {}, "negative weights too"),
    _pair("lora_svd", {}, "svd", {"weights": ONCE}, "scaled once", tolerance=1e-5),
    _pair("lora_svd", {}, "svd", {}, "as it is", tolerance=1e-5, explained=(TWICE,)),
]
