"""Configurations of mergekit give what mergekit computes, and what is not supported is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from checkpoints import read
from conftest import Workplace
from mergekit_cases import CASES, RESULTS, part, write_inputs
from safetensors.numpy import load_file

TIES = {
    "merge_method": "ties",
    "base_model": "base",
    "models": [
        {"model": "maths", "parameters": {"weight": 1, "density": [0.2, 0.8]}},
        {
            "model": "code",
            "parameters": {
                "weight": [{"filter": "self_attn", "value": [0.1, 0.9]}, {"value": 0.5}],
                "density": 0.5,
            },
        },
    ],
}


@pytest.fixture(scope="session")
def cases(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, np.ndarray]]:
    """A folder with the inputs, and all that mergekit has computed."""
    tensors = dict(load_file(RESULTS))
    folder = tmp_path_factory.mktemp("mergekit")
    write_inputs(tensors, folder)
    return folder, tensors


@pytest.mark.parametrize("name", CASES)
def test_is_what_mergekit_computes(
    work: Workplace, cases: tuple[Path, dict[str, np.ndarray]], name: str
) -> None:
    work.folder, tensors = cases
    # JSON is YAML.
    work.write("config.yml", json.dumps(CASES[name]))
    assert work.run("merge", "config.yml", "out.safetensors").stderr == ""
    found = read(work.folder / "out.safetensors")
    expected = part(tensors, name)
    assert found.keys() == expected.keys()
    for tensor, value in expected.items():
        # Its arithmetic is in F32.
        np.testing.assert_allclose(found[tensor], value, rtol=2e-6, atol=2e-6, err_msg=tensor)


def test_one_slice_of_all_layers_is_the_whole_model(work: Workplace) -> None:
    slices = """
slices:
  - sources:
      - {model: maths, layer_range: [0, COUNT], parameters: {weight: 0.25}}
      - {model: code, layer_range: [0, COUNT], parameters: {weight: 0.5}}
merge_method: task_arithmetic
base_model: base
"""
    work.write("slices.yml", slices.replace("COUNT", "3"))
    work.write(
        "models.yml",
        "models:\n  - {model: maths, parameters: {weight: 0.25}}\n"
        "  - {model: code, parameters: {weight: 0.5}}\n"
        "merge_method: task_arithmetic\nbase_model: base\n",
    )
    for name in ("slices", "models"):
        work.run("merge", f"{name}.yml", f"{name}.safetensors")
    assert work.json("diff", "slices.safetensors", "models.safetensors")["identical"]
    work.write("slices.yml", slices.replace("COUNT", "2"))
    error = work.run("merge", "slices.yml", "part", status=1).stderr
    assert "slices.yml:4: the slice has 2 layers" in error and "[0, 3]" in error
    assert "part" not in work.files()


def test_several_documents_use_each_other(work: Workplace) -> None:
    work.write(
        "steps.yml",
        """
merge_method: linear
models: [{model: first, parameters: {weight: 1}}, {model: code, parameters: {weight: 3}}]
dtype: bfloat16
---
name: first
merge_method: task_arithmetic
base_model: base
models: [{model: maths, parameters: {weight: 0.5}}]
""",
    )
    plan = work.json("plan", "steps.yml", "out")
    assert [step["recipe"].get("name") for step in plan["steps"]] == ["first", None]
    assert plan["possible"] and not (work.folder / "out").exists()
    before = work.files()
    report = work.json("merge", "steps.yml", "out")
    assert [step["method"] for step in report["steps"]] == ["task_arithmetic", "average"]
    new = [name for name in work.files() if name not in before]
    assert all(name == "out" or name.startswith("out/") for name in new)
    work.run("merge", "steps.yml", "again", "--steps", "kept")
    assert (work.folder / "kept/first/model.safetensors").is_file()
    assert work.json("diff", "out", "again")["identical"]
    assert work.json("inspect", "out", "--summary")["dtypes"]["BF16"]["tensors"] == 9


def test_options_that_depend_on_the_tensor_are_passed_on(work: Workplace) -> None:
    work.write("config.yml", json.dumps(TIES))
    (step,) = work.json("plan", "config.yml")["steps"]
    assert step["recipe"]["options"]["density"] == [{"gradient": [0.2, 0.8]}, 0.5]
    assert step["recipe"]["options"]["weights"] == [
        1,
        [{"filter": "self_attn", "value": {"gradient": [0.1, 0.9]}}, {"value": 0.5}],
    ]
    assert step["recipe"]["options"]["scope"] == "tensor"


def test_refusals_name_file_and_line(work: Workplace) -> None:
    work.write(
        "bad.yml",
        "merge_method: ties\nbase_model: base\n"
        "models:\n  - model: maths\n    paramters: {weight: 1}\n",
    )
    run = work.run("merge", "bad.yml", "out", status=1)
    assert run.stderr.startswith("dfmerge: error: bad.yml:5: there is no key 'paramters'")
    error = work.json("merge", "bad.yml", "out", status=1)["error"]
    assert error["name"] == "unknown_name"
    assert error["context"] == {"line": "5", "path": "bad.yml"}
    assert "out" not in work.files()


def test_what_has_no_effect_is_said(work: Workplace) -> None:
    work.write(
        "config.yml",
        "merge_method: linear\nmodels: [{model: maths, parameters: {weight: 1, density: 0.5}}]\n",
    )
    run = work.run("merge", "config.yml", "out.safetensors")
    assert "note: config.yml:2: 'density' has no effect here" in run.stderr
    assert work.run("merge", "config.yml", "out.safetensors", "--quiet").stderr == ""
