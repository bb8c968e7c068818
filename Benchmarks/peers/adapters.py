"""LoRA adapters for the peers, as peft writes them: random factors of a few linear layers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from inputs import DTYPES, Inputs, Tensors
from safetensors.torch import load_file

import dfmerge

PREFIX = "base_model.model."
#: Layer -> sizes of its output and input.
LAYERS = {"first": (48, 65), "second": (33, 48), "third": (129, 33)}
RANK, ADAPTERS = 8, 3
#: Each adapter has a scaling of its own.
ALPHAS = (16, 8, 4)


class Adapters:
    """What `Inputs` is for checkpoints."""

    def __init__(self, kind: str, dtype: str, folder: Path) -> None:
        self.kind, self.dtype = kind, dtype
        self.base: Tensors = {}
        self.models = [_factors(np.random.default_rng(20 + n), dtype) for n in range(ADAPTERS)]
        self.base_path = Path()
        self.fisher_paths: list[Path] = []
        self.gram_paths: list[Path] = []
        self.paths = [
            _written(folder / f"adapter-{dtype}-{n}", weights, ALPHAS[n])
            for n, weights in enumerate(self.models)
        ]


AnyInputs = Inputs | Adapters


def _factors(draws: np.random.Generator, dtype: str) -> Tensors:
    found: Tensors = {}
    for layer, (rows, columns) in LAYERS.items():
        stem = f"{PREFIX}{layer}.lora_"
        found[f"{stem}A.weight"] = np.asarray(draws.standard_normal((RANK, columns)), DTYPES[dtype])
        found[f"{stem}B.weight"] = np.asarray(draws.standard_normal((rows, RANK)), DTYPES[dtype])
    return found


def _written(folder: Path, weights: Tensors, alpha: int) -> Path:
    folder.mkdir(parents=True)
    dfmerge.save(weights, folder / "adapter_model.safetensors")
    config = {
        "peft_type": "LORA", "task_type": None, "base_model_name_or_path": "base", "r": RANK,
        "lora_alpha": alpha, "lora_dropout": 0.0, "bias": "none", "inference_mode": True,
        "target_modules": sorted(LAYERS), "use_dora": False, "use_rslora": False,
        "fan_in_fan_out": False, "rank_pattern": {}, "alpha_pattern": {}, "modules_to_save": None,
    }  # fmt: skip
    (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder.resolve()


def updates(folder: Path) -> Tensors:
    """What an adapter adds to each layer, scaling B A, which does not depend on its factors."""
    config: dict[str, Any] = json.loads((folder / "adapter_config.json").read_text("utf-8"))
    factors = load_file(folder / "adapter_model.safetensors")
    scaling = config["lora_alpha"] / config["r"]
    return {
        layer: (
            scaling
            * factors[f"{PREFIX}{layer}.lora_B.weight"].double()
            @ factors[f"{PREFIX}{layer}.lora_A.weight"].double()
        ).numpy()
        for layer in LAYERS
    }
