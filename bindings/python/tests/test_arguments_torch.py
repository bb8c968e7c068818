"""Torch tensors, and memory, that cannot be lent: refused by name, with what to pass instead."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import dfmerge
from dfmerge._memory import ReadOnlyMemory

ONE = np.ones(4096, np.float32)


def freed() -> Any:
    tensor = torch.ones(3)
    tensor.untyped_storage().resize_(0)
    return tensor


def fake() -> Any:
    with FakeTensorMode():
        return torch.ones(3)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: torch.ones(3, device="meta"), "meta device .* load the module with its weights"),
        (lambda: torch.quantize_per_tensor(torch.ones(3), 1.0, 0, torch.qint8), r"dequantize\(\)"),
        (lambda: torch.nested.nested_tensor([torch.ones(3), torch.ones(2)]), r"nested.*unbind"),
        (lambda: torch.eye(3).to_sparse(), r"torch\.sparse_coo; pass tensor\.to_dense\(\)"),
        (freed, "no memory: its storage was freed"),
        (fake, "no memory: .*fake"),
        (lambda: {"a": torch.ones(2)}, r"is a dict; .* pass checkpoint\['w'\]"),
        (lambda: 3, r'is a int; .* pass its tensors only, checkpoint\["state_dict"\]'),
    ],
)
def test_the_model_and_the_remedy_are_named(make: Any, message: str) -> None:
    array = make()
    models = {"first": {"w": np.ones(3, np.float32)}, "second": {"w": array}}
    with pytest.raises(TypeError, match=rf"^second: tensor 'w' .*{message}"):
        dfmerge.merge(None, models, "average")
    with pytest.raises(TypeError, match=rf"^base: tensor 'w' .*{message}"):
        dfmerge.merge({"w": array}, models, "average")
    with pytest.raises(TypeError, match=rf"^the output: tensor 'w' .*{message}"):
        dfmerge.merge(None, [models["first"]], "average", out={"w": array})


def mapped(path: Path, kind: str) -> torch.Tensor:
    """A tensor of a file that is mapped for reading, which torch takes to be writable."""
    if kind == "dlpack":
        dfmerge.save({"w": ONE}, path / "w.safetensors")
        return torch.from_dlpack(dfmerge.load(path / "w.safetensors").tensor("w"))
    np.save(path / "w.npy", ONE)
    return torch.from_numpy(np.load(path / "w.npy", mmap_mode="r"))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["dlpack", "numpy"])
def test_a_file_mapped_for_reading_is_not_written(tmp_path: Path, kind: str) -> None:
    tensor = mapped(tmp_path, kind)
    models = {"a": {"w": ONE}}
    message = "tensor 'w' lies in memory that cannot be written.*pass a copy"
    for out in (tensor, tensor[1000:]):
        sources = {"a": {"w": ONE[: len(out)]}}
        with pytest.raises(ValueError, match=f"^the output: {message}"):
            dfmerge.merge(None, sources, "average", out={"w": out})
    with pytest.raises(ValueError, match=f"^the target: {message}"):
        dfmerge.Search({"w": tensor}, {"w": ONE}, models, lambda trial: 1.0, fisher_mode="none")
    assert dfmerge.merge(None, models, "average", out={"w": tensor.clone()})
    assert (dfmerge.merge(None, {"a": {"w": tensor}}, "average")["w"] == 1).all()


def test_where_the_system_does_not_say_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*arguments: Any) -> Any:
        raise FileNotFoundError

    text = ctypes.cast(ctypes.pythonapi.Py_GetVersion, ctypes.c_void_p).value or 0
    assert ReadOnlyMemory().touches(text, 1) and not ReadOnlyMemory().touches(text, 0)
    assert not ReadOnlyMemory().touches(ONE.ctypes.data, ONE.nbytes)
    monkeypatch.setattr("builtins.open", missing)
    assert not ReadOnlyMemory().touches(text, 1)
