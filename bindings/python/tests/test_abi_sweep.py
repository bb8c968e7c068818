"""Every exported function with NULL, foreign, boundary and wrong arguments.

The functions come from the ctypes table, so a new one is covered on the day it is added: a wrong
call must return a status with a message, and the process must live on.
"""

from __future__ import annotations

import ctypes
import itertools
import json
import threading
from typing import Any

import pytest

from dfmerge import _ffi
from dfmerge._loader import lib

#: Values that no live handle or valid pointer has; none may be followed.
FOREIGN = [0, 1, 0xDEADBEEF, 0xDF00_0000_0000_0010, 0xDF00_0000_00FF_FFF0, 2**64 - 1]
STATUS_CALLS = [name for name, (result, _) in _ffi.PROTOTYPES.items() if result is ctypes.c_int32]
#: Functions of which the answer is a number or text, not a status.
PLAIN = {"dfm_abi_version"}


def null(kind: Any) -> Any:
    """The zero of an argument's type."""
    if isinstance(kind, type) and issubclass(kind, ctypes._CFuncPtr):
        return kind()
    if kind in (ctypes.c_double, ctypes.c_float):
        return 0.0
    if kind in (ctypes.c_int32, ctypes.c_int64):
        return 0
    return None


def is_handle(kind: Any) -> bool:
    return kind is ctypes.c_void_p


@pytest.mark.parametrize("name", sorted(set(STATUS_CALLS) - PLAIN))
def test_all_zero_arguments_are_an_error_with_a_message(name: str) -> None:
    _, kinds = _ffi.PROTOTYPES[name]
    status = getattr(lib, name)(*[null(kind) for kind in kinds])
    message = lib.dfm_last_error_message()
    assert status >= 100, f"{name} accepts nothing but zeros"
    assert len(message) > 10
    assert lib.dfm_status_name(status) not in (b"unknown", b"ok")


@pytest.mark.parametrize("name", sorted(_ffi.PROTOTYPES))
@pytest.mark.parametrize("foreign", FOREIGN)
def test_foreign_handles_are_refused_unread(name: str, foreign: int) -> None:
    result, kinds = _ffi.PROTOTYPES[name]
    first = next((i for i, kind in enumerate(kinds) if is_handle(kind)), None)
    if first is None:
        # No handle to get wrong: the call itself must still be survivable.
        arguments = [null(kind) for kind in kinds]
    else:
        arguments = [null(kind) for kind in kinds]
        arguments[first] = foreign
    status = getattr(lib, name)(*arguments)
    if first is not None and result is ctypes.c_int32 and name not in PLAIN:
        assert status >= 100 and lib.dfm_last_error_message()


@pytest.mark.parametrize("name", sorted(set(STATUS_CALLS) - PLAIN))
def test_numbers_at_their_ends_are_survived(name: str) -> None:
    _, kinds = _ffi.PROTOTYPES[name]
    ends = {
        ctypes.c_int32: [-(2**31), -1, 2**31 - 1],
        ctypes.c_int64: [-(2**63), -1, 2**63 - 1],
        ctypes.c_double: [float("nan"), float("inf"), -1e308],
    }
    numeric = [i for i, kind in enumerate(kinds) if kind in ends]
    for choice in itertools.product(range(3), repeat=len(numeric)):
        arguments = [null(kind) for kind in kinds]
        for position, value in zip(numeric, choice, strict=True):
            arguments[position] = ends[kinds[position]][value]
        status = getattr(lib, name)(*arguments)
        assert status != 0 or name in PLAIN
        assert status == 0 or lib.dfm_last_error_message()


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"\xff\xfe", b'{"a":1,"a":2}', b'{"trials":1e999}', b"[" * 100_000]
)
def test_options_text_is_checked(text: bytes) -> None:
    weights, out = ctypes.c_void_p(), ctypes.c_void_p()
    value = ctypes.c_float(1)
    assert lib.dfm_weights_create(b"w", ctypes.byref(weights)) == 0
    address = ctypes.addressof(value)
    shape = (ctypes.c_int64 * 1)(1)
    assert lib.dfm_weights_add(weights, b"t", _ffi.DFM_DTYPE_F32, shape, 1, address, 4, 1) == 0
    models = (ctypes.c_void_p * 1)(weights.value)
    status = lib.dfm_search_create(text, weights, models, 1, weights, None, ctypes.byref(out))
    # The empty text means defaults; that search is refused for sharing memory.
    assert status in (100, 107, 301)
    lib.dfm_weights_free(weights)


def test_deeply_nested_text_fits_a_small_stack() -> None:
    text = b'{"weights":' + b"[" * 500 + b"]" * 500 + b"}"
    answers: list[int] = []

    def merge() -> None:
        weights = ctypes.c_void_p()
        assert lib.dfm_weights_create(b"w", ctypes.byref(weights)) == 0
        models = (ctypes.c_void_p * 1)(weights.value)
        silent = _ffi.dfm_progress_fn()
        weighed = (b"average", text, None, None, models, 1, None, weights)
        answers.append(lib.dfm_merge(*weighed, None, silent, None, None, None))
        lib.dfm_weights_free(weights)

    before = threading.stack_size(512 << 10)
    try:
        thread = threading.Thread(target=merge)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert answers == [_ffi.DFM_ERROR_INVALID_JSON]


@pytest.mark.parametrize(
    ("dtype", "shape", "nbytes", "code"),
    [
        (99, [2], 8, 100),
        (_ffi.DFM_DTYPE_F32, [2], 7, 100),
        (_ffi.DFM_DTYPE_F32, [-1], 0, 100),
        (_ffi.DFM_DTYPE_F32, [2**62, 4], 0, 100),
        (_ffi.DFM_DTYPE_F32, [2], -8, 100),
        (_ffi.DFM_DTYPE_F64, [2**61], 2**63 - 1, 100),
        (_ffi.DFM_DTYPE_F4, [3], 2, 100),
    ],
)
def test_tensors_that_do_not_add_up_are_refused(
    dtype: int, shape: list[int], nbytes: int, code: int
) -> None:
    weights = ctypes.c_void_p()
    assert lib.dfm_weights_create(b"w", ctypes.byref(weights)) == 0
    data = (ctypes.c_char * 16)()
    sizes = (ctypes.c_int64 * len(shape))(*shape)
    status = lib.dfm_weights_add(
        weights, b"t", dtype, sizes, len(shape), ctypes.addressof(data), nbytes, 1
    )
    assert status == code
    assert lib.dfm_last_error_message()
    lib.dfm_weights_free(weights)


def test_a_tensor_that_runs_past_the_end_of_memory_is_refused() -> None:
    weights = ctypes.c_void_p()
    assert lib.dfm_weights_create(b"w", ctypes.byref(weights)) == 0
    sizes = (ctypes.c_int64 * 1)(64)
    last = 2**64 - 16
    assert lib.dfm_weights_add(weights, b"t", _ffi.DFM_DTYPE_F32, sizes, 1, last, 256, 1) == 100
    assert b"end of memory" in lib.dfm_last_error_message()
    lib.dfm_weights_free(weights)


def test_an_empty_gradient_is_checked_like_any_other() -> None:
    from search_problem import Problem

    import dfmerge

    problem = Problem()
    answers: list[int] = []

    def fisher(request: Any) -> None:
        problem.fisher(request)
        for name, weight in ((b"b", 1.0), (b"unknown", 1.0)):
            answers.append(
                lib.dfm_fisher_accumulate(
                    request._handle, name, _ffi.DFM_DTYPE_F32, None, 0, weight
                )
            )

    dfmerge.Search(
        problem.target, problem.base, problem.models, problem.evaluate, fisher, preset="paper",
        trials=1, progress=False,
    ).run()  # fmt: skip
    assert set(answers[0::2]) == {_ffi.DFM_ERROR_SHAPE_MISMATCH}
    assert set(answers[1::2]) == {_ffi.DFM_ERROR_MISSING_TENSOR}


def test_handles_are_used_up_once() -> None:
    flag = ctypes.c_void_p()
    assert lib.dfm_cancel_create(ctypes.byref(flag)) == 0
    lib.dfm_cancel_free(flag)
    lib.dfm_cancel_free(flag)
    assert lib.dfm_cancel_request(flag) == 102
    weights = ctypes.c_void_p()
    assert lib.dfm_weights_create(b"w", ctypes.byref(weights)) == 0
    assert lib.dfm_cancel_request(weights) == 102
    assert b"dfm_weights" in lib.dfm_last_error_message()
    lib.dfm_weights_free(weights)


def test_success_leaves_no_message() -> None:
    out = ctypes.c_void_p()
    assert lib.dfm_methods_describe(None) == 101
    assert lib.dfm_last_error_message()
    assert lib.dfm_methods_describe(ctypes.byref(out)) == 0
    assert lib.dfm_last_error_message() == b""
    assert isinstance(json.loads(lib.dfm_text_data(out)), list)
    lib.dfm_text_free(out)


def test_a_fisher_handle_ends_with_its_callback() -> None:
    from search_problem import Problem

    problem = Problem()
    kept: list[Any] = []

    def fisher(request: Any) -> None:
        problem.fisher(request)
        kept.append(request)

    import dfmerge

    dfmerge.Search(
        problem.target, problem.base, problem.models, problem.evaluate, fisher, preset="paper",
        trials=1, progress=False,
    ).run()  # fmt: skip
    with pytest.raises(dfmerge.ArgumentError, match="not a live handle"):
        kept[0].accumulate("b", problem.base["b"])


def test_a_search_is_not_entered_from_its_own_callback() -> None:
    from search_problem import Problem

    import dfmerge

    problem = Problem()

    def evaluate(trial: dfmerge.Trial) -> Any:
        search.apply(dict.fromkeys("abc", 0.5))
        return problem.evaluate(trial)

    search = dfmerge.Search(
        problem.target, problem.base, problem.models, evaluate, fisher_mode="none", progress=False
    )
    with pytest.raises(dfmerge.ArgumentError, match="inside its callbacks"):
        search.run()


OPTIMIZER_CALLS = sorted(
    name
    for name in STATUS_CALLS
    if name.startswith("dfm_optimizer_")
    and name not in ("dfm_optimizer_create", "dfm_optimizer_options_describe")
)


def live_optimizer() -> ctypes.c_void_p:
    """An optimizer with one trial told and one out."""
    made, point, number = ctypes.c_void_p(), ctypes.c_double(), ctypes.c_int64()
    options = b'{"parameters": [{"name": "x", "low": 0, "high": 1}]}'
    assert lib.dfm_optimizer_create(options, None, ctypes.byref(made)) == 0
    for _ in range(2):
        assert lib.dfm_optimizer_ask(made, 1, ctypes.byref(point), ctypes.byref(number)) == 0
    score = ctypes.c_double(0.5)
    assert lib.dfm_optimizer_tell(made, 0, ctypes.byref(score), None, 1) == 0
    return made


@pytest.mark.parametrize("name", OPTIMIZER_CALLS)
def test_a_live_optimizer_takes_null_and_numbers_at_their_ends(name: str) -> None:
    made = live_optimizer()
    _, kinds = _ffi.PROTOTYPES[name]
    ends = {ctypes.c_int32: [-1, 2**31 - 1], ctypes.c_int64: [-(2**63), -1, 2**63 - 1]}
    numeric = [i for i, kind in enumerate(kinds) if kind in ends]
    choices = [ends[kinds[i]] for i in numeric]
    memory = (ctypes.c_double * 4)()
    for choice in itertools.product(*choices):
        for pointer in (None, memory):
            arguments = [null(kind) for kind in kinds]
            arguments[0] = made
            for position, kind in enumerate(kinds):
                if kind is ctypes.POINTER(ctypes.c_double):
                    arguments[position] = pointer
            for position, value in zip(numeric, choice, strict=True):
                arguments[position] = value
            status = getattr(lib, name)(*arguments)
            assert status >= 100 and lib.dfm_last_error_message()
    out = ctypes.c_void_p()
    assert lib.dfm_optimizer_trials(made, ctypes.byref(out)) == 0
    data = json.loads(lib.dfm_text_data(out))
    assert len(data["trials"]) == 1 and len(data["running"]) == 1
    lib.dfm_text_free(out)
    lib.dfm_optimizer_free(made)
