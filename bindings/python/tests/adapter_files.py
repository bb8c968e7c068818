"""peft adapters for tests: random ones, their files, and what is read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from random_merges import FLOATS, Stored, read_file, write_file

Array = np.ndarray[Any, Any]
Weights = dict[str, Array]

PREFIX = "base_model.model."
#: Module -> sizes of its output and input.
MODULES = {
    "model.layers.0.self_attn.q_proj": (12, 16),
    "model.layers.0.self_attn.v_proj": (7, 16),
    "model.layers.1.mlp.down_proj": (16, 33),
}
#: As peft 0.15 writes it.
CONFIG: dict[str, Any] = {
    "alpha_pattern": {}, "auto_mapping": None, "base_model_name_or_path": "owner/base",
    "bias": "none", "corda_config": None, "eva_config": None, "exclude_modules": None,
    "fan_in_fan_out": False, "inference_mode": True, "init_lora_weights": True,
    "layer_replication": None, "layers_pattern": None, "layers_to_transform": None,
    "loftq_config": {}, "lora_alpha": 16, "lora_bias": False, "lora_dropout": 0.05,
    "megatron_config": None, "megatron_core": "megatron.core", "modules_to_save": None,
    "peft_type": "LORA", "r": 8, "rank_pattern": {}, "revision": None,
    "target_modules": ["q_proj", "v_proj", "down_proj"], "task_type": "CAUSAL_LM",
    "trainable_token_indices": None, "use_dora": False, "use_rslora": False,
}  # fmt: skip


def factors(module: str) -> tuple[str, str]:
    """The names of a module's two factors."""
    return f"{PREFIX}{module}.lora_A.weight", f"{PREFIX}{module}.lora_B.weight"


def random_adapter(
    rng: np.random.Generator, rank: int = 8, modules: dict[str, tuple[int, int]] | None = None
) -> Weights:
    """Factors of some modules; odd modules of a convolution and an embedding are among them."""
    weights: Weights = {}
    for module, (rows, columns) in (MODULES if modules is None else modules).items():
        down, up = factors(module)
        weights[down] = rng.normal(size=(rank, columns))
        weights[up] = rng.normal(size=(rows, rank))
    if modules is None:
        stem = PREFIX + "model.conv.lora_{}.weight"
        weights[stem.format("A")] = rng.normal(size=(rank, 3, 2, 2))
        weights[stem.format("B")] = rng.normal(size=(5, rank, 1, 1))
        weights[PREFIX + "model.embed_tokens.lora_embedding_A"] = rng.normal(size=(rank, 11))
        weights[PREFIX + "model.embed_tokens.lora_embedding_B"] = rng.normal(size=(6, rank))
    return weights


def rounded(weights: Weights, dtype: str) -> Weights:
    """What is left of numbers that were stored as `dtype`, as float64."""
    return {name: value.astype(FLOATS[dtype]).astype(np.float64) for name, value in weights.items()}


def write_adapter(path: Path, weights: Weights, dtype: str = "F32", **changes: Any) -> Path:
    """The folder of an adapter, with changes of its configuration; None takes a member out."""
    path.mkdir()
    kind = FLOATS[dtype]
    write_file(
        path / "adapter_model.safetensors",
        {n: Stored(dtype, v.shape, v.astype(kind).tobytes()) for n, v in weights.items()},
    )
    config = {**CONFIG, **changes}
    (path / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True))
    return path


def read_adapter(path: Path) -> tuple[dict[str, Stored], dict[str, Any]]:
    """Tensors and configuration of an adapter's folder."""
    config: dict[str, Any] = json.loads((path / "adapter_config.json").read_text())
    return read_file(path / "adapter_model.safetensors"), config


def update(weights: Weights, config: dict[str, Any], module: str) -> Array:
    """What an adapter adds to the weight of a module: scaling B A, as peft defines it."""
    down, up = factors(module)
    rank = weights[down].shape[0]
    alpha = config["lora_alpha"]
    for key, value in config["alpha_pattern"].items():
        if module == key.removeprefix("^") or module.endswith("." + key):
            alpha = value
    return (alpha / rank) * weights[up] @ weights[down]
