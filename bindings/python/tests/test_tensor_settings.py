"""Options that depend on the tensor: filters on names, gradients over layers, by model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dfmerge

LAYERS = 5
BASE = {
    "embed.weight": np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32),
    "head.weight": np.random.default_rng(1).normal(size=(3, 7)).astype(np.float32),
    **{
        f"layers.{n}.{part}.weight": np.random.default_rng(n).normal(size=(4, 3)).astype(np.float32)
        for n in range(LAYERS)
        for part in ("attn", "mlp")
    },
}
MODELS = [
    {k: (v + np.random.default_rng(m).normal(size=v.shape) * 0.1).astype(np.float32)
     for k, v in BASE.items()}
    for m in (7, 8)
]  # fmt: skip


def expected(coefficients: Any) -> dict[str, Any]:
    """Task arithmetic in float64; `coefficients(name)` gives one number per model."""
    return {
        name: base.astype(float)
        + sum(
            c * (m[name].astype(float) - base)
            for c, m in zip(coefficients(name), MODELS, strict=True)
        )
        for name, base in BASE.items()
    }


def layer(name: str) -> float:
    parts = name.split(".")
    return int(parts[1]) / (LAYERS - 1) if parts[0] == "layers" else 0.0


def gradient(name: str, numbers: list[float]) -> float:
    return float(np.interp(layer(name) * (len(numbers) - 1), range(len(numbers)), numbers))


CASES: dict[str, tuple[Any, Any]] = {
    "gradient": (
        {"gradient": [0, 0.5, 0.2]},
        lambda name: [gradient(name, [0, 0.5, 0.2])] * 2,
    ),
    "one number": ({"gradient": [0.25]}, lambda name: [0.25] * 2),
    "filters": (
        [{"filter": "attn", "value": 0.7}, {"filter": "layers.3", "value": -1}, {"value": 0.1}],
        lambda name: [0.7 if "attn" in name else -1 if "layers.3" in name else 0.1] * 2,
    ),
    "no match is the default": (
        [{"filter": "mlp", "value": 0.6}],
        lambda name: [0.6 if "mlp" in name else 0.3] * 2,
    ),
    "star, gradient in a filter": (
        [{"filter": "mlp", "value": {"gradient": [1, 0]}}, {"filter": "*", "value": 0.4}],
        lambda name: [gradient(name, [1, 0]) if "mlp" in name else 0.4] * 2,
    ),
    "a list by model": (
        [0.2, {"gradient": [0, 1]}],
        lambda name: [0.2, gradient(name, [0, 1])],
    ),
    "by name": (
        {"a": [{"filter": "head", "value": 0.9}, {"value": 0.5}], "b": 0.1},
        lambda name: [0.9 if "head" in name else 0.5, 0.1],
    ),
    "a list of models within a filter": (
        [{"filter": "head", "value": [0.9, 0]}, {"value": 0.5}],
        lambda name: [0.9, 0] if "head" in name else [0.5, 0.5],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_form(case: str) -> None:
    setting, coefficients = CASES[case]
    found = dfmerge.merge(
        BASE,
        dict(zip("ab", MODELS, strict=True)),
        "task_arithmetic",
        options={"coefficients": setting},
    )
    for name, value in expected(coefficients).items():
        np.testing.assert_allclose(found[name], value, rtol=1e-6, atol=1e-7)


def test_stacks_of_layers_have_gradients_of_their_own() -> None:
    one = np.ones(3, np.float32)
    names = [f"encoder.{n}.w" for n in range(5)] + ["decoder.0.w", "decoder.1.w", "pooler.0.w"]
    found = dfmerge.merge(
        {n: 0 * one for n in names}, [{n: one for n in names}], "task_arithmetic",
        options={"coefficients": {"gradient": [0, 1]}},
    )  # fmt: skip
    # A stack of one layer is at the end, as mergekit has it.
    assert [float(found[n][0]) for n in names] == [0, 0.25, 0.5, 0.75, 1, 0, 1, 1]


def test_figures_of_the_whole_model_are_those_of_all_tensors() -> None:
    """A threshold over the model counts tensors whose other options differ too."""
    options = {"density": 0.4, "zero_sign": "positive"}
    plain = dfmerge.merge(BASE, MODELS, "ties", options=options)
    scale = [{"filter": "mlp", "value": 0.5}, {"value": 1}]
    split = dfmerge.merge(BASE, MODELS, "ties", options={**options, "lambda": scale})
    for name, base in BASE.items():
        wanted = base + (plain[name] - base) * (0.5 if "mlp" in name else 1)
        np.testing.assert_allclose(split[name], wanted, rtol=1e-5, atol=1e-6)


def test_words_and_flags_vary_too() -> None:
    options = {"scope": "tensor", "density": 0.5, "zero_sign": "positive"}
    mean = dfmerge.merge(BASE, MODELS, "ties", options={**options, "aggregate": "mean"})
    total = dfmerge.merge(BASE, MODELS, "ties", options={**options, "aggregate": "sum"})
    either = [{"filter": "attn", "value": "sum"}, {"value": "mean"}]
    both = dfmerge.merge(BASE, MODELS, "ties", options={**options, "aggregate": either})
    for name in BASE:
        np.testing.assert_array_equal(both[name], (total if "attn" in name else mean)[name])


def test_a_recipe_keeps_the_setting(tmp_path: Path) -> None:
    setting = [{"filter": "attn", "value": {"gradient": [0, 1]}}]
    dfmerge.save(BASE, tmp_path / "base")
    dfmerge.merge(
        tmp_path / "base", MODELS, "task_arithmetic", out=tmp_path / "out",
        options={"coefficients": setting},
    )  # fmt: skip
    recipe = json.loads((tmp_path / "out" / "dfmerge_recipe.json").read_text())
    assert recipe["options"]["coefficients"] == setting


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"gradient": []}, "one number or more"),
        ({"gradient": ["x"]}, "one number or more"),
        ([{"filter": 3, "value": 1}], "a filter that is no text"),
        ([{"filter": "a", "value": 1, "else": 2}], "something else than"),
        ([{"value": [{"value": 1}]}], "filters within filters"),
        ([{"filter": "attn", "value": "much"}], 'is "much"; it takes'),
        ({"gradient": [0, 1e9]}, "it takes a number"),
        ([0.1, 0.2, {"gradient": [0, 1]}], "a list of 2"),
        ([0.1, {"gradient": [0, 1]}, [0.3, 0.4]], "a list of 2"),
    ],
)
def test_what_is_refused(setting: Any, message: str) -> None:
    with pytest.raises(dfmerge.Error, match="coefficients") as refused:
        dfmerge.merge(BASE, MODELS, "task_arithmetic", options={"coefficients": setting})
    assert message in str(refused.value)


def test_a_gradient_of_words_is_refused() -> None:
    with pytest.raises(dfmerge.Error, match="only numbers"):
        dfmerge.merge(BASE, MODELS, "ties", options={"aggregate": {"gradient": [0, 1]}})


def test_what_a_method_refuses_names_the_tensor() -> None:
    weights = [{"filter": "head", "value": 0}, {"value": 1}]
    with pytest.raises(dfmerge.Error, match=r"head\.weight.*sum to 0"):
        dfmerge.merge(BASE, MODELS, "average", options={"weights": weights})
