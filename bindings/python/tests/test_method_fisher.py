"""Fisher merging against NumPy: the floor that is added, and the published numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from method_models import Array, Weights, golden, numbers

import dfmerge

OTHERS = {"floor_rule": "add", "floor_scope": "all"}


def golden_fishers() -> list[Weights]:
    """Of 16 elements, for the models of ``golden``."""
    j = np.arange(16)
    flat = [1e-6 * (((j + 3) * (m + 2) * 313 % 97) / 97) ** 2 for m in (1, 2, 3)]
    return [{"b": one[:4], "w": one[4:].reshape(4, 3)} for one in flat]


def changes(options: dict[str, Any]) -> Array:
    family = golden()
    found = dfmerge.merge(None, family[1:], "fisher", options=options, fishers=golden_fishers())
    base = family[0]
    return np.concatenate([np.ravel(np.asarray(found[name]) - base[name]) for name in ("b", "w")])


@pytest.mark.parametrize(
    ("options", "printed"),
    [
        (
            OTHERS,
            "-0.00527089 -0.0151479 -0.013812 0.000975164 -0.00957328 0.0221755 -0.0310711 "
            "-0.00197734 -0.000116222 0.0133068 0.0124685 -0.0124049 0.0062405 -0.00135897 "
            "-0.0178186 0.00404136",
        ),
        (
            {},
            "-0.0127134 -0.0152626 -0.0135943 0.00258189 -1.77446e-05 0.0328363 -0.0307137 "
            "0.0101697 -0.0120033 0.0155561 0.0110639 -0.0133244 -0.0186379 -0.0208815 -0.0198154 "
            "-0.00254487",
        ),
    ],
)
def test_published_numbers(options: dict[str, Any], printed: str) -> None:
    np.testing.assert_allclose(changes(options), numbers(printed), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("scope", ["first", "all"])
@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_floor_that_is_added(scope: str, normalize: bool, dtype: Any) -> None:
    rng = np.random.default_rng(12)
    shapes = {"large": (400, 401), "row": (7,), "scalar": (), "none": (0, 3)}
    models = [{n: rng.normal(size=s).astype(dtype) for n, s in shapes.items()} for _ in range(3)]
    draws = [{n: rng.random(size=s).astype(dtype) ** 8 for n, s in shapes.items()} for _ in "abc"]
    fishers = [{n: np.asarray(v, np.float32) for n, v in one.items()} for one in draws]
    floors = [0.01 if scope == "all" or m == 0 else 0.0 for m in range(3)]
    weights = np.array([1.0, 2.0, 0.5])
    if normalize:
        squares = [sum((v.astype(np.float64) ** 2).sum() for v in one.values()) for one in fishers]
        weights = weights / (np.sqrt(squares) + floors)
    options = {
        "floor": 0.01, "floor_rule": "add", "floor_scope": scope, "normalize": normalize,
        "weights": [1, 2, 0.5],
    }  # fmt: skip
    found = dfmerge.merge(None, models, "fisher", options=options, fishers=fishers)
    for name in shapes:
        each = [weights[m] * (fishers[m][name].astype(np.float64) + floors[m]) for m in range(3)]
        top = sum(each[m] * models[m][name].astype(np.float64) for m in range(3))
        expected = top / np.maximum(sum(each), 1e-300)
        bound = 1e-6 if dtype == np.float32 else 1e-12
        np.testing.assert_allclose(found[name], expected, rtol=bound, atol=bound)


@pytest.mark.parametrize("value", [-1e-9, np.nan, np.inf])
def test_the_added_floor_hides_no_invalid_value(value: float) -> None:
    models = [{"w": np.ones(5)}, {"w": np.zeros(5)}]
    fishers = [{"w": np.ones(5)}, {"w": np.array([1, 1, value, 1, 1])}]
    with pytest.raises(dfmerge.NumericalError, match="element 2 of tensor 'w'"):
        dfmerge.merge(
            None, models, "fisher", options=OTHERS | {"normalize": False}, fishers=fishers
        )
