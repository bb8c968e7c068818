"""LoRA adapters as peft writes them: a folder with the factors and their configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import dfmerge

PREFIX = "base_model.model."
WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"

Factors = dict[str, NDArray[Any]]


def normal_factors(
    draws: np.random.Generator, layers: Mapping[str, tuple[int, int]], rank: int, dtype: Any
) -> Factors:
    """Normal factors of layers, given by name with the sizes of their output and input."""
    found: Factors = {}
    for layer, (rows, columns) in layers.items():
        for letter, shape in (("A", (rank, columns)), ("B", (rows, rank))):
            name = f"{PREFIX}{layer}.lora_{letter}.weight"
            found[name] = np.asarray(draws.standard_normal(shape), dtype)
    return found


def write_adapter(folder: Path, factors: Factors, rank: int, alpha: int) -> Path:
    """Write an adapter; its absolute path."""
    folder.mkdir(parents=True, exist_ok=True)
    dfmerge.save(factors, folder / WEIGHTS)
    layers = {name.removeprefix(PREFIX).partition(".lora_")[0] for name in factors}
    config: dict[str, Any] = {
        "peft_type": "LORA", "task_type": None, "base_model_name_or_path": "base", "r": rank,
        "lora_alpha": alpha, "lora_dropout": 0.0, "bias": "none", "inference_mode": True,
        "target_modules": sorted(layers), "use_dora": False, "use_rslora": False,
        "fan_in_fan_out": False, "rank_pattern": {}, "alpha_pattern": {}, "modules_to_save": None,
    }  # fmt: skip
    (folder / CONFIG).write_text(json.dumps(config), encoding="utf-8")
    return folder.resolve()
