"""The recipe beside a result gives the same bytes once more, for every method."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import State
from conftest import Workplace
from safetensors.numpy import save_file

WEIGHTS = ("model.safetensors", "adapter_model.safetensors")


def weights_of(folder: Path) -> bytes:
    return next(folder / name for name in WEIGHTS if (folder / name).exists()).read_bytes()


def write_adapter(folder: Path, seed: int) -> None:
    draw = np.random.default_rng(seed)
    name = "base_model.model.model.layers.0.self_attn.q_proj.lora_{}.weight"
    state: State = {
        name.format("A"): draw.standard_normal((2, 6)).astype(np.float32),
        name.format("B"): draw.standard_normal((5, 2)).astype(np.float32),
    }
    folder.mkdir()
    save_file(state, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"]}
    (folder / "adapter_config.json").write_text(json.dumps(config))


def write_data(work: Workplace, kind: str) -> list[str]:
    """Fisher values or Gram matrices of the two models, as arguments."""
    arguments = []
    for number, name in enumerate(("maths", "code")):
        draw = np.random.default_rng(number)
        data: State = {}
        for tensor, value in work.states[name].items():
            if kind == "fisher" and value.dtype == np.float32:
                data[tensor] = np.abs(draw.standard_normal(value.shape)).astype(np.float32)
            elif kind == "gram" and value.ndim == 2:
                rows = draw.standard_normal((20, value.shape[1]))
                data[tensor] = (rows.T @ rows).astype(np.float32)
        save_file(data, work.folder / f"{name}.{kind}.safetensors")
        arguments += [f"--{kind}", f"{name}.{kind}.safetensors"]
    return arguments


def test_recipes_of_all_methods_give_the_same_bytes(work: Workplace) -> None:
    for number, name in enumerate(("one", "two")):
        write_adapter(work.folder / name, number)
    infos: list[dict[str, Any]] = work.json("methods")
    assert len(infos) > 20
    for info in infos:
        method = info["id"]
        names = ("one", "two") if info.get("for_adapters") else ("maths", "code")
        arguments = ["--method", method]
        for name in names[: info["most_models"] or 2]:
            arguments += ["--model", name]
        if info["needs_base"]:
            arguments += ["--base", "base"]
        if info["model_data"] != "none":
            arguments += write_data(work, info["model_data"])
        work.run("merge", f"{method}-1", *arguments)
        work.run("merge", f"{method}-1/dfmerge_recipe.json", f"{method}-2")
        first = weights_of(work.folder / f"{method}-1")
        assert weights_of(work.folder / f"{method}-2") == first, method


STEPS = """
merge_method: linear
models: [{model: second, parameters: {weight: 1}}, {model: code, parameters: {weight: 3}}]
---
name: first
merge_method: task_arithmetic
base_model: base
models: [{model: maths, parameters: {weight: 0.5}}]
---
name: second
merge_method: linear
models: [{model: first, parameters: {weight: 1}}, {model: base, parameters: {weight: 1}}]
"""


def test_merges_of_several_documents_are_recorded(work: Workplace) -> None:
    work.write("steps.yml", STEPS)
    work.run("merge", "steps.yml", "out")
    work.run("merge", "steps.yml", "kept", "--steps", "steps")
    work.run("merge", "out/dfmerge_recipe.json", "again")
    files = ("model.safetensors", "dfmerge_recipe.json", "README.md")
    for name in files:
        first = (work.folder / "out" / name).read_bytes()
        assert b".dfmerge-" not in first
        for other in ("again", "kept"):
            found = (work.folder / other / name).read_bytes()
            assert found.replace(b"# " + other.encode(), b"# out") == first, (other, name)
    recipe = json.loads((work.folder / "out/dfmerge_recipe.json").read_text())
    assert [step["name"] for step in recipe["steps"]] == ["first", "second"]
    assert recipe["models"][0]["step"] == "second"
    card = (work.folder / "out/README.md").read_text()
    assert "of the merges before this one: `first`, `second`" in card
    assert "$ dfmerge merge dfmerge_recipe.json merged" in card
    assert "```python" not in card


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("  - {model: code, parameters: {weight: 1, density: 1.5}}", "density"),
        ("  - {model: code, parameters: {weight: 1, density: [0.5, 1.5]}}", "density"),
    ],
)
def test_refused_values_are_named_by_their_line(work: Workplace, line: str, says: str) -> None:
    start = "merge_method: ties\nbase_model: base\nmodels:\n"
    work.write("c.yml", f"{start}  - {{model: maths, parameters: {{weight: 1}}}}\n{line}\n")
    for command in ("plan", "merge"):
        error = work.run(command, "c.yml", "out", status=1).stderr
        assert f"c.yml:5: Option '{says}' of method 'ties' is" in error


def test_other_refusals_are_named_by_their_line(work: Workplace) -> None:
    models = "models: [{model: maths}, {model: code}]\n"
    cases = {
        "della": "base_model: base\n" + models + "parameters:\n  weight: 1\n  density: 0.1\n"
        "  epsilon: 0.2\n",
        "linear": models + "parameters:\n  normalize: true\n  weight: [{filter: mlp, value: 1}, "
        "{value: 0}]\n",
    }
    for (method, text), line in zip(cases.items(), (7, 5), strict=True):
        work.write("c.yml", f"merge_method: {method}\n{text}")
        error = work.run("merge", "c.yml", "out", status=1).stderr
        assert f"c.yml:{line}: " in error, error


def test_a_mark_of_byte_order_is_no_part_of_the_text(work: Workplace) -> None:
    text = "merge_method: linear\nmodels: [{model: maths, parameters: {weight: 1}}]\n"
    (work.folder / "c.yml").write_bytes(b"\xef\xbb\xbf" + text.encode())
    work.run("merge", "c.yml", "out")


def test_fisher_is_not_sent_to_the_search_in_python(work: Workplace) -> None:
    arguments = ["out", "--base", "base", "--model", "maths", "--space", "weights=0,1"]
    command = ["--", "true"]
    fisher = work.run("search", *arguments, "--method", "fisher", *command, status=1).stderr
    assert "--fisher" in fisher and "Search it in Python" not in fisher


def test_a_task_called_by_a_number(work: Workplace) -> None:
    models = ["--model", "0=maths", "--model", "1=code"]
    work.run(
        "merge", "c.safetensors", "--method", "emr", "--base", "base", *models,
        "--option", "compact=true",
    )  # fmt: skip
    work.run(
        "merge", "out.safetensors", "--method", "emr", "--base", "base", "--model",
        "c.safetensors", "--option", "task=0",
    )  # fmt: skip
