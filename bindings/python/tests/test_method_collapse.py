"""Method collapse against NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import dfmerge

Arrays = dict[str, np.ndarray[Any, Any]]
DTYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16}
SHAPES: dict[str, tuple[int, ...]] = {
    "fc.kernels": (3, 7, 5),
    "conv.kernels": (3, 2, 3, 3, 1),
    "norm.kernels": (3, 9),
    "gain.kernels": (3,),
    "none.kernels": (3, 0, 4),
    "single.kernels": (1, 4),
    "plain": (3, 4),
    "scalar": (),
}


def model(seed: int, dtype: str = "F32") -> Arrays:
    draws = np.random.default_rng(seed)
    found = {n: np.asarray(draws.normal(size=s).astype(DTYPES[dtype])) for n, s in SHAPES.items()}
    return {**found, "steps.kernels": np.arange(6).reshape(3, 2)}


def wide(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        value = value.double().numpy()
    return value.astype(np.float64)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("weights", [None, [1, 2, 5], [0, 0, 3], [1e308, 1e308, 0]])
def test_collapse(dtype: str, weights: Any) -> None:
    given = model(1, dtype)
    if weights:
        del given["single.kernels"]
    options = {"tensors": ["*.kernels"], "weights": weights}
    found = dfmerge.merge(None, [given], "collapse", options=options)
    unit = {"F64": 1e-14, "F32": 1e-6, "F16": 2.0**-10, "BF16": 2.0**-8}[dtype]
    assert list(found) == list(given)
    for name, value in given.items():
        wanted = value.astype(np.float64)
        if name.endswith(".kernels") and value.dtype.kind != "i":
            p = np.full(len(value), 1 / len(value))
            if weights:
                p = np.array(weights) / max(weights)
                p /= p.sum()
            wanted = np.tensordot(p, wanted, 1)
        assert tuple(found[name].shape) == wanted.shape, name
        np.testing.assert_allclose(wide(found[name]), wanted, unit, 1e-7, err_msg=name)
    np.testing.assert_array_equal(found["steps.kernels"], given["steps.kernels"])


def test_by_default_what_the_module_calls_its_copies() -> None:
    """torch.nn.utils.parametrize names a tensor so."""
    given = {**model(2), "a.parametrizations.weight.original": np.ones((2, 3), np.float32)}
    plan = dfmerge.plan(None, [given], "collapse")
    assert plan["reshaped"] == {"a.parametrizations.weight.original": [3]}
    found = dfmerge.merge(None, [given], "collapse")
    for name, value in model(2).items():
        assert found[name].tobytes() == value.tobytes()


def test_files_and_memory(tmp_path: Path) -> None:
    draws = np.random.default_rng(3)
    given = {
        "big": draws.normal(size=(3, 400, 301)).astype(np.float32),
        "half": draws.normal(size=(3, 200_001)).astype(np.float16),
    }
    dfmerge.save(given, tmp_path / "in.safetensors")
    expected = dfmerge.merge(None, [given], "collapse", options={"tensors": ["*"]})
    for threads in (1, 3):
        for limit in (None, 40 << 20):
            more = {} if limit is None else {"max_memory": limit}
            dfmerge.merge(
                None, [tmp_path / "in.safetensors"], "collapse", options={"tensors": ["*"]},
                out=tmp_path / "out.safetensors", threads=threads, **more,
            )  # fmt: skip
            found = dict(dfmerge.load(tmp_path / "out.safetensors"))
            for name, value in expected.items():
                assert np.asarray(found[name]).tobytes() == value.tobytes()
    plan = dfmerge.plan(
        None, [tmp_path / "in.safetensors"], "collapse", options={"tensors": ["*"]}, out="out"
    )
    assert plan["file_bytes_read"] == sum(value.nbytes for value in given.values())
    # Pieces of every copy, not whole ones.
    assert plan["peak_memory"] < 40 << 20


def test_refusals() -> None:
    given = model(4)
    for weights in ([1, -1, 1], [0, 0, 0], "mean", [1, "one", 1], 2, []):
        with pytest.raises(dfmerge.ArgumentError, match="'weights' of method 'collapse'"):
            dfmerge.merge(None, [given], "collapse", options={"weights": weights})
    with pytest.raises(dfmerge.Error, match=r"'fc.kernels' is \[3, 7, 5\], 3 copies, .* 2 numbers"):
        dfmerge.merge(
            None, [given], "collapse", options={"tensors": ["fc.*"], "weights": [1, 1]}
        )  # fmt: skip
    for name, shape in (("scalar", ()), ("empty", (0, 2)), ("table", (5000, 2))):
        with pytest.raises(dfmerge.Error, match=f"'{name}' is .* not 1 to 1024 copies"):
            dfmerge.merge(
                None, [{name: np.zeros(shape, np.float32)}], "collapse", options={"tensors": ["*"]}
            )
