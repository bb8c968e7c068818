"""The C interface from ctypes: what Python's own calls and threads add to the conformance program.

Scripts/conformance calls every function with everything that can be wrong, from C.
"""

from __future__ import annotations

import ctypes
import threading
from typing import Any

import pytest

from dfmerge import _ffi
from dfmerge._loader import lib


@pytest.mark.parametrize("name", sorted(_ffi.PROTOTYPES))
def test_every_function_is_bound_with_its_types(name: str) -> None:
    function = getattr(lib, name)
    assert (function.restype, tuple(function.argtypes)) == _ffi.PROTOTYPES[name]


def test_a_wrong_number_or_type_of_arguments_does_not_reach_the_library() -> None:
    for arguments in [(), (1, 2.5), ("text", None)]:
        with pytest.raises((TypeError, ctypes.ArgumentError)):
            lib.dfm_weights_create(*arguments)


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
