"""Arrays that come by DLPack and by Python's buffers, whole and broken."""

from __future__ import annotations

import array
import ctypes
import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from dlpack_producers import Producer, floats
from search_problem import Problem

import dfmerge
from dfmerge import _arrays, _ffi
from dfmerge._dtypes import DTYPES


def average(tensor: Any, other: Any | None = None) -> Any:
    """The average of one tensor with itself, or with another."""
    models = [{"w": tensor}, {"w": tensor if other is None else other}]
    return dfmerge.merge(None, models, method="average", threads=1)["w"]


def taken(producer: Any, writable: bool = False) -> list[float]:
    """The float32 elements that a producer is seen to have."""
    view = _arrays.view("w", producer, writable)
    assert view.dtype == _ffi.DFM_DTYPE_F32
    return list((ctypes.c_float * (view.nbytes // 4)).from_address(view.address))


@pytest.mark.parametrize("versioned", [True, False])
@pytest.mark.parametrize("old", [True, False])
def test_a_capsule_is_taken_and_given_back_once(versioned: bool, old: bool) -> None:
    producer = Producer(floats(1, 2, 3, 4, 5, 6), (2, 3), versioned=versioned, old=old)
    merged = average(producer, np.ones((2, 3), np.float32))
    gc.collect()
    np.testing.assert_array_equal(merged, [[1, 1.5, 2], [2.5, 3, 3.5]])
    assert producer.deleted == len(producer.asked) == 1
    assert producer.asked[0] == ({} if old else {"max_version": (1, 0)})


def test_memory_is_lent_for_as_long_as_a_search_uses_it() -> None:
    problem = Problem()
    base, target = problem.base["w"].ravel(), problem.target["w"].ravel()
    producers = [
        Producer(floats(*base), (60, 50)),
        Producer((ctypes.c_float * len(target)).from_buffer(target), (60, 50), versioned=False),
    ]
    search = dfmerge.Search(
        {**problem.target, "w": producers[1]}, {**problem.base, "w": producers[0]},
        problem.models, problem.evaluate, problem.fisher, trials=8, progress=False,
    )  # fmt: skip
    found = search.run().coefficients
    gc.collect()
    assert [p.deleted for p in producers] == [0, 0] and producers[1].asked == [
        {"max_version": (1, 0), "copy": False}
    ]
    written = problem.target["w"].copy()
    del search
    gc.collect()
    assert [p.deleted for p in producers] == [1, 1]
    other = Problem()
    assert other.search(trials=8).run().coefficients == found
    np.testing.assert_array_equal(written, other.target["w"])


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "negative size": ({"shape": (2, -3)}, "negative size"),
    "sizes that overflow": ({"shape": (2**62, 2**62)}, "no memory holds"),
    "sizes beyond the end of memory": ({"shape": (2**60, 1)}, "no memory holds"),
    "an offset beyond the end": ({"byte_offset": 2**64 - 8}, "no memory holds"),
    "four lanes": ({"lanes": 4}, "4 lanes"),
    "no lanes": ({"lanes": 0}, "0 lanes"),
    "an unknown code": ({"code": 99}, "code 99, 32 bits"),
    "an opaque handle": ({"code": 3, "bits": 64}, "code 3"),
    "odd bits": ({"bits": 31}, "31 bits"),
    "a GPU": ({"device": 2}, r"device \(2, 0\).*CPU"),
    "no memory": ({"data": None}, "NULL"),
    "a huge rank": ({"ndim": 2**31 - 1}, "2147483647 axes"),
    "a negative rank": ({"ndim": -1}, "-1 axes"),
    "no shape": ({"shape": None}, "no shape"),
    "another major version": ({"major": 2}, r"DLPack 2\.0"),
    "no version": ({"major": 0}, r"DLPack 0\.0"),
}


@pytest.mark.parametrize("what", BROKEN)
@pytest.mark.parametrize("versioned", [True, False])
def test_a_broken_structure_is_refused_and_given_back(what: str, versioned: bool) -> None:
    changes, says = BROKEN[what]
    if "major" in changes and not versioned:
        changes, says = {"ndim": 65}, "65 axes"
    producer = Producer(floats(1, 2, 3, 4, 5, 6), (2, 3), versioned=versioned, **changes)
    with pytest.raises(TypeError, match=says):
        average(producer)
    gc.collect()
    assert producer.deleted == 1


@pytest.mark.parametrize("major", [0, 2, 2**32 - 1])
def test_of_another_version_nothing_but_the_deleter_is_used(major: int) -> None:
    producer = Producer(floats(1), (1,), major=major, shape=None, ndim=7, data=1)
    with pytest.raises(TypeError, match="reads 1"):
        average(producer)
    gc.collect()
    assert producer.deleted == 1


def test_a_structure_without_a_deleter_is_left_alone() -> None:
    producer = Producer(floats(1, 2), (2,))
    producer.structure.deleter = None
    assert taken(producer) == [1, 2] and producer.deleted == 0


def test_a_gpu_is_not_even_asked() -> None:
    producer = Producer(floats(1), (1,), announced=(2, 1))
    with pytest.raises(TypeError, match=r"device \(2, 1\).*copy it to the CPU"):
        average(producer)
    assert not producer.asked
    assert taken(Producer(floats(3), (1,), announced=(3, 0), device=3)) == [3]  # pinned


@pytest.mark.parametrize("name", [b"used_dltensor", b"tensor", b"dltensor_versioned_2"])
def test_another_capsule_is_refused(name: bytes) -> None:
    producer = Producer(floats(1), (1,), name=name)
    with pytest.raises(TypeError, match=rf"{name!r}, which cannot be taken"):
        average(producer)
    assert producer.deleted == 0  # not ours to give back


def test_what_is_no_capsule_is_refused() -> None:
    class Liar:
        def __dlpack_device__(self) -> tuple[int, int]:
            return (1, 0)

        def __dlpack__(self, **wishes: Any) -> int:
            return 5

    with pytest.raises(TypeError, match="gave a int and no capsule"):
        average(Liar())


def test_offsets_odd_addresses_and_empty_tensors() -> None:
    data = floats(9, 1, 2, 3)
    assert taken(Producer(data, (3,), byte_offset=4)) == [1, 2, 3]
    raw = (ctypes.c_ubyte * 13)()
    ctypes.memmove(ctypes.addressof(raw) + 1, ctypes.addressof(data), 12)
    odd = Producer(raw, (3,), byte_offset=1)
    np.testing.assert_array_equal(average(odd), [9, 1, 2])
    assert average(Producer(floats(), (0, 3), data=None)).shape == (0, 3)
    assert average(Producer(floats(4), ())) == 4


@pytest.mark.parametrize(
    ("shape", "strides"),
    [
        ((2, 3), (3, 1)),
        ((1, 6), (77, 1)),
        ((3, 2), (1, 3)),
        ((2, 3), (0, 1)),
        ((3,), (2,)),
        ((6,), (-1,)),
        ((2, 1, 3), (-3, 9, 1)),
        ((0, 4), (9, 9)),
        ((), ()),
        ((2, 2, 2), (1, 2, 0)),
    ],
)
@pytest.mark.parametrize("width", [1, 2, 4, 8])
def test_strided_memory_is_copied(
    shape: tuple[int, ...], strides: tuple[int, ...], width: int
) -> None:
    data = np.arange(6, dtype=f"u{width}")
    start = sum((size - 1) * -step for size, step in zip(shape, strides, strict=True) if step < 0)
    expected = np.lib.stride_tricks.as_strided(
        data[start:], shape, [step * width for step in strides]
    )
    memory = (ctypes.c_ubyte * data.nbytes).from_buffer(data)
    producer = Producer(
        memory, shape, code=1, bits=8 * width, strides=strides, byte_offset=start * width
    )
    view = _arrays.view("w", producer, writable=False)
    found = np.frombuffer(ctypes.string_at(view.address, view.nbytes), data.dtype)
    np.testing.assert_array_equal(found.reshape(shape), expected)


def test_strided_memory_is_not_written() -> None:
    producer = Producer(floats(1, 2, 3, 4), (2, 2), strides=(1, 2))
    with pytest.raises(ValueError, match=r"'w' is not contiguous .*strides \(1, 2\)"):
        _arrays.view("w", producer, writable=True)
    gc.collect()
    assert producer.deleted == 1


@pytest.mark.parametrize(
    ("flags", "says"), [(1, "read-only but is to be written"), (2, "a copy that nobody would see")]
)
def test_flags_keep_memory_from_being_written(flags: int, says: str) -> None:
    producer = Producer(floats(1, 2), (2,), flags=flags)
    assert taken(producer) == [1, 2]
    with pytest.raises(ValueError, match=says):
        dfmerge.merge(None, [{"w": np.ones(2, np.float32)}], method="average", out={"w": producer})
    gc.collect()
    assert producer.deleted == len(producer.asked) == 2


def test_a_producers_refusal_is_told() -> None:
    class Refusing(Producer):
        def __dlpack__(self, **wishes: Any) -> Any:
            raise BufferError("not today")

    with pytest.raises(TypeError, match="'w' cannot be lent by DLPack: not today"):
        average(Refusing(floats(1), (1,)))


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.name)
def test_every_type_has_its_code(dtype: Any) -> None:
    count = 8
    memory = (ctypes.c_ubyte * dtype.byte_count(count))(*range(dtype.byte_count(count)))
    view = _arrays.view(
        "w", Producer(memory, (2, 4), code=dtype.code, bits=dtype.bits), writable=False
    )
    assert view.dtype == dtype.number and view.nbytes == len(memory) and view.shape == (2, 4)


def test_pairs_of_4_bits_are_two_elements_and_padded_ones_are_refused() -> None:
    memory = (ctypes.c_ubyte * 6)()
    view = _arrays.view("w", Producer(memory, (2, 3), code=17, bits=4, lanes=2), writable=False)
    assert view.shape == (2, 6) and view.nbytes == 6
    with pytest.raises(TypeError, match="padded to bytes"):
        _arrays.view("w", Producer(memory, (6,), code=17, bits=4, flags=4), writable=False)
    with pytest.raises(TypeError, match="no axis"):
        _arrays.view("w", Producer(memory, (), code=17, bits=4, lanes=2), writable=False)


def test_lent_memory_is_given_back_from_any_thread() -> None:
    producers = [Producer(floats(1, 2), (2,)) for _ in range(40)]

    def work(part: list[Producer]) -> None:
        for producer in part:
            average(producer)

    threads = [threading.Thread(target=work, args=(producers[i::4],)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gc.collect()
    assert [(p.deleted, len(p.asked)) for p in producers] == [(2, 2)] * len(producers)


# --- the standard library's arrays ------------------------------------------------------------

BUFFERS: dict[str, Callable[[], Any]] = {
    "array": lambda: array.array("f", [1, 2, 3]),
    "memoryview": lambda: memoryview(array.array("f", [1, 2, 3])),
    "ctypes": lambda: floats(1, 2, 3),
    "bytearray": lambda: memoryview(bytearray(floats(1, 2, 3))).cast("f"),
    "read-only": lambda: memoryview(bytes(floats(1, 2, 3))).cast("f"),
    "strided": lambda: memoryview(array.array("f", [1, 0, 2, 0, 3]))[::2],
    "backwards": lambda: memoryview(array.array("f", [3, 2, 1]))[::-1],
}


@pytest.mark.parametrize("kind", BUFFERS)
def test_buffers_are_arrays(kind: str) -> None:
    np.testing.assert_array_equal(average(BUFFERS[kind](), floats(3, 2, 1)), [2, 2, 2])


@pytest.mark.parametrize(
    ("kind", "says"),
    [("read-only", "read-only"), ("strided", "not contiguous"), ("backwards", "not contiguous")],
)
def test_buffers_that_cannot_be_written(kind: str, says: str) -> None:
    with pytest.raises(ValueError, match=f"'w' is {says}"):
        dfmerge.merge(None, [{"w": floats(1, 2, 3)}], method="average", out={"w": BUFFERS[kind]()})


def test_buffers_are_written_in_place_and_held() -> None:
    out = array.array("d", [0, 0])
    dfmerge.merge(None, [{"w": array.array("d", [1, 2])}], method="average", out={"w": out})
    assert list(out) == [1, 2]
    out.append(3)  # nothing holds it any more
    view = _arrays.view("w", out, writable=True)
    with pytest.raises(BufferError):
        out.append(4)
    del view
    out.append(4)


@pytest.mark.parametrize("code", "bBhHiIlLqQefd?")
def test_formats_of_buffers(code: str) -> None:
    data = np.zeros(3, np.dtype(code))
    found = _arrays.view("w", memoryview(data), writable=False)
    assert found[:4] == _arrays.view("w", data, writable=True)[:4]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (memoryview(np.zeros(2, ">f4")), "byte order"),
        (memoryview(np.zeros(2, "c16")), "format 'Zd'"),
        (memoryview(np.zeros(2, "S3")), "format '3s'"),
        ((ctypes.c_char * 3)(), "format '<c'"),
        ([1.0, 2.0], "is a list; pass a torch tensor, a numpy array, or anything with DLPack"),
        (np.zeros(2, ">f4"), "newbyteorder"),
        (np.float32(1), "numpy scalar"),
    ],
)
def test_what_cannot_be_merged_is_named(given: Any, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        average(given)


# --- strided arrays of numpy and torch --------------------------------------------------------


def test_strided_inputs_are_copied_and_left_alone() -> None:
    values = np.arange(24, dtype=np.float32).reshape(4, 6)
    for strided in (values.T, values[::2], values[:, 1:3], values[::-1], values[None, :, ::2]):
        np.testing.assert_array_equal(average(strided), np.ascontiguousarray(strided))
    np.testing.assert_array_equal(values.ravel(), np.arange(24))


def test_a_search_keeps_the_copies_of_strided_weights() -> None:
    plain, strided = Problem(), Problem()
    strided.models = {
        name: {key: np.asfortranarray(value) for key, value in model.items()}
        for name, model in strided.models.items()
    }
    assert not strided.models["a"]["w"].flags.c_contiguous
    expected = plain.search(trials=6).run()
    search = strided.search(trials=6)
    strided.models.clear()
    gc.collect()
    assert search.run().coefficients == expected.coefficients


def test_fishers_and_gradients_come_in_any_form() -> None:
    problem = Problem()
    values = {k: (1 + np.arange(v.size, dtype=np.float32).reshape(v.shape) % 7) for k, v in
              problem.base.items()}  # fmt: skip
    found = []
    for form in (np.asfortranarray, memoryview):

        def fisher(request: dfmerge.FisherRequest, form: Any = form) -> None:
            for name in request.names:
                request.accumulate(name, form(values[name]), 0.5)

        search = dfmerge.Search(
            problem.target, problem.base, problem.models, problem.evaluate, fisher,
            trials=5, progress=False,
        )  # fmt: skip
        found.append(search.run().coefficients)
    assert found[0] == found[1]
    fishers = [{k: memoryview(v) for k, v in values.items()}] * 3
    dfmerge.merge(problem.base, list(problem.models.values()), method="df_merge", fishers=fishers)


def test_a_lent_array_lives_as_long_as_the_search_does() -> None:
    problem = Problem()
    kept = np.zeros((60, 50), np.float32)
    problem.target["w"] = kept
    gone = weakref.ref(kept)
    search = problem.search(trials=2)
    del kept
    problem.target = {}
    gc.collect()
    assert gone() is not None
    del search, problem
    gc.collect()
    assert gone() is None
