"""`dfmerge inspect` and `dfmerge diff`, against NumPy."""

from __future__ import annotations

import json
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from checkpoints import write_folder
from conftest import Workplace
from safetensors.numpy import save_file


def test_inspect_lists_tensors_types_and_ties(work: Workplace) -> None:
    found = work.json("inspect", "base")
    assert found["kind"] == "folder" and found["files"] == ["base/model.safetensors"]
    assert found["tensor_count"] == 10 == len(found["tensors"])
    assert found["metadata"] == {"format": "pt"}
    assert found["tied"] == [["lm_head.weight", "model.embed.weight"]]
    elements = sum(value.size for value in work.states["base"].values())
    assert found["elements"] == elements
    assert found["dtypes"]["I64"] == {"tensors": 1, "elements": 1, "bytes": 8}
    text = work.run("inspect", "base").stdout
    assert "lm_head.weight = model.embed.weight" in text
    summary = work.run("inspect", "base", "--summary").stdout
    assert "self_attn" not in summary and "10 tensors" in summary
    assert "tensors" not in work.json("inspect", "base", "--summary")


def test_inspect_takes_zeros_for_no_ties_and_metadata_for_ties(work: Workplace) -> None:
    zeros = np.zeros((4, 4), np.float32)
    state = {"a.bias": zeros, "b.bias": zeros.copy(), "kept": np.arange(4.0, dtype=np.float32)}
    save_file(state, work.folder / "m.safetensors", metadata={"dropped": "kept"})
    assert work.json("inspect", "m.safetensors")["tied"] == [["kept", "dropped"]]


def figures(a: np.ndarray, b: np.ndarray) -> dict[str, float]:
    x, y = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    difference = y - x
    return {
        "max": np.abs(difference).max(),
        "mean": np.abs(difference).mean(),
        "relative": np.linalg.norm(difference) / np.linalg.norm(x),
        "cosine": x @ y / np.linalg.norm(x) / np.linalg.norm(y),
        "differing": float((x != y).sum()),
    }


def test_diff_is_what_numpy_says(work: Workplace) -> None:
    base, maths, code = (work.states[name] for name in ("base", "maths", "code"))
    found = work.json("diff", "maths", "code", "--base", "base", "--all")
    assert not found["identical"]
    parts: dict[str, list[np.ndarray]] = {"a": [], "b": [], "base": []}
    for tensor in found["tensors"]:
        name = tensor["name"]
        if name == "steps":
            assert tensor["identical"]
            continue
        for figure, value in figures(maths[name], code[name]).items():
            assert tensor[figure] == pytest.approx(value, rel=1e-12), (name, figure)
        x = (maths[name].astype(float) - base[name]).ravel()
        y = (code[name].astype(float) - base[name]).ravel()
        cosine = x @ y / np.linalg.norm(x) / np.linalg.norm(y)
        assert tensor["task_cosine"] == pytest.approx(cosine, rel=1e-10)
        for key, state in (("a", maths), ("b", code), ("base", base)):
            parts[key].append(state[name].ravel())
    whole = figures(np.concatenate(parts["a"]), np.concatenate(parts["b"]))
    for figure, value in whole.items():
        assert found["total"][figure] == pytest.approx(value, rel=1e-12)
    text = work.run("diff", "maths", "code", "--base", "base").stdout
    assert "task cosine" in text and "1 of 10 tensors are the same" in text


@pytest.mark.parametrize("dtype", [np.float64, np.float16, ml_dtypes.bfloat16])
def test_diff_of_every_type_and_length(work: Workplace, dtype: type) -> None:
    draw = np.random.default_rng(5)
    a, b = {}, {}
    # Around the blocks of eight and the pieces of 65,536 elements; none, and a scalar.
    for count in (0, 1, 7, 8, 9, 65_535, 65_536, 65_537, 150_001):
        a[f"t{count}"] = draw.standard_normal(count).astype(dtype)
        b[f"t{count}"] = (a[f"t{count}"].astype(float) + 0.01).astype(np.float32)
    a["scalar"], b["scalar"] = np.array(2, dtype), np.array(3, np.float32)
    save_file(a, work.folder / "a.safetensors")
    save_file(b, work.folder / "b.safetensors")
    one = work.json("diff", "a.safetensors", "b.safetensors", "--threads", "1")
    assert one == work.json("diff", "a.safetensors", "b.safetensors", "--threads", "5")
    for tensor in one["tensors"]:
        x, y = a[tensor["name"]], b[tensor["name"]]
        if x.size == 0:
            assert tensor["mean"] is None and tensor["differing"] == 0
            continue
        for figure, value in figures(x, y).items():
            assert tensor[figure] == pytest.approx(value, rel=1e-11), (tensor["name"], figure)


def test_diff_of_what_does_not_fit(work: Workplace) -> None:
    a = {
        "nan": np.array([1, np.nan, np.inf, 2], np.float32),
        "shape": np.zeros((2, 3), np.float32),
        "whole": np.array([1, 2], np.int64),
        "mine": np.zeros(2, np.float32),
        "zero": np.zeros(3, np.float32),
    }
    b = {
        "nan": np.array([1, np.nan, 3, 4], np.float32),
        "shape": np.zeros((3, 2), np.float32),
        "whole": np.array([1, 3], np.int64),
        "yours": np.zeros(2, np.float32),
        "zero": np.zeros(3, np.float32),
    }
    save_file(a, work.folder / "a.safetensors")
    save_file(b, work.folder / "b.safetensors")
    found = work.json("diff", "a.safetensors", "b.safetensors")
    tensors = {tensor["name"]: tensor for tensor in found["tensors"]}
    assert tensors["nan"]["non_finite"] == 2 and tensors["nan"]["max"] == 2
    assert not tensors["whole"]["identical"] and "max" not in tensors["whole"]
    assert tensors["zero"]["identical"] and tensors["zero"]["cosine"] is None
    assert found["only_in_a"] == ["mine"] and found["only_in_b"] == ["yours"]
    assert found["other_shape"] == [{"name": "shape", "shapes": [[2, 3], [3, 2]]}]
    text = work.run("diff", "a.safetensors", "b.safetensors").stdout
    for line in ("only in a.safetensors: 1", "with another shape: 1", "2 are not finite"):
        assert line in text
    same = work.json("diff", "a.safetensors", "a.safetensors")
    assert same["identical"] and same["total"]["differing"] == 0


def test_exit_code_tells_of_differences(work: Workplace) -> None:
    assert work.run("diff", "base", "maths").stderr == ""
    work.run("diff", "base", "maths", "--exit-code", status=1)
    work.run("diff", "base", "base", "--exit-code")
    (work.folder / "broken").mkdir()
    work.write("broken/model.safetensors", "no weights")
    assert work.json("diff", "base", "broken", status=1)["error"]["name"] == "invalid_format"


def test_diff_of_shards_and_a_file(work: Workplace, tmp_path: Path) -> None:
    work.run(
        "merge", "shards", "--method", "average", "--model", "maths",
        "--setting", "max_shard_size=500",
    )  # fmt: skip
    assert len(json.loads((tmp_path / "shards/model.safetensors.index.json").read_text())) == 2
    assert work.json("diff", "shards", "maths")["identical"]
    write_folder(work.folder / "copy", work.states["maths"])
    assert work.json("diff", "shards", "copy/model.safetensors")["identical"]
