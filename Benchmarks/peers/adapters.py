"""LoRA adapters for the peers, as peft writes them: random factors of a few linear layers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from adapter_files import CONFIG, PREFIX, WEIGHTS, normal_factors, write_adapter
from inputs import DTYPES, Inputs, Tensors
from safetensors.torch import load_file

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
        self.models = [
            normal_factors(np.random.default_rng(20 + number), LAYERS, RANK, DTYPES[dtype])
            for number in range(ADAPTERS)
        ]
        self.base_path = Path()
        self.fisher_paths: list[Path] = []
        self.gram_paths: list[Path] = []
        self.paths = [
            write_adapter(folder / f"adapter-{dtype}-{number}", factors, RANK, ALPHAS[number])
            for number, factors in enumerate(self.models)
        ]


AnyInputs = Inputs | Adapters


def updates(folder: Path) -> Tensors:
    """What an adapter adds to each layer, scaling B A, which does not depend on its factors."""
    config: dict[str, Any] = json.loads((folder / CONFIG).read_text("utf-8"))
    factors = load_file(folder / WEIGHTS)
    scaling = config["lora_alpha"] / config["r"]
    return {
        layer: (
            scaling
            * factors[f"{PREFIX}{layer}.lora_B.weight"].double()
            @ factors[f"{PREFIX}{layer}.lora_A.weight"].double()
        ).numpy()
        for layer in LAYERS
    }
