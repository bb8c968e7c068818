"""Arrays and names that are refused, with what to pass instead."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from search_problem import Problem

import dfmerge
from dfmerge._dtypes import BY_NAME

ONE = np.ones((2, 3), np.float32)


def merged(array: Any, **arguments: Any) -> Any:
    models = {"a": {"w": array}, "b": {"w": ONE}}
    return dfmerge.merge(None, models, "average", **arguments)


def test_a_masked_array() -> None:
    with pytest.raises(TypeError, match=r"'w' is a masked array.*array\.filled"):
        merged(np.ma.masked_array(ONE, mask=ONE > 0))


def test_an_empty_name() -> None:
    with pytest.raises(ValueError, match="model 0 has a tensor with the empty name"):
        dfmerge.merge(None, [{"": ONE}], "average")


@pytest.mark.parametrize("wrong", [None, [ONE], 5])
def test_what_is_no_mapping_is_not_saved(tmp_path: Path, wrong: Any) -> None:
    with pytest.raises(TypeError, match=f"tensors is a {type(wrong).__name__}; pass a state dict"):
        dfmerge.save(wrong, tmp_path / "x.safetensors")


def test_numpy_makes_no_object_of_a_tensor(monkeypatch: pytest.MonkeyPatch) -> None:
    tensor = dfmerge.Tensor.allocated("w", BY_NAME["BF16"], (2, 3))
    array = np.asarray(tensor)
    assert array.dtype.name == "bfloat16" and array.ctypes.data == tensor._address
    assert np.array(tensor).ctypes.data != tensor._address
    assert np.array(tensor, dtype=np.float32).dtype == np.float32
    with pytest.raises(TypeError, match="F6_E2M3, which numpy has no type for"):
        np.asarray(dfmerge.Tensor.allocated("w", BY_NAME["F6_E2M3"], (4,)))
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with pytest.raises(TypeError, match="BF16, which numpy lacks; install ml_dtypes"):
        np.asarray(tensor)


def test_a_gradient_has_the_tensors_shape_or_is_flat() -> None:
    problem = Problem()
    refused = []

    def fisher(request: dfmerge.FisherRequest) -> None:
        for name in request.names:
            shape = problem.base[name].shape
            gradient = np.ones(shape, np.float32)
            request.accumulate(name, gradient)
            request.accumulate(name, gradient.reshape(-1))
            with pytest.raises(ValueError, match=rf"gradient of '{name}' has the shape .* flat"):
                request.accumulate(name, gradient.reshape((1, *shape, 1)))
            with pytest.raises(TypeError, match=rf"gradient of '{name}' has dtype I64; pass F64"):
                request.accumulate(name, gradient.astype(np.int64))
            refused.append(name)

    dfmerge.Search(
        problem.target, problem.base, problem.models, problem.evaluate, fisher, trials=6,
        progress=False,
    ).run()  # fmt: skip
    assert refused
