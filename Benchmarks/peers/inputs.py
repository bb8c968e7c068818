"""Small checkpoints for the peers: a base, models, Fisher values, Gram matrices, of odd shapes.

"random": a few dozen tensors of normal values. "structured": tensors that are made to meet the
special cases of the methods, one each; "regular" is those of them that every peer can merge.
"large": one tensor, for what is drawn at random. Names have no dots, for torch's modules take none.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

import dfmerge

Array = NDArray[Any]
Tensors = dict[str, Array]

DTYPES: dict[str, Any] = {"F32": np.float32, "BF16": ml_dtypes.bfloat16}
MODELS = 4
#: Rows, columns and vectors of lengths that no block or vector register divides.
MATRICES = ((257, 129), (64, 33), (31, 200), (96, 96), (129, 257), (17, 5), (200, 31), (8, 64))
VECTORS = (513, 129, 96, 33, 7)
REPEATS = 3
#: Structured tensors that some methods cannot merge, or turn rounding into a difference.
SPECIAL = frozenset(
    {"zeros", "unchanged", "one_changed", "one_unchanged", "opposed", "parallel", "one_column",
     "single", "scalar"}
)  # fmt: skip
#: The tensor that random draws are compared on.
LARGE = (1024, 1024)


class Inputs:
    """One kind of checkpoint at one element type, in memory and under `folder`."""

    def __init__(self, kind: str, dtype: str, folder: Path) -> None:
        self.kind, self.dtype = kind, dtype
        base, models = KINDS[kind](np.random.default_rng(7))
        self.base = _rounded(base, dtype)
        self.models = [_rounded(model, dtype) for model in models]
        draws = np.random.default_rng(8)
        self.fishers = [
            {name: np.asarray(_fisher(draws, v.shape), np.float32) for name, v in base.items()}
            for _ in models
        ]
        self.grams = [_grams(np.random.default_rng(30 + n), base) for n in range(MODELS)]
        self.base_path = self._saved(folder, "base", self.base)
        self.paths = [self._saved(folder, f"model-{i}", m) for i, m in enumerate(self.models)]
        self.fisher_paths = [
            self._saved(folder, f"fisher-{i}", f) for i, f in enumerate(self.fishers)
        ]
        self.gram_paths = [self._saved(folder, f"gram-{i}", g) for i, g in enumerate(self.grams)]

    def _saved(self, folder: Path, name: str, tensors: Tensors) -> Path:
        path = folder / f"{self.kind}-{self.dtype}" / f"{name}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        dfmerge.save(tensors, path)
        return path.resolve()


def _fisher(draws: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return np.exp(4 * draws.standard_normal(shape) - 14)


def _grams(draws: np.random.Generator, base: Tensors) -> Tensors:
    """Mean x x^T of twice as many inputs as the widest layer has, of the layers below 300."""
    found: Tensors = {}
    for name, value in base.items():
        if value.ndim == 2 and 1 < value.shape[1] < 300:
            x = draws.standard_normal((600, value.shape[1])) * draws.uniform(0.2, 2, value.shape[1])
            found[name] = np.asarray(x.T @ x / len(x), np.float32)
    return found


def _rounded(tensors: dict[str, Array], dtype: str) -> Tensors:
    # A sum of scalar arrays is a number of NumPy's and no array.
    return {name: np.asarray(value, DTYPES[dtype]) for name, value in tensors.items()}


def _random(draws: np.random.Generator) -> tuple[Tensors, list[Tensors]]:
    base: Tensors = {}
    for number in range(REPEATS):
        for shape in MATRICES:
            base[f"matrix{number}_{shape[0]}x{shape[1]}"] = 0.02 * draws.standard_normal(shape)
        for length in VECTORS:
            base[f"vector{number}_{length}"] = 1 + 0.1 * draws.standard_normal(length)
    base["kernel_16x8x3"] = 0.02 * draws.standard_normal((16, 8, 3))
    models = [
        {name: v + 2e-3 * draws.standard_normal(v.shape) for name, v in base.items()}
        for _ in range(MODELS)
    ]
    return base, models


def _large(draws: np.random.Generator) -> tuple[Tensors, list[Tensors]]:
    base = {"large": 0.02 * draws.standard_normal(LARGE)}
    models = [{"large": base["large"] + 2e-3 * draws.standard_normal(LARGE)} for _ in range(MODELS)]
    return base, models


def _structured(draws: np.random.Generator) -> tuple[Tensors, list[Tensors]]:
    """Values are small multiples of powers of two where a case needs exact sums."""
    shape = (63, 45)
    base: Tensors = {}
    deltas: list[Tensors] = [{} for _ in range(MODELS)]

    def add(name: str, start: Array, changes: list[Array]) -> None:
        base[name] = start
        for delta, change in zip(deltas, changes, strict=True):
            delta[name] = change

    def normal(scale: float = 2e-3, size: tuple[int, ...] = shape) -> list[Array]:
        return [scale * draws.standard_normal(size) for _ in range(MODELS)]

    grid = draws.integers(-8, 9, shape) / 64
    none = np.zeros(shape)
    add("zeros", none, [none] * MODELS)
    add("unchanged", grid, [none] * MODELS)
    add("one_changed", grid, [normal()[0], *[none] * (MODELS - 1)])
    add("one_unchanged", grid, [none, *normal()[1:]])
    step = draws.integers(-3, 4, shape) / 256
    add("opposed", grid, [step, -step, *[none] * (MODELS - 2)])
    add("levels", grid, [draws.integers(-3, 4, shape) / 512 for _ in range(MODELS)])
    add("parallel", none, [k * normal()[0] / 3 for k in range(1, MODELS + 1)])
    left, right = normal(1.0, (63, 2)), normal(2e-3, (2, 45))
    add("low_rank", grid, [u @ v for u, v in zip(left, right, strict=True)])
    sparse = [v * (draws.random(shape) < 0.05) for v in normal()]
    add("sparse", grid, sparse)
    add("heavy_tails", grid, [1e-3 * draws.standard_t(2, shape) for _ in range(MODELS)])
    add("tiny_changes", grid / 1024, normal(1e-6))
    add("large_values", 1e3 * grid, normal(10.0))
    add("far_apart", none, normal(1.0))
    add("one_row", normal(0.02, (1, 40))[0], normal(2e-3, (1, 40)))
    add("one_column", normal(0.02, (40, 1))[0], normal(2e-3, (40, 1)))
    add("vector", normal(0.02, (45,))[0], normal(2e-3, (45,)))
    add("single", np.ones(1), normal(0.05, (1,)))
    add("scalar", np.ones(()), [np.array(v) for v in normal(0.05, ())])
    return base, [{n: base[n] + delta[n] for n in base} for delta in deltas]


def _regular(draws: np.random.Generator) -> tuple[Tensors, list[Tensors]]:
    base, models = _structured(draws)
    kept = [{n: v for n, v in w.items() if n not in SPECIAL} for w in (base, *models)]
    return kept[0], kept[1:]


KINDS = {"random": _random, "structured": _structured, "regular": _regular, "large": _large}
