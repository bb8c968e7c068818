"""Random models, the golden ones and the documented draws, for the tests of task-vector methods."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
from conftest import near, random_weights

DTYPES = {"f64": np.float64, "f32": np.float32, "f16": np.float16, "bf16": ml_dtypes.bfloat16}
Vector = np.ndarray[Any, Any]
Weights = dict[str, Vector]


def case(seed: int, models: int, dtype: Any, grid: float | None = None) -> list[Weights]:
    """A base and fine-tunes of it; on a grid, equal magnitudes and exact ties are common."""
    rng = np.random.default_rng(seed)
    base = random_weights(rng, 12) | {"large": rng.normal(size=(300, 70)).astype(np.float32)}
    family = [base] + [near(rng, base) for _ in range(models)]
    if grid is not None:
        family = [{k: np.round(v / grid) * grid for k, v in one.items()} for one in family]
    return [{k: np.asarray(v, dtype) for k, v in one.items()} for one in family]


def golden() -> list[Weights]:
    """The base and three models of the published vectors: b of 4 elements and w of 4 x 3."""

    def h(m: int) -> Vector:
        j = np.arange(16)
        return ((j + 1) * (j + 7) * (m + 2) * 7919 + (m + 1) * 104729) % 1009 / 1009 - 0.5

    flat_family = [h(0)] + [h(0) + 0.1 * h(m) for m in (1, 2, 3)]
    return [{"b": one[:4], "w": one[4:].reshape(4, 3)} for one in flat_family]


def task_vectors(family: list[Weights]) -> list[Weights]:
    """theta_m - theta0: in F32 arithmetic as published code has it, in F64 for F64."""
    wide = np.float64 if next(iter(family[0].values())).dtype == np.float64 else np.float32
    base = {name: value.astype(wide) for name, value in family[0].items()}
    return [{k: v.astype(wide) - base[k] for k, v in one.items()} for one in family[1:]]


def exact_task_vectors(family: list[Weights]) -> list[Weights]:
    """theta_m - theta0 in F64 arithmetic, in which they are summed."""
    base = {name: value.astype(np.float64) for name, value in family[0].items()}
    return [{k: v.astype(np.float64) - base[k] for k, v in one.items()} for one in family[1:]]


def flat(weights: dict[str, Any]) -> Vector:
    return np.concatenate([numbers(weights[name]).ravel() for name in sorted(weights)])


def unflat(vector: Vector, like: Weights) -> Weights:
    result, start = {}, 0
    for name in sorted(like):
        result[name] = vector[start : start + like[name].size].reshape(like[name].shape)
        start += like[name].size
    return result


def numbers(value: Any) -> Vector:
    """An array of the package, which has BF16 as torch tensors, in float64."""
    if hasattr(value, "detach"):
        value = value.double().numpy()
    return np.asarray(value, np.float64)


def assert_close(found: dict[str, Any], expected: Weights, dtype: Any) -> None:
    """Within one rounding to `dtype`, which holds no result exactly."""
    assert set(found) == set(expected)
    unit = float(ml_dtypes.finfo(dtype).eps)
    for name, value in expected.items():
        error = np.abs(numbers(found[name]) - value)
        # Twice half a unit, for the neighbour where the exact value is half-way.
        assert np.all(error <= unit * np.abs(value) + 1e-7), (name, error.max(initial=0))


def elected(terms: Vector, weights: Vector, normalize: bool) -> Vector:
    """mergekit's election over the rows of weighted task vectors: by their sum, ties positive."""
    # Sums of positive and of negative terms apart: they cancel exactly or not at all.
    total = np.where(terms > 0, terms, 0).sum(0) + np.where(terms < 0, terms, 0).sum(0)
    mask = np.sign(terms) == np.where(total >= 0, 1, -1)
    merged = np.where(mask, terms, 0).sum(0)
    if not normalize:
        return np.asarray(merged)
    divisor = (weights.reshape(-1, *[1] * (terms.ndim - 1)) * mask).sum(0)
    return np.asarray(merged / np.where(divisor == 0, 1, divisor))


def philox(seed: int, stream: int, blocks: Vector) -> Vector:
    """Philox4x32-10: four words for each block number, as rows."""
    low = np.uint64(0xFFFFFFFF)
    c = [blocks & low, blocks >> np.uint64(32)]
    c += [np.full_like(blocks, stream & 0xFFFFFFFF), np.full_like(blocks, stream >> 32)]
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        p0, p1 = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [
            (p1 >> np.uint64(32)) ^ c[1] ^ np.uint64(k0),
            p1 & low,
            (p0 >> np.uint64(32)) ^ c[3] ^ np.uint64(k1),
            p0 & low,
        ]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack(c)


def draws(name: str, model: int, count: int, seed: int) -> Vector:
    """The draws of a tensor's elements, from the documented definition: integers below 2^32."""
    stream = 0xCBF29CE484222325
    for byte in name.encode():
        stream = (stream ^ byte) * 0x100000001B3 % 2**64
    stream = (stream + model * 0x9E3779B97F4A7C15) % 2**64
    element = np.arange(count, dtype=np.uint64)
    words = philox(seed, stream, element // np.uint64(32) * np.uint64(8) + element % np.uint64(8))
    return words[(element // np.uint64(8) % np.uint64(4)).astype(int), np.arange(count)]
