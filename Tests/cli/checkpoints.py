"""Small checkpoints for the tests of the program: a base and two fine-tunes of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

LAYERS = 3
State = dict[str, np.ndarray]


def base_state(seed: int = 0) -> State:
    """Three layers of two matrices, an embedding that is the output too, and a whole number."""
    draw = np.random.default_rng(seed)
    state: State = {"model.embed.weight": draw.standard_normal((10, 6)).astype(np.float32)}
    for layer in range(LAYERS):
        for part in ("self_attn", "mlp"):
            name = f"model.layers.{layer}.{part}.weight"
            state[name] = draw.standard_normal((8, 6)).astype(np.float32)
    state["model.norm.weight"] = draw.standard_normal(6).astype(np.float32)
    state["lm_head.weight"] = state["model.embed.weight"].copy()
    state["steps"] = np.array([3], dtype=np.int64)
    return state


def tuned_state(base: State, seed: int) -> State:
    """The base and a small change of every number, the tied one once."""
    draw = np.random.default_rng(seed)
    state = {
        name: value
        if value.dtype == np.int64
        else value + (0.1 * draw.standard_normal(value.shape)).astype(np.float32)
        for name, value in base.items()
    }
    state["lm_head.weight"] = state["model.embed.weight"].copy()
    return state


def write_folder(folder: Path, state: State) -> None:
    folder.mkdir(parents=True)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps({"architectures": ["Example"]}))
    (folder / "tokenizer.json").write_text(json.dumps({"of": folder.name}))


def write_models(folder: Path) -> dict[str, State]:
    """`base`, `maths` and `code` in `folder`; returns what is in them."""
    base = base_state()
    states = {"base": base, "maths": tuned_state(base, 1), "code": tuned_state(base, 2)}
    for name, state in states.items():
        write_folder(folder / name, state)
    return states


def read(path: Path) -> State:
    """The tensors of a file, or of a folder with one file."""
    return dict(load_file(path / "model.safetensors" if path.is_dir() else path))
