"""Exchange with torch: tensors in, checkpoints and Fisher buffers out."""

from __future__ import annotations

import ctypes
import gc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from search_problem import Problem

import dfmerge
from dfmerge import _arrays
from dfmerge._dtypes import BY_NAME, DTYPES

TORCH = [dtype for dtype in DTYPES if dtype.spelled and hasattr(torch, dtype.spelled)]
BYTES = bytes(range(0, 96, 2))


def stored(path: Path, dtype: Any) -> dfmerge.Tensor:
    """A tensor of 48 bytes in a file."""
    tensor = dfmerge.Tensor.allocated("w", dtype, (2, 48 * 8 // dtype.bits // 2))
    data = bytes(byte & 2 and 1 for byte in BYTES) if dtype.name == "BOOL" else BYTES
    ctypes.memmove(tensor._address, data, 48)
    dfmerge.save({"w": tensor}, path)
    return dfmerge.load(path).tensor("w")


@pytest.mark.parametrize("dtype", TORCH, ids=lambda d: d.name)
def test_torch_takes_every_type_that_it_has(tmp_path: Path, dtype: Any) -> None:
    tensor = stored(tmp_path / "x.safetensors", dtype)
    shared, copied = tensor.torch(copy=False), tensor.torch()
    assert shared.data_ptr() == tensor._address != copied.data_ptr()
    for found in (shared, copied, tensor.copy().torch()):
        assert found.shape == tensor.shape and str(found.dtype) == f"torch.{dtype.spelled}"
        back = _arrays.view("w", found, writable=True)
        assert back.dtype == dtype.number
        assert ctypes.string_at(back.address, 48) == ctypes.string_at(tensor._address, 48)


@pytest.mark.parametrize(
    "name", ["F64", "F32", "F16", "BF16", "I64", "I32", "I8", "U8", "BOOL", "C64", "F8_E4M3"]
)
def test_torch_takes_it_by_dlpack_without_a_copy(tmp_path: Path, name: str) -> None:
    tensor = stored(tmp_path / "x.safetensors", BY_NAME[name])
    found = torch.from_dlpack(tensor)
    assert found.data_ptr() == tensor._address and found.shape == tensor.shape
    assert str(found.dtype) == f"torch.{BY_NAME[name].spelled}"

    class Relay:
        """What another library does with torch's tensors."""

        def __dlpack_device__(self) -> Any:
            return found.__dlpack_device__()

        def __dlpack__(self, **wishes: Any) -> Any:
            return found.__dlpack__(**wishes)

    # There and back: the very memory that the file is mapped to.
    assert _arrays.view("w", Relay(), writable=False)[:2] == (tensor._address, tensor._dtype.number)


def test_what_torch_lacks_is_named(tmp_path: Path) -> None:
    tensor = stored(tmp_path / "x.safetensors", BY_NAME["F6_E2M3"])
    with pytest.raises(TypeError, match="F6_E2M3, which torch has no type for"):
        tensor.torch()


def test_empty_and_scalar_tensors() -> None:
    empty = dfmerge.Tensor.allocated("w", BY_NAME["F32"], (0, 3))
    assert empty.torch().shape == torch.from_dlpack(empty).shape == (0, 3)
    scalar = dfmerge.Tensor.allocated("w", BY_NAME["BF16"], ())
    torch.from_dlpack(scalar).fill_(2.5)
    assert scalar.torch().item() == 2.5


@pytest.mark.parametrize("take", [torch.from_dlpack, lambda t: t.torch(copy=False)])
def test_what_torch_took_keeps_the_file_mapped(tmp_path: Path, take: Any) -> None:
    path = tmp_path / "x.safetensors"
    kept = take(stored(path, BY_NAME["F32"]))
    view = kept[1:]
    del kept
    gc.collect()
    assert str(path) in Path("/proc/self/maps").read_text()
    assert view.shape == (1, 6)
    del view
    gc.collect()
    assert str(path) not in Path("/proc/self/maps").read_text()


def test_strided_tensors_are_read_as_they_show_and_not_written() -> None:
    whole = torch.arange(24.0).reshape(4, 6)
    negated = torch.tensor([1 + 2j, 3 - 4j], dtype=torch.complex64).conj().imag
    assert negated.is_neg()
    for tensor in (whole.t(), whole[::2], whole[:, 1:3], whole[0].expand(3, 6), negated):
        merged = dfmerge.merge(None, [{"w": tensor}], method="average")["w"]
        assert merged.is_contiguous() and torch.equal(merged, tensor)
        with pytest.raises(ValueError, match=r"'w' is not contiguous \(strides .*to be written"):
            dfmerge.merge(None, [{"w": merged}], method="average", out={"w": tensor})
    assert torch.equal(whole.flatten(), torch.arange(24.0))


def test_pairs_of_4_bits_are_counted_by_element() -> None:
    pairs = torch.arange(6, dtype=torch.uint8).reshape(2, 3).view(torch.float4_e2m1fn_x2)
    view = _arrays.view("w", pairs, writable=True)
    assert (view.dtype, view.shape, view.nbytes) == (BY_NAME["F4"].number, (2, 6), 6)


def test_fisher_buffers_are_torchs_to_write() -> None:
    expected = Problem().search(trials=6).run().coefficients
    problem = Problem()
    kept: list[torch.Tensor] = []

    def fisher(request: dfmerge.FisherRequest) -> None:
        rng = np.random.default_rng(len(request.model))
        for name in request.names:
            tensor = request.buffers.tensor(name)
            array = torch.from_dlpack(tensor)
            assert array.data_ptr() == tensor._address and array.shape == tensor.shape
            values = 1 + request.coefficient + rng.random(tensor.shape)
            array += torch.from_numpy(values.astype(np.float32))
            kept.append(array)

    search = dfmerge.Search(
        problem.target, problem.base, problem.models, problem.evaluate, fisher, trials=6,
        progress=False,
    )  # fmt: skip
    assert search.run().coefficients == expected
    del search, fisher
    gc.collect()
    assert all(float(array.min()) > 0 for array in kept)
