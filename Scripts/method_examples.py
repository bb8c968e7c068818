"""The examples of the methods' pages, and the files that they merge."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Info = dict[str, Any]
NAMES = ["maths", "code", "chat"]


def example_models(info: Info) -> dict[str, str]:
    """Names and folders of an example's models."""
    count = max(info["least_models"], min(2, info["most_models"] or 2))
    prefix = "adapter-" if info["for_adapters"] else "tuned-"
    return {name: prefix + name for name in NAMES[:count]}


def example_options(info: Info) -> dict[str, Any]:
    """One option of a method, as an example has it: its default, for each model where it may be."""
    for option in info["options"]:
        default = option["default"]
        if isinstance(default, (int, float)) and not isinstance(default, bool):
            if option["type"] == "number_per_model":
                return {option["name"]: dict.fromkeys(example_models(info), default)}
            return {option["name"]: default}
    return {}


def data_files(info: Info) -> dict[str, str]:
    """The files of what comes with an example's models."""
    kind = info["model_data"]
    return {} if kind == "none" else {n: f"{kind}-{n}.safetensors" for n in example_models(info)}


def python_example(info: Info) -> str:
    """A call of dfmerge.merge."""
    base = '"base"' if info["uses_base"] else "None"
    lines = ["import dfmerge", "", "dfmerge.merge(", f"    {base},"]
    lines += [f"    {json.dumps(example_models(info))},", f'    "{info["id"]}",']
    if chosen := example_options(info):
        lines.append(f"    options={json.dumps(chosen)},")
    if files := data_files(info):
        lines.append(f"    {info['model_data']}s={json.dumps(files)},")
    return "\n".join([*lines, '    out="merged",', ")"])


def c_example(info: Info) -> str:
    """A call of dfm_merge."""
    models, data = example_models(info), data_files(info)
    count = len(models)
    names = ["base"] * info["uses_base"] + [f"models[{count}]"] + [f"data[{count}]"] * bool(data)
    lines = ["dfm_weights *" + ", *".join(names) + ";"]
    if info["uses_base"]:
        lines.append('dfm_weights_open("base", &base);')
    # Options by model go by the labels of the weights, which are their paths here.
    for array, paths in (("models", models), ("data", data)):
        lines += [f'dfm_weights_open("{p}", &{array}[{n}]);' for n, p in enumerate(paths.values())]
    given = {
        name: list(value.values()) if isinstance(value, dict) else value
        for name, value in example_options(info).items()
    }
    text = json.dumps(json.dumps(given)) if given else "NULL"
    base = "base" if info["uses_base"] else "NULL"
    lines += [
        f'if (dfm_merge("{info["id"]}", {text}, NULL, {base}, models, {count},',
        f"              {'data' if data else 'NULL'},"
        ' NULL, "merged", NULL, NULL, NULL, NULL) != DFM_OK)',
        '    fprintf(stderr, "%s\\n", dfm_last_error_message());',
    ]
    return "\n".join(lines)


def shell_example(info: Info) -> str:
    """A call of the program."""
    words = [f"--method {info['id']}"] + ["--base base"] * info["uses_base"]
    words += [f"--model {name}={path}" for name, path in example_models(info).items()]
    words += [f"--fisher {path}" for path in data_files(info).values()]
    for name, value in example_options(info).items():
        text = f"{name}={json.dumps(value)}"
        words.append(f"--option '{text}'" if isinstance(value, dict) else f"--option {text}")
    lines = ["dfmerge merge merged"]
    for word in words:
        if len(lines[-1]) + len(word) > 100:
            lines[-1] += " \\"
            lines.append("   ")
        lines[-1] += f" {word}"
    return "\n".join(lines)


# --- what the examples merge ---------------------------------------------------------------------

#: A linear layer of a model, and what it is changed by.
LAYER = "model.layers.0.mlp.down_proj"
OUTPUTS, INPUTS, RANK = 8, 6, 2
#: As peft writes it.
ADAPTER = {
    "peft_type": "LORA", "r": RANK, "lora_alpha": RANK, "target_modules": ["down_proj"],
    "base_model_name_or_path": "base", "bias": "none",
}  # fmt: skip


def write_inputs(folder: Path) -> None:
    """Checkpoints, adapters, Fisher values and Gram matrices under the names of the examples."""
    import numpy as np

    import dfmerge

    draws = np.random.default_rng(0)

    def drawn(*shape: int) -> Any:
        return draws.normal(size=shape).astype(np.float32)

    shapes = {f"{LAYER}.weight": (OUTPUTS, INPUTS), "model.norm.weight": (INPUTS,)}
    stem = f"base_model.model.{LAYER}.lora_"
    factors = {f"{stem}A.weight": (RANK, INPUTS), f"{stem}B.weight": (OUTPUTS, RANK)}
    base = {name: drawn(*shape) for name, shape in shapes.items()}
    dfmerge.save(base, folder / "base")
    (folder / "base/config.json").write_text('{"model_type": "example"}')
    for name in NAMES:
        tuned = {key: value + 0.1 * drawn(*value.shape) for key, value in base.items()}
        dfmerge.save(tuned, folder / f"tuned-{name}")
        fisher = {key: drawn(*value.shape) ** 2 for key, value in base.items()}
        dfmerge.save(fisher, folder / f"fisher-{name}.safetensors")
        rows = drawn(20, INPUTS)
        dfmerge.save({f"{LAYER}.weight": rows.T @ rows}, folder / f"gram-{name}.safetensors")
        adapter = folder / f"adapter-{name}"
        adapter.mkdir()
        dfmerge.save(
            {key: drawn(*shape) for key, shape in factors.items()},
            adapter / "adapter_model.safetensors",
        )
        (adapter / "adapter_config.json").write_text(json.dumps(ADAPTER))
