"""Tensors that the library hands out: to DLPack, numpy, torch and Python's buffers."""

from __future__ import annotations

import ctypes
import gc
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from search_problem import Problem

import dfmerge
from dfmerge import _arrays, _capsules
from dfmerge._dtypes import DTYPES

#: Bytes that have all kinds of values in every type.
PATTERN = np.random.default_rng(5).integers(0, 256, 48, np.uint8).tobytes()
NUMPY = [
    d for d in DTYPES if d.spelled and (hasattr(np, d.spelled) or hasattr(ml_dtypes, d.spelled))
]


def raw(dtype: Any) -> bytes:
    """48 bytes that are elements of a type."""
    if dtype.name == "BOOL":
        return bytes(byte & 1 for byte in PATTERN)
    return PATTERN


def shape_of(dtype: Any) -> tuple[int, ...]:
    return (2, 48 * 8 // dtype.bits // 2)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a tensor of every type, an empty one, a scalar, and one at an odd address."""
    path = tmp_path_factory.mktemp("out") / "all.safetensors"
    tensors: dict[str, Any] = {}
    for dtype in DTYPES:
        tensor = dfmerge.Tensor.allocated(dtype.name, dtype, shape_of(dtype))
        ctypes.memmove(tensor._address, raw(dtype), 48)
        tensors[dtype.name] = tensor
    tensors["empty"] = np.zeros((0, 3), np.float32)
    tensors["scalar"] = np.asarray(2.5)
    dfmerge.save(tensors, path)
    return path


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
def test_every_type_comes_out_as_it_went_in(checkpoint: Path, dtype: Any) -> None:
    weights = dfmerge.load(checkpoint)
    tensor = weights.tensor(dtype.name)
    assert (tensor.dtype, tensor.shape, tensor.nbytes) == (dtype.name, shape_of(dtype), 48)
    assert tensor.readonly and repr(tensor).endswith("read-only)")
    # Through a capsule and our own consumer: the same memory.
    view = _arrays.view("w", Relay(tensor), writable=False)
    assert view[:4] == (tensor._address, dtype.number, shape_of(dtype), 48)
    copy = tensor.copy()
    assert not copy.readonly and ctypes.string_at(copy._address, 48) == raw(dtype)
    assert bytes(tensor.memoryview().cast("B")) == raw(dtype)
    indexed = weights[dtype.name]
    assert _arrays.view("w", indexed, writable=True).nbytes == 48
    found = _arrays.view("w", indexed, writable=True)
    assert found.dtype == dtype.number and ctypes.string_at(found.address, 48) == raw(dtype)


class Relay:
    """Somebody else's array around one of ours."""

    def __init__(self, tensor: Any, **wishes: Any) -> None:
        self._tensor, self._wishes = tensor, wishes

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._tensor.__dlpack_device__()

    def __dlpack__(self, **wishes: Any) -> Any:
        return self._tensor.__dlpack__(**{**wishes, **self._wishes})


@pytest.mark.parametrize("dtype", NUMPY, ids=lambda d: d.name)
def test_numpy_takes_it(checkpoint: Path, dtype: Any) -> None:
    tensor = dfmerge.load(checkpoint).tensor(dtype.name)
    array = tensor.numpy()
    assert array.ctypes.data == tensor._address and not array.flags.writeable
    assert array.dtype.name == dtype.spelled and array.tobytes() == raw(dtype)
    if dtype.code in (0, 1, 2, 5, 6):
        np.testing.assert_array_equal(np.asarray(tensor), array)
        other = np.from_dlpack(tensor)
        assert other.ctypes.data == tensor._address and not other.flags.writeable
        assert other.tobytes() == raw(dtype)
    else:
        with pytest.raises(AttributeError, match="numpy has no"):
            _ = tensor.__array_interface__


def test_a_type_that_a_library_lacks_is_named(checkpoint: Path) -> None:
    tensor = dfmerge.load(checkpoint).tensor("F6_E2M3")
    with pytest.raises(TypeError, match="F6_E2M3, which numpy has no type for"):
        tensor.numpy()


def test_scalars_and_empty_tensors(checkpoint: Path) -> None:
    weights = dfmerge.load(checkpoint)
    scalar, empty = weights.tensor("scalar"), weights.tensor("empty")
    assert scalar.shape == () and scalar.numpy() == np.from_dlpack(scalar) == 2.5
    assert scalar.memoryview().tolist() == 2.5 and empty.memoryview().nbytes == 0
    assert np.from_dlpack(empty).shape == empty.numpy().shape == (0, 3)
    assert len(empty) == 0
    with pytest.raises(TypeError, match="has no axis"):
        len(scalar)


def test_wishes_of_a_consumer(checkpoint: Path) -> None:
    tensor = dfmerge.load(checkpoint).tensor("F32")
    own = tensor.copy()
    with pytest.raises(BufferError, match=r"'F32' is read-only.*copy=True"):
        tensor.__dlpack__()
    with pytest.raises(BufferError, match=r"max_version=\(1, 0\)"):
        tensor.__dlpack__(max_version=(0, 8))
    for wishes, says in (({"stream": 1}, "stream is 1"), ({"dl_device": (2, 0)}, "on the host")):
        with pytest.raises(BufferError, match=says):
            own.__dlpack__(**wishes)
    for array, wishes, flags in (
        (tensor, {"max_version": (1, 0)}, _capsules.READ_ONLY),
        (tensor, {"max_version": (3, 1), "copy": False, "dl_device": (1, 0)}, _capsules.READ_ONLY),
        (tensor, {"max_version": (1, 1), "copy": True}, _capsules.IS_COPIED),
        (own, {"max_version": (1, 0)}, 0),
        (own, {}, None),
        (tensor, {"copy": True}, None),
    ):
        structure, address = _capsules.taken(array.__dlpack__(**wishes))
        assert getattr(structure, "flags", None) == flags
        if flags is not None:
            assert (structure.major, structure.minor) == (1, 0)
        same = structure.tensor.data == array._address
        assert same == (not wishes.get("copy")) and structure.tensor.strides[:2] == [6, 1]
        _capsules.delete(structure.deleter, address)


def test_an_odd_address_is_copied_for_dlpack(tmp_path: Path) -> None:
    dfmerge.save({"a": np.zeros(3, np.uint8), "b": np.arange(4, dtype=np.float32)}, tmp_path / "x")
    text = next((tmp_path / "x").glob("*.safetensors")).read_bytes()
    size = int.from_bytes(text[:8], "little")
    # The same file with the header one byte longer: every address is odd then.
    header = text[8 : 8 + size].rstrip() + b" " * 8
    header = header[: len(header) // 8 * 8 + 1]
    path = tmp_path / "odd.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + text[8 + size :])
    tensor = dfmerge.load(path).tensor("b")
    if tensor._address % 4 == 0:
        raise AssertionError("the address is not odd")
    for array in (np.from_dlpack(tensor), tensor.numpy()):
        np.testing.assert_array_equal(array, np.arange(4))
    with pytest.raises(BufferError, match="no multiple of 4"):
        tensor.__dlpack__(max_version=(1, 0), copy=False)


def test_a_read_only_tensor_is_an_input_and_no_output(checkpoint: Path) -> None:
    tensor = dfmerge.load(checkpoint).tensor("I32")
    own = tensor.copy()
    merged = dfmerge.merge(None, [{"w": tensor}], method="average", out={"w": own})
    assert merged["w"] is own
    for readonly in (tensor, tensor.numpy(), Relay(tensor)):
        with pytest.raises((ValueError, TypeError), match="read-only"):
            dfmerge.merge(None, [{"w": own}], method="average", out={"w": readonly})


def mapped(path: Path) -> bool:
    return str(path) in Path("/proc/self/maps").read_text()


TAKERS = [
    np.from_dlpack,
    np.asarray,
    lambda t: t.memoryview(),
    lambda t: t.__dlpack__(max_version=(1, 0)),
]


@pytest.mark.parametrize("take", TAKERS)
def test_what_was_taken_keeps_the_file_mapped(tmp_path: Path, take: Any) -> None:
    path = tmp_path / "one.safetensors"
    dfmerge.save({"w": np.arange(2000, dtype=np.float32)}, path)
    weights = dfmerge.load(path)
    kept = take(weights.tensor("w"))
    del weights
    gc.collect()
    assert mapped(path)
    if hasattr(kept, "sum"):
        assert float(kept.sum()) == 1999 * 1000
    del kept
    gc.collect()
    assert not mapped(path)


def test_the_deleter_may_be_called_by_any_thread(tmp_path: Path) -> None:
    path = tmp_path / "one.safetensors"
    dfmerge.save({"w": np.arange(2000, dtype=np.float32)}, path)
    weights = dfmerge.load(path)
    taken = [
        _capsules.taken(weights.tensor("w").__dlpack__(max_version=(1, 0))) for _ in range(400)
    ]
    del weights
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p)  # without the interpreter's lock

    def work(part: Any) -> None:
        for structure, address in part:
            call(structure.deleter)(address)

    threads = [threading.Thread(target=work, args=(taken[i::4],)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not mapped(path)


def test_fisher_buffers_are_handed_out_and_writable() -> None:
    plain = Problem()
    expected = plain.search(trials=6).run().coefficients
    problem, kept = Problem(), []

    def fisher(request: dfmerge.FisherRequest) -> None:
        rng = np.random.default_rng(len(request.model))
        for number, name in enumerate(request.names):
            tensor = request.buffers.tensor(name)
            assert not tensor.readonly and tensor.dtype == "F32"
            assert tensor.shape == problem.base[name].shape
            take = (np.from_dlpack, np.asarray)[number % 2]
            array = take(tensor)
            kept.append((tensor, array))
            values = (1 + request.coefficient + rng.random(tensor.shape)).astype(np.float32)
            array += values

    search = dfmerge.Search(
        problem.target, problem.base, problem.models, problem.evaluate, fisher, trials=6,
        progress=False,
    )  # fmt: skip
    assert search.run().coefficients == expected
    with pytest.raises(dfmerge.ArgumentError, match="not a live handle"):
        kept[0][0].__dlpack__()
    del search
    gc.collect()
    assert all(float(array.min()) > 0 for _, array in kept)


ALONE = """
import sys
for name in ("numpy", "torch", "ml_dtypes", "tqdm"):
    sys.modules[name] = None
import array, dfmerge
from dfmerge import _arrays
path = sys.argv[1]
base = {"w": array.array("f", [1, 2, 3, 4])}
models = {"a": {"w": array.array("f", [2, 2, 2, 2])}, "b": {"w": array.array("f", [0, 4, 0, 8])}}
merged = dfmerge.merge(base, models, method="average")
print(merged["w"], merged["w"].memoryview().tolist(), merged["w"].readonly)
merged = dfmerge.merge(base, models, method="average", dtype="BF16")
print(merged["w"], bytes(merged["w"].memoryview()).hex())
dfmerge.save({**merged, "x": merged["w"].memoryview()}, path)
weights = dfmerge.load(path)
print(weights["w"], weights.tensor("w"))
target = {"w": array.array("f", [0] * 4)}
def evaluate(trial):
    return -sum((x - 1) ** 2 for x in target["w"])
def fisher(request):
    values = request.buffers["w"].memoryview()
    for i in range(len(values)):
        values[i] += i + 1
search = dfmerge.Search(target, base, models, evaluate, fisher, tasks=["one"], trials=8)
result = search.run()
print(len(result.trials), result.value == max(t["value"] for t in result.trials))
result.save(path)
print(dfmerge.load(path).tensor("w").memoryview().tolist() == target["w"].tolist())
search = dfmerge.Search(target, None, models, evaluate, fisher, tasks=["one"], trials=2, initial=1)
print(len(search.run().trials))
"""


def test_the_standard_library_is_enough(tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-c", ALONE, str(tmp_path / "x.safetensors")],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert found.stderr == ""
    assert found.stdout.splitlines() == [
        "Tensor('w', F32, [4]) [1.0, 3.0, 1.0, 5.0] False",
        "Tensor('w', BF16, [4]) 803f4040803fa040",
        "Tensor('w', BF16, [4]) Tensor('w', BF16, [4], read-only)",
        "8 True",
        "True",
        "2",
    ]
