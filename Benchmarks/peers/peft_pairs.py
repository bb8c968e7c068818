"""Our combinations of LoRA adapters beside peft's."""

from __future__ import annotations

from typing import Any

from pair import F32, Options, Pair

WEIGHTS = [1.0, 0.5, -0.3]


def _pair(
    method: str, ours: Options, call: str, theirs: Options, variant: str, **more: Any
) -> Pair:
    return Pair(method, {"weights": WEIGHTS, **ours}, "peft", call,
                {"weights": WEIGHTS, **theirs}, variant, base=False, kinds=("adapters",),
                types=(F32,), by_tensor=True, **more)  # fmt: skip


PAIRS = [
    _pair("lora_linear", {}, "linear", {}, "negative weights too"),
    _pair("lora_cat", {}, "cat", {}, "negative weights too"),
    # Before 0.21 peft multiplied each update by its scaling twice.
    _pair("lora_svd", {}, "svd", {}, "negative weights too", tolerance=1e-5),
]
