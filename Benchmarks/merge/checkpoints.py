"""Synthetic checkpoints: a base and fine-tuned models with the shapes of Qwen2.

    python Benchmarks/merge/checkpoints.py --out FOLDER [--size small|large] [--models 4]

"small" has 569 M parameters (1.14 GB in bfloat16): Qwen2-0.5B's shapes with 29 layers instead of
24; "large" is four times that, with tensors twice as wide. Values are seeded: base ~ N(0, 0.02),
task vectors ~ N(0, 0.001), Fisher values exp(N(-14, 4)). What is complete is not made again.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

DTYPES: dict[str, Any] = {"F32": np.float32, "BF16": ml_dtypes.bfloat16, "F16": np.float16}
WEIGHTS = "model.safetensors"
BASE_DEVIATION, TASK_DEVIATION = 0.02, 1e-3
#: Elements drawn at a time, so that making a model takes little memory.
BLOCK = 1 << 22


@dataclass(frozen=True)
class Architecture:
    """The sizes of a Qwen2 decoder with tied embeddings."""

    name: str
    hidden: int
    intermediate: int
    layers: int
    heads: int
    key_value_heads: int = 2
    vocabulary: int = 151936

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Every tensor, in the order of the file."""
        h, i = self.hidden, self.intermediate
        kv = h // self.heads * self.key_value_heads
        found: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (self.vocabulary, h)}
        for number in range(self.layers):
            layer = f"model.layers.{number}."
            for letter, rows in (("q", h), ("k", kv), ("v", kv)):
                found[f"{layer}self_attn.{letter}_proj.weight"] = (rows, h)
                found[f"{layer}self_attn.{letter}_proj.bias"] = (rows,)
            found[f"{layer}self_attn.o_proj.weight"] = (h, h)
            found[f"{layer}mlp.gate_proj.weight"] = (i, h)
            found[f"{layer}mlp.up_proj.weight"] = (i, h)
            found[f"{layer}mlp.down_proj.weight"] = (h, i)
            found[f"{layer}input_layernorm.weight"] = (h,)
            found[f"{layer}post_attention_layernorm.weight"] = (h,)
        found["model.norm.weight"] = (h,)
        return found

    @property
    def parameters(self) -> int:
        """Number of parameters."""
        return sum(math.prod(shape) for shape in self.shapes().values())

    def config(self) -> dict[str, Any]:
        """What config.json holds."""
        return {
            "architectures": ["Qwen2ForCausalLM"],
            "model_type": "qwen2",
            "hidden_act": "silu",
            "hidden_size": self.hidden,
            "intermediate_size": self.intermediate,
            "max_position_embeddings": 32768,
            "num_attention_heads": self.heads,
            "num_hidden_layers": self.layers,
            "num_key_value_heads": self.key_value_heads,
            "rms_norm_eps": 1e-6,
            "rope_theta": 1e6,
            "tie_word_embeddings": True,
            "torch_dtype": "bfloat16",
            "use_cache": True,
            "vocab_size": self.vocabulary,
        }


SMALL = Architecture("small", hidden=896, intermediate=4864, layers=29, heads=14)
LARGE = Architecture(
    "large", hidden=1792, intermediate=9728, layers=34, heads=28, key_value_heads=4
)
TINY = Architecture("tiny", hidden=512, intermediate=2048, layers=8, heads=8, vocabulary=32000)
ARCHITECTURES = {"small": SMALL, "large": LARGE, "tiny": TINY}


def make(
    folder: Path, architecture: Architecture, models: int, distinct: int = 0, dtype: str = "BF16"
) -> list[Path]:
    """Make a base and `models` models under `folder`; return their folders, the base's first.

    With `distinct`, only so many models have bytes of their own; the others are links to them.
    """
    distinct = distinct or models
    paths = []
    for number in range(models + 1):
        path = folder / ("base" if number == 0 else f"model-{number}")
        paths.append(path)
        if (path / "config.json").is_file():
            continue
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        if number > distinct:
            source = paths[(number - 1) % distinct + 1]
            os.link(source / WEIGHTS, path / WEIGHTS)
        else:
            print(f"making {path} ({architecture.parameters / 1e6:.0f} M parameters) ...")
            values = _values(architecture.parameters, number, DTYPES[dtype])
            _write(path / WEIGHTS, architecture, dtype, values)
        # Last: a folder with this file is complete.
        text = json.dumps(architecture.config(), indent=1) + "\n"
        (path / "config.json").write_text(text, encoding="utf-8")
    return paths


def make_fishers(folder: Path, architecture: Architecture, models: int) -> list[Path]:
    """Make files with a Fisher value (F32) for each parameter."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"fisher-{number}.safetensors" for number in range(1, models + 1)]
    for number, path in enumerate(paths):
        if not path.is_file():
            partial = path.with_suffix(".partial")
            _write(partial, architecture, "F32", _fishers(architecture.parameters, number))
            os.replace(partial, path)
    return paths


def _write(
    path: Path, architecture: Architecture, dtype: str, blocks: Iterable[NDArray[Any]]
) -> None:
    """Stream one checkpoint to disk: header length, header, tensors."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, shape in architecture.shapes().items():
        end = offset + np.dtype(DTYPES[dtype]).itemsize * math.prod(shape)
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for values in blocks:
            file.write(values.tobytes())


def _values(count: int, number: int, dtype: Any) -> Iterator[NDArray[Any]]:
    """The values of the base (number 0) or of a model, a block at a time."""
    base = np.random.Generator(np.random.SFC64(0))
    task = np.random.Generator(np.random.SFC64(number))
    for start in range(0, count, BLOCK):
        size = min(BLOCK, count - start)
        values = base.standard_normal(size, dtype=np.float32) * np.float32(BASE_DEVIATION)
        if number:
            values = values.astype(dtype).astype(np.float32)
            values += task.standard_normal(size, dtype=np.float32) * np.float32(TASK_DEVIATION)
        yield values.astype(dtype)


def _fishers(count: int, number: int) -> Iterator[NDArray[Any]]:
    """Fisher values, a block at a time."""
    draws = np.random.Generator(np.random.SFC64([1, number]))
    for start in range(0, count, BLOCK):
        size = min(BLOCK, count - start)
        values = draws.standard_normal(size, dtype=np.float32)
        yield np.exp(values * np.float32(4) - np.float32(14))


def main() -> None:
    """Make the checkpoints of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", choices=list(ARCHITECTURES), default="small")
    parser.add_argument("--models", type=int, default=4)
    arguments = parser.parse_args()
    for path in make(arguments.out, ARCHITECTURES[arguments.size], arguments.models):
        print(path)


if __name__ == "__main__":
    main()
