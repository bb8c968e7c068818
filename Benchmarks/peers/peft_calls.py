"""Combinations of adapters by peft's add_weighted_adapter, in the peers' environment."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import nn


class _Layers(nn.Module):
    """A model with the linear layers that the adapter has factors of."""

    def __init__(self, adapter: str) -> None:
        super().__init__()
        factors = load_file(Path(adapter, "adapter_model.safetensors"))
        for name, down in factors.items():
            if ".lora_A." in name:
                up = factors[name.replace(".lora_A.", ".lora_B.")]
                layer = name.split(".")[2]
                setattr(self, layer, nn.Linear(down.shape[1], up.shape[0], bias=False))


def merge(job: dict[str, Any]) -> None:
    """Load the adapters, combine them, save the result alone."""
    from peft import PeftModel

    first, *others = job["models"]
    model = PeftModel.from_pretrained(_Layers(first), first, adapter_name="adapter0")
    names = ["adapter0"]
    for number, path in enumerate(others, start=1):
        names.append(f"adapter{number}")
        model.load_adapter(path, adapter_name=names[-1])
    parameters = dict(job["parameters"])
    weights = parameters.pop("weights")
    model.add_weighted_adapter(names, weights, "merged", combination_type=job["call"], **parameters)
    shutil.rmtree(job["out"], ignore_errors=True)
    model.save_pretrained(job["out"], selected_adapters=["merged"])
    for file in Path(job["out"], "merged").iterdir():
        file.replace(Path(job["out"], file.name))
