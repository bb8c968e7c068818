"""Merges against float64 NumPy, written from the formulas, over random models and dtypes."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from conftest import near, random_weights, torch

import dfmerge

DTYPES = {"f64": np.float64, "f32": np.float32, "f16": np.float16, "bf16": ml_dtypes.bfloat16}
Weights = dict[str, np.ndarray[Any, Any]]


def case(
    seed: int, models: int, dtype: Any = np.float32
) -> tuple[Weights, list[Weights], list[Weights]]:
    """Random base, models and Fishers; the base and models in `dtype`."""
    rng = np.random.default_rng(seed)
    base = random_weights(rng, int(rng.integers(1, 40)))
    tuned = [near(rng, base) for _ in range(models)]
    fishers = []
    for _ in range(models):
        fisher = {}
        for name, value in base.items():
            # Many orders of magnitude, and exact zeros.
            draws = rng.random(value.shape) ** 6 * 1e-3 * (rng.random(value.shape) > 0.1)
            fisher[name] = np.asarray(draws, np.float32)
        fishers.append(fisher)

    def cast(weights: Weights) -> Weights:
        return {name: np.asarray(value, dtype) for name, value in weights.items()}

    return cast(base), [cast(model) for model in tuned], fishers


def df_merge(
    base: Weights, models: list[Weights], fishers: list[Weights], c: list[float], p: float = 1.0
) -> Weights:
    """theta0 + M sum(W c tau) / sum(W) in float64."""
    merged = {}
    for name, value in base.items():
        theta0 = value.astype(np.float64)
        top, bottom = np.zeros_like(theta0), np.zeros_like(theta0)
        for model, fisher, coefficient in zip(models, fishers, c, strict=True):
            weight = (fisher[name].astype(np.float64) + 1e-12) ** p
            top += weight * coefficient * (model[name].astype(np.float64) - theta0)
            bottom += weight
        merged[name] = np.asarray(theta0 + len(models) * top / bottom)
    return merged


def assert_close(found: Any, expected: Weights, base: Weights, relative: float) -> None:
    """Within `relative` of the larger of result and base (what the terms are of)."""
    assert set(found) == set(expected)
    for name, value in expected.items():
        size = np.maximum(np.abs(value), np.abs(base[name].astype(np.float64)))
        error = np.abs(np.asarray(found[name]).astype(np.float64) - value)
        assert found[name].shape == value.shape
        assert np.all(error <= relative * size + 1e-38), (name, np.max(error / (size + 1e-38)))


@pytest.mark.parametrize("models", range(1, 9))
@pytest.mark.parametrize("exponent", [1.0, 0.5, 0.37, 0.0])
def test_df_merge_f32(models: int, exponent: float) -> None:
    base, tuned, fishers = case(10 * models, models)
    rng = np.random.default_rng(models)
    c = [float(value) for value in rng.random(models)]
    # The ends of the interval, where a wrong special case would show.
    c[0], c[-1] = 0.0, 1.0
    options = {"coefficients": c, "exponent": exponent}
    found = dfmerge.merge(base, tuned, method="df_merge", fishers=fishers, options=options)
    expected = df_merge(base, tuned, fishers, c, exponent)
    if exponent != 0.37:
        return assert_close(found, expected, base, 1e-6)
    # Weights of a general power are right to 2.5e-7 of themselves, so that the sum is right to as
    # much of its terms, of which some are larger than what they add up to.
    terms = {
        name: np.max(
            [models * abs(a * (model[name] - value)) for a, model in zip(c, tuned, strict=True)],
            axis=0,
        )
        + abs(value)
        for name, value in base.items()
    }
    assert_close(found, expected, terms, 6e-7)


@pytest.mark.parametrize("name", ["bf16", "f16", "f64"])
@pytest.mark.parametrize("models", [1, 3, 6])
def test_df_merge_other_dtypes(name: str, models: int) -> None:
    """One rounding to the output's type: equal to rounding the float64 reference."""
    base, tuned, fishers = case(7 + models, models, DTYPES[name])
    c = [0.3 + 0.1 * index for index in range(models)]
    out = {key: np.empty_like(value) for key, value in base.items()}
    found = dfmerge.merge(
        base, tuned, method="df_merge", fishers=fishers, options={"coefficients": c}, out=out
    )
    expected = df_merge(base, tuned, fishers, c)
    if name == "f64":
        assert_close(found, expected, base, 1e-13)
        return
    for key, value in expected.items():
        rounded = value.astype(DTYPES[name]).astype(np.float64)
        size = np.maximum(np.abs(rounded), float(np.finfo(np.float32).tiny))
        unit = float(ml_dtypes.finfo(DTYPES[name]).eps)
        error = np.abs(found[key].astype(np.float64) - rounded)
        # Another last bit is possible only where the reference itself is at a tie.
        assert np.all(error <= unit * size)
        assert np.mean(error > 0) < 0.001 if error.size > 1000 else np.sum(error > 0) <= 1


def test_mixed_dtypes() -> None:
    base, tuned, fishers = case(5, 2)
    models = [
        {name: np.asarray(value, np.float16) for name, value in tuned[0].items()},
        {name: np.asarray(value, ml_dtypes.bfloat16) for name, value in tuned[1].items()},
    ]
    found = dfmerge.merge(
        base, models, method="df_merge", fishers=fishers, options={"coefficients": 1}
    )
    assert_close(found, df_merge(base, models, fishers, [1, 1]), base, 1e-6)


@pytest.mark.parametrize("models", [1, 2, 5])
def test_equal_fishers_are_task_arithmetic(models: int) -> None:
    base, tuned, fishers = case(models, models)
    options = {"coefficients": 0.4}
    merged = dfmerge.merge(
        base, tuned, method="df_merge", fishers=[fishers[0]] * models, options=options
    )
    plain = dfmerge.merge(base, tuned, method="task_arithmetic", options=options)
    assert_close(merged, {k: v.astype(np.float64) for k, v in plain.items()}, base, 1e-6)


@pytest.mark.parametrize("dtype", list(DTYPES))
@pytest.mark.parametrize("method", ["average", "task_arithmetic", "df_merge"])
def test_one_model_at_one_is_returned_bit_for_bit(dtype: str, method: str) -> None:
    base, tuned, fishers = case(3, 1, DTYPES[dtype])
    for value in tuned[0].values():
        value[...] = np.where(np.arange(value.size).reshape(value.shape) % 7 == 0, -0.0, value)
    options = None if method == "average" else {"coefficients": 1}
    out = {name: np.empty_like(value) for name, value in base.items()}
    dfmerge.merge(
        base,
        tuned,
        method=method,
        fishers=fishers if method == "df_merge" else None,
        options=options,
        out=out,
    )
    for name, value in tuned[0].items():
        assert out[name].tobytes() == value.tobytes()


@pytest.mark.parametrize("method", ["average", "task_arithmetic", "df_merge"])
def test_permutation_changes_nothing_beyond_the_last_bit(method: str) -> None:
    base, tuned, fishers = case(8, 4)
    order = [2, 0, 3, 1]

    def run(order: list[int]) -> Any:
        return dfmerge.merge(
            base,
            [tuned[i] for i in order],
            method=method,
            fishers=[fishers[i] for i in order] if method == "df_merge" else None,
        )

    one, other = run([0, 1, 2, 3]), run(order)
    for name in base:
        np.testing.assert_array_max_ulp(one[name], other[name], 1)


def test_zero_fishers_are_equal_weights() -> None:
    base, tuned, _ = case(4, 3)
    zero = [{name: np.zeros_like(value) for name, value in base.items()}] * 3
    merged = dfmerge.merge(base, tuned, method="df_merge", fishers=zero)
    plain = dfmerge.merge(base, tuned, method="task_arithmetic")
    assert_close(merged, {k: v.astype(np.float64) for k, v in plain.items()}, base, 1e-6)


def test_fisher_merging_follows_the_authors() -> None:
    base, tuned, fishers = case(9, 3)
    norms = [np.sqrt(sum((v.astype(np.float64) ** 2).sum() for v in f.values())) for f in fishers]
    expected = {}
    for name in base:
        top, bottom = 0.0, 0.0
        for index, (model, fisher) in enumerate(zip(tuned, fishers, strict=True)):
            raised = fisher[name].astype(np.float64)
            raised = np.maximum(raised, 1e-6) if index == 0 else raised
            top = top + raised / norms[index] * model[name].astype(np.float64)
            bottom = bottom + raised / norms[index]
        expected[name] = np.asarray(top / bottom)
    assert_close(dfmerge.merge(None, tuned, method="fisher", fishers=fishers), expected, base, 1e-6)


def test_torch_tensors_in_torch_tensors_out() -> None:
    base = {"w": torch.randn(5, 7, dtype=torch.bfloat16), "n": torch.arange(3)}
    model = {"w": base["w"] + 1, "n": base["n"] + 9}
    merged = dfmerge.merge(
        base, {"a": model}, method="task_arithmetic", options={"coefficients": 0.5}
    )
    assert merged["w"].dtype == torch.bfloat16
    expected = base["w"].double() + 0.5 * (model["w"].double() - base["w"].double())
    assert torch.equal(merged["w"], expected.to(torch.bfloat16))
    # Integers are copied from the base, never merged.
    assert torch.equal(merged["n"], base["n"])


def test_options_by_model_name() -> None:
    base, tuned, _ = case(6, 2)
    named = {"a": tuned[0], "b": tuned[1]}
    one = dfmerge.merge(
        base, named, method="task_arithmetic", options={"coefficients": {"b": 0.1, "a": 0.7}}
    )
    other = dfmerge.merge(
        base, tuned, method="task_arithmetic", options={"coefficients": [0.7, 0.1]}
    )
    for name in base:
        np.testing.assert_array_equal(one[name], other[name])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda m: m.pop("t0"), "'t0' is missing from model 0"),
        (lambda m: m.update(t0=np.zeros(77, np.float32)), "'t0' is [77] in model 0"),
        (lambda m: m.update(t0=np.zeros_like(m["t0"], dtype=np.int32)), "'t0' is I32"),
    ],
)
def test_mismatches_name_tensor_and_model(change: Any, says: str) -> None:
    base, tuned, _ = case(2, 1)
    change(tuned[0])
    with pytest.raises(dfmerge.ArgumentError, match=says.replace("[", r"\[").replace("]", r"\]")):
        dfmerge.merge(base, tuned, method="task_arithmetic")


def test_a_missing_name_is_shown_beside_its_like() -> None:
    model = torch.nn.Linear(2, 2)
    wrapped = {f"module.{name}": value for name, value in model.state_dict().items()}
    with pytest.raises(dfmerge.ArgumentError, match=r"from a, which has 'module\.weight'"):
        dfmerge.merge(model, {"a": wrapped}, method="task_arithmetic")
    with pytest.raises(dfmerge.ArgumentError, match="from a, which has 'weight'"):
        dfmerge.merge(wrapped, {"a": model}, method="task_arithmetic")


def test_bad_arrays_are_refused_with_a_remedy() -> None:
    good = np.zeros((4, 4), np.float32)
    with pytest.raises(ValueError, match=r"strides \(16, 8\).*ascontiguousarray"):
        dfmerge.merge(None, [{"w": good[:2]}], method="average", out={"w": good.T[::2].T})
    with pytest.raises(TypeError, match="numpy array"):
        dfmerge.merge(None, [{"w": [1.0, 2.0]}], method="average")
    with pytest.raises(TypeError, match="complex128"):
        dfmerge.merge(None, [{"w": good.astype(np.complex128)}], method="average")
    locked = good.copy()
    locked.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        dfmerge.merge(None, [{"w": good}], method="average", out={"w": locked})
    with pytest.raises(ValueError, match=r"strides \(1, 4\).*tensor\.contiguous"):
        strided = torch.zeros(4, 4).t()[:2]
        dfmerge.merge(None, [{"w": good[:2]}], method="average", out={"w": strided})
    with pytest.raises(TypeError, match=r"meta device.*load the module"):
        dfmerge.merge(None, [{"w": torch.zeros(4, device="meta")}], method="average")


def test_a_numpy_scalar_has_no_memory_to_lend() -> None:
    with pytest.raises(TypeError, match="scalar"):
        dfmerge.merge(None, [{"w": np.float32(1)}], method="average")
    merged = dfmerge.merge(None, [{"w": np.asarray(np.float32(1))}], method="average")
    assert merged["w"].shape == () and merged["w"] == 1


def test_wrong_containers_are_explained() -> None:
    with pytest.raises(TypeError, match="models is a str; pass a dict or a list"):
        dfmerge.merge(None, "a.safetensors", method="average")
    with pytest.raises(TypeError, match=r"out=module\.state_dict\(\)"):
        dfmerge.merge(None, [torch.nn.Linear(2, 2)], method="average", out=torch.nn.Linear(2, 2))


def test_a_modules_state_dict_as_output_fills_the_module() -> None:
    model, module = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    dfmerge.merge(None, [model], method="average", out=module.state_dict())
    assert torch.equal(module.weight, model.weight)


def test_output_in_the_inputs_memory_is_refused() -> None:
    array = np.ones(4, np.float32)
    with pytest.raises(dfmerge.ArgumentError, match="own memory"):
        dfmerge.merge(None, [{"w": array}], method="average", out={"w": array})


def test_non_finite_result_names_tensor_and_element() -> None:
    model = {"w": np.array([1, 2, np.nan], np.float32)}
    with pytest.raises(dfmerge.NumericalError, match="Element 2 of tensor 'w'"):
        dfmerge.merge(None, [model, model], method="average")
    big = {"w": np.full(3, 7e4, np.float32)}
    out = {"w": np.empty(3, np.float16)}
    with pytest.raises(dfmerge.NumericalError, match="beyond the range"):
        dfmerge.merge(None, [big], method="average", out=out)


def test_output_into_a_module_with_tied_tensors() -> None:
    class Tied(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = torch.nn.Linear(3, 3, bias=False)
            self.second = torch.nn.Linear(3, 3, bias=False)
            self.second.weight = self.first.weight

    base, model, live = Tied(), Tied(), Tied()
    dfmerge.merge(
        base,
        {"a": model},
        method="task_arithmetic",
        options={"coefficients": 1},
        out=live.state_dict(),
    )
    assert torch.equal(live.first.weight, model.first.weight)
    assert live.second.weight is live.first.weight
