"""Shares that depend on the tensor: the same thresholds as one by one, in few reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dfmerge

# More than are counted together over a model, and tensors of more than one block.
LAYERS = 11
DRAWS = np.random.default_rng(5)


def model(dtype: type) -> dict[str, Any]:
    shapes = [(90_000,) if n == 4 else (17, 3 + n) for n in range(LAYERS)]
    return {f"layers.{n}.w": DRAWS.normal(size=s).astype(dtype) for n, s in enumerate(shapes)}


def densities(first: float, last: float) -> list[float]:
    return [first + (last - first) * n / (LAYERS - 1) for n in range(LAYERS)]


CASES: list[tuple[str, dict[str, Any]]] = [
    ("ties", {"scope": "tensor"}),
    ("ties", {"scope": "model"}),
    ("ties", {"scope": "tensor", "trim": "exact"}),
    ("ties", {"scope": "model", "trim": "exact", "zero_sign": "positive"}),
    ("breadcrumbs", {"scope": "tensor"}),
    ("breadcrumbs", {"scope": "model", "gamma": 0.02}),
    ("breadcrumbs_ties", {"scope": "model", "gamma": 0.02}),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("method", "options"), CASES)
def test_a_gradient_is_one_density_after_another(
    method: str, options: dict[str, Any], dtype: type
) -> None:
    base, tuned = model(dtype), [model(dtype), model(dtype)]
    # A share of 1 asks for nothing: it stands beside others that ask.
    given = {
        **options,
        "density": [{"filter": ".0.", "value": 1.0}, {"value": {"gradient": [0.9, 0.1]}}],
    }
    found = dfmerge.merge(base, tuned, method, options=given)
    for n, density in enumerate([1.0, *densities(0.9, 0.1)[1:]]):
        alone = dfmerge.merge(base, tuned, method, options={**options, "density": density})
        name = f"layers.{n}.w"
        assert found[name].tobytes() == alone[name].tobytes(), (name, density)


@pytest.mark.parametrize(("scope", "reads"), [("tensor", 3), ("model", 1 + 1 + 2)])
def test_the_reads_are_not_those_of_every_density(scope: str, reads: int) -> None:
    """Two reads by tensor; over the model one of the first bits, two of the rest for 11 shares."""
    base, tuned = model(np.float32), [model(np.float32), model(np.float32)]
    options = {
        "scope": scope,
        "density": {"gradient": [0.9, 0.1]},
        "zero_sign": "positive",
    }
    assert dfmerge.plan(base, tuned, "ties", options=options)["passes"] == reads
