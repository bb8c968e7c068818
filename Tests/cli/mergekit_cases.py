"""Configurations whose results mergekit itself has computed, for the tests to compare with.

Run by a Python that has mergekit 0.1.4, this makes `mergekit_cases.safetensors` anew: the inputs,
`in/MODEL/TENSOR`, and the results, `CASE/TENSOR`.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

RESULTS = Path(__file__).resolve().with_suffix(".safetensors")
LAYERS, HIDDEN, INNER, WORDS = 3, 4, 6, 10
MODELS = ("base", "a", "b", "c")
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": HIDDEN,
    "intermediate_size": INNER,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "vocab_size": WORDS,
    "max_position_embeddings": 64,
    "tie_word_embeddings": False,
}

Configuration = dict[str, Any]

#: Filters, gradients and a value for the rest.
FILTERS = [
    {"filter": "self_attn", "value": [0, 0.5, 0.3, 0.7, 1]},
    {"filter": "mlp", "value": [1, 0.2]},
    {"value": 0.5},
]


def case(method: str, *models: Any, base: str | None = None, **parameters: Any) -> Configuration:
    """A configuration in the models form; a model is a name, or a name and its parameters."""
    found: Configuration = {"merge_method": method, "models": []}
    for model in models:
        name, own = model if isinstance(model, tuple) else (model, None)
        found["models"].append({"model": name, **({"parameters": own} if own else {})})
    if base:
        found["base_model"] = base
    if parameters:
        found["parameters"] = parameters
    return found


def slices(method: str, **parameters: Any) -> Configuration:
    sources = [{"model": model, "layer_range": [0, LAYERS]} for model in ("a", "b")]
    return {
        "slices": [{"sources": sources}],
        "merge_method": method,
        "base_model": "a",
        "parameters": parameters,
    }


SPARSE = (("a", {"weight": 0.5, "density": 0.6}), ("b", {"weight": 1, "density": 0.8}))

CASES: dict[str, Configuration] = {
    "linear": case(
        "linear", ("a", {"weight": FILTERS}), ("b", {"weight": "0.3"}), ("c", {"weight": True})
    ),
    "linear, base, not normalised": case(
        "linear",
        ("base", {"weight": 0.2}),
        ("b", {"weight": [0.3, 1]}),
        base="base",
        normalize=False,
    ),
    "task_arithmetic": case(
        "task_arithmetic",
        ("a", {"weight": FILTERS}),
        ("b", {"weight": -0.3}),
        base="base",
        **{"lambda": 0.7},
    ),
    "task_arithmetic, normalised": case(
        "task_arithmetic", ("a", {"weight": 1}), ("b", {"weight": 0.5}), base="base", normalize=True
    ),
    "ties": case(
        "ties",
        ("a", {"weight": FILTERS, "density": [0.3, 0.9]}),
        ("b", {"weight": 0.7, "density": 0.5}),
        ("c", {"weight": 1, "density": 0.4}),
        base="base",
        int8_mask=True,
    ),
    "ties, sum": case(
        "ties",
        "base",
        ("a", {"density": 0.3}),
        ("b", {"density": 0.5}),
        base="base",
        weight=0.6,
        normalize=False,
        **{"lambda": [1, 2]},
    ),
    "ties, normalised by filter": case(
        "ties",
        "a",
        "b",
        base="base",
        weight=0.6,
        density=0.5,
        normalize=[{"filter": "mlp", "value": 1}, {"value": 0}],
    ),
    "dare_ties, nothing dropped": case("dare_ties", "a", "b", base="base", weight=FILTERS),
    "dare_linear, nothing dropped": case("dare_linear", "a", "b", base="base", weight=FILTERS),
    "della, nothing dropped": case("della", "a", "b", base="base", weight=0.5),
    "della_linear, nothing dropped": case("della_linear", "a", "b", base="base", weight=0.5),
    "breadcrumbs": case("breadcrumbs", *SPARSE, base="base", gamma=0.2, **{"lambda": 0.8}),
    "breadcrumbs, small gamma": case("breadcrumbs", *SPARSE, base="base"),
    "breadcrumbs_ties": case("breadcrumbs_ties", *SPARSE, base="base", gamma=0.2, normalize=True),
    "passthrough": case("passthrough", ("a", {"scale": [0.5, 1]})),
    "slerp": case("slerp", "b", "a", base="a", t=FILTERS),
    "slerp, slices": slices("slerp", t=FILTERS),
    "nuslerp": case("nuslerp", ("a", {"weight": 0.3}), ("b", {"weight": FILTERS})),
    "nuslerp, rows": case(
        "nuslerp",
        ("a", {"weight": 0.3}),
        ("b", {"weight": FILTERS}),
        base="base",
        nuslerp_flatten=False,
    ),
    "nuslerp, columns": case(
        "nuslerp",
        ("a", {"weight": 0.3}),
        ("b", {"weight": 1}),
        base="base",
        nuslerp_flatten=False,
        nuslerp_row_wise=True,
    ),
    "multislerp": case(
        "multislerp", ("a", {"weight": 0.3}), ("b", {"weight": FILTERS}), ("c", {"weight": 1})
    ),
    "multislerp, base": case("multislerp", "a", "b", "c", base="base", weight=0.5),
    "karcher": case("karcher", "a", "b", "c", max_iter=20),
    "karcher, base": case("karcher", "a", "b", base="base"),
    "model_stock": case("model_stock", "a", "b", "c", base="base"),
    "model_stock, rows": case("model_stock", "a", "b", "c", base="base", filter_wise=True),
    "sce": case("sce", "a", "b", "c", base="base", select_topk=0.3),
    "sce, everything": case("sce", "a", "b", "c", base="base"),
}


def shapes() -> Iterator[tuple[str, tuple[int, ...]]]:
    yield "model.embed_tokens.weight", (WORDS, HIDDEN)
    for layer in range(LAYERS):
        start = f"model.layers.{layer}."
        for name in "qkvo":
            yield f"{start}self_attn.{name}_proj.weight", (HIDDEN, HIDDEN)
        yield f"{start}mlp.gate_proj.weight", (INNER, HIDDEN)
        yield f"{start}mlp.up_proj.weight", (INNER, HIDDEN)
        yield f"{start}mlp.down_proj.weight", (HIDDEN, INNER)
        yield f"{start}input_layernorm.weight", (HIDDEN,)
        yield f"{start}post_attention_layernorm.weight", (HIDDEN,)
    yield "model.norm.weight", (HIDDEN,)
    yield "lm_head.weight", (WORDS, HIDDEN)


def part(tensors: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The tensors under a prefix, without it."""
    start = prefix + "/"
    return {name[len(start) :]: t for name, t in tensors.items() if name.startswith(start)}


def write_inputs(tensors: dict[str, np.ndarray], folder: Path) -> None:
    for model in MODELS:
        (folder / model).mkdir()
        save_file(part(tensors, f"in/{model}"), folder / model / "model.safetensors")
        (folder / model / "config.json").write_text(json.dumps(CONFIG))


def main() -> None:
    from mergekit.config import MergeConfiguration
    from mergekit.merge import MergeOptions, run_merge

    draw = np.random.default_rng(6)
    tensors: dict[str, np.ndarray] = {}
    for model in MODELS:
        for name, shape in shapes():
            value = draw.standard_normal(shape).astype(np.float32)
            if model != "base":
                value = tensors[f"in/base/{name}"] + np.float32(0.1) * value
            tensors[f"in/{model}/{name}"] = value
    options = MergeOptions(copy_tokenizer=False, write_model_card=False, quiet=True)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        write_inputs(tensors, Path(folder))
        for name, configuration in CASES.items():
            run_merge(MergeConfiguration.model_validate(configuration), "out", options)
            for file in Path("out").glob("*.safetensors"):
                for tensor, value in load_file(file).items():
                    tensors[f"{name}/{tensor}"] = value
                file.unlink()
    save_file(tensors, RESULTS)


if __name__ == "__main__":
    main()
