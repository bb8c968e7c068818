"""Reading and writing checkpoints, beside the safetensors package."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

import dfmerge


def tensors() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {
        "half": torch.randn(3, 5).half(),
        "brain": torch.randn(7).bfloat16(),
        "single": torch.randn(2, 3, 4),
        "double": torch.randn(()).double(),
        "none": torch.zeros(0, 4),
        "count": torch.arange(6),
        "mask": torch.tensor([True, False]),
        "bytes": torch.arange(5, dtype=torch.uint8),
    }


def test_safetensors_reads_what_we_write(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    dfmerge.save(tensors(), str(path), metadata={"note": "x"})
    found = safetensors.torch.load_file(path)
    assert set(found) == set(tensors())
    for name, tensor in tensors().items():
        assert found[name].dtype == tensor.dtype and torch.equal(found[name], tensor)
    with safetensors.safe_open(path, "pt") as file:
        assert file.metadata() == {"format": "pt", "note": "x"}


def test_we_read_what_safetensors_writes(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    safetensors.torch.save_file(tensors(), path)
    found = dfmerge.load(path)
    assert set(found) == set(tensors())
    assert found.dtype("brain") == "BF16" and found.shape("single") == (2, 3, 4)
    for name, tensor in tensors().items():
        array = found[name]
        as_tensor = (
            array if isinstance(array, torch.Tensor) else torch.from_numpy(np.asarray(array))
        )
        assert torch.equal(as_tensor.view(tensor.shape), tensor)


def test_sharded_folder_round_trip(tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    (base / "config.json").write_text('{"a": 1}')
    out = tmp_path / "out"
    dfmerge.save(tensors(), str(out), shard_size=64, copy_files_from=str(base))
    index = json.loads((out / "model.safetensors.index.json").read_text())
    assert set(index["weight_map"]) == set(tensors())
    assert (out / "config.json").read_text() == '{"a": 1}'
    found = dfmerge.load(out)
    for name, tensor in tensors().items():
        shard = safetensors.torch.load_file(out / index["weight_map"][name])
        assert torch.equal(shard[name], tensor)
        assert found.shape(name) == tuple(tensor.shape)


def test_merging_paths_gives_the_bases_dtypes(tmp_path: Path) -> None:
    base, model = tmp_path / "base.safetensors", tmp_path / "model.safetensors"
    dfmerge.save(tensors(), str(base))
    tuned = {k: v + 1 if v.is_floating_point() else v for k, v in tensors().items()}
    dfmerge.save(tuned, str(model))
    merged = dfmerge.merge(
        base, {"a": model}, method="task_arithmetic", options={"coefficients": 0.5}
    )
    assert merged["brain"].dtype == torch.bfloat16
    assert merged["half"].dtype == np.float16
    expected = tensors()["single"].double() + 0.5 * (tuned["single"].double() - tensors()["single"])
    np.testing.assert_allclose(merged["single"], expected.numpy(), rtol=1e-7)
    assert np.array_equal(merged["count"], np.arange(6))


def test_errors_name_the_path(tmp_path: Path) -> None:
    with pytest.raises(dfmerge.InputOutputError, match=r"nowhere\.safetensors") as caught:
        dfmerge.load(tmp_path / "nowhere.safetensors")
    assert isinstance(caught.value, OSError) and caught.value.code == 201
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"\xff" * 40)
    with pytest.raises(dfmerge.FormatError, match=r"bad\.safetensors"):
        dfmerge.load(bad)
    with pytest.raises(dfmerge.ArgumentError, match="no option 'shards'"):
        dfmerge.save(tensors(), str(tmp_path / "x.safetensors"), shards=3)
    with pytest.raises(ValueError, match="NUL"):
        dfmerge.load(f"{bad}\0.safetensors")
    with pytest.raises(ValueError, match=r"x\.pt looks like a file of another format"):
        dfmerge.save(tensors(), tmp_path / "x.pt")
    assert os.listdir(tmp_path) == ["bad.safetensors"]


def test_a_module_is_saved_as_its_state(tmp_path: Path) -> None:
    module = torch.nn.BatchNorm1d(3)
    dfmerge.save(module, tmp_path / "model.safetensors")
    assert set(dfmerge.load(tmp_path / "model.safetensors")) == set(module.state_dict())


def test_a_name_or_path_is_never_cut_at_a_nul(tmp_path: Path) -> None:
    array = np.ones(2, np.float32)
    with pytest.raises(ValueError, match="NUL"):
        dfmerge.merge(None, [{"w\0x": array}], method="average")
    with pytest.raises(ValueError, match="NUL"):
        dfmerge.merge(None, {"model\0x": {"w": array}}, method="average")
    for path in (f"{tmp_path}/a.safetensors\0b", f"{tmp_path}/new\0folder"):
        with pytest.raises(ValueError, match="NUL"):
            dfmerge.save({"w": array}, path)
        with pytest.raises(ValueError, match="NUL"):
            dfmerge.load(path)
    search = dfmerge.Search(
        {"w": array}, {"w": array.copy()}, {"a": {"w": array.copy()}}, lambda trial: 0.0,
        tasks=["score"], fisher_mode="none", trials=1, journal=f"{tmp_path}/run\0.jsonl",
        progress=False,
    )  # fmt: skip
    with pytest.raises(ValueError, match="NUL"):
        search.run()
    assert list(tmp_path.iterdir()) == []
