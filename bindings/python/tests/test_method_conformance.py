"""What holds for every method of the registry, by its own info; a new method needs no change here.

That a method gives the same bytes for any number of threads, files, shards and limits of memory is
tested in test_merge_same_bytes.py; what it computes, in a file of its own; its options, in
test_method_arguments.py; what its plan predicts, in test_method_plans.py.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
from method_cases import (
    DTYPES,
    INFOS,
    SHAPES,
    Array,
    Arrays,
    Case,
    Info,
    assert_close,
    assert_laid_out,
    assert_same,
    count_of,
    data_of,
    make,
    numbers,
)
from test_merge_same_bytes import JOBS

import dfmerge

every_method = pytest.mark.parametrize("info", INFOS, ids=lambda info: str(info["id"]))


# --- info ----------------------------------------------------------------------------------------


def test_the_listing_is_in_order_and_in_the_test_of_bytes() -> None:
    ids = [info["id"] for info in INFOS]
    assert ids == sorted(set(ids))
    assert {job[0] for job in JOBS} == set(ids)


@every_method
def test_the_info_is_complete(info: Info) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", info["id"])
    for field in ("title", "formula", "summary", "source"):
        assert info[field].strip() == info[field] != "", field
    for field in ("summary", "source"):
        assert info[field].endswith("."), field
    assert info["cost"]["weight_reads"] <= info["cost"]["weight_reads_of_doubles"]
    assert 1 <= info["least_models"] <= (info["most_models"] or info["least_models"])
    assert info["uses_base"] or not info["needs_base"]
    names = [option["name"] for option in info["options"]]
    assert len(set(names)) == len(names)
    for option in info["options"]:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", option["name"])
        assert option["summary"].endswith("."), option["name"]


@every_method
def test_defaults_are_values_that_the_options_take(info: Info) -> None:
    case = make(info)
    given = {o["name"]: o["default"] for o in info["options"] if o["default"] is not None}
    assert_same(case.run(given), case.run())


# --- laws ----------------------------------------------------------------------------------------


@every_method
def test_equal_models_are_kept(info: Info) -> None:
    for with_base in {info["needs_base"], info["uses_base"]}:
        case = make(info, 1, with_base=with_base)
        same = case.replaced(models=[case.reference] * len(case.models))
        found = same.run()
        assert_laid_out(found, same)
        if info["keeps_equal_models"]:
            assert_close(found, case.reference)


@every_method
def test_the_order_of_models_counts_only_where_info_says_so(info: Info) -> None:
    case = make(info, 2)
    count = len(case.models)
    options = {
        option["name"]: numbers(option, count)
        for option in info["options"]
        if option["type"] == "number_per_model"
    }
    expected = case.run(options)
    assert_laid_out(expected, case)
    order = [(n + 1) % count for n in range(count)]
    moved = case.replaced(
        models=[case.models[n] for n in order], data=[case.data[n] for n in order if case.data]
    )
    found = moved.run({name: [values[n] for n in order] for name, values in options.items()})
    assert_laid_out(found, case)
    if info["permutation_invariant"]:
        assert_close(found, expected)


@every_method
def test_options_by_name_are_those_in_order(info: Info) -> None:
    case = make(info, 3)
    names = [f"model-{n}" for n in range(len(case.models))]
    options = {
        option["name"]: numbers(option, len(names))
        for option in info["options"]
        if option["type"] == "number_per_model"
    }
    named = dfmerge.merge(
        case.base,
        dict(zip(names, case.models, strict=True)),
        info["id"],
        options=case.needed
        | {
            name: dict(reversed(list(zip(names, values, strict=True))))
            for name, values in options.items()
        },
        **{
            kind: dict(zip(names, sources, strict=True))
            for kind, sources in case.with_models.items()
        },
    )
    assert_same(named, case.run(options))


@every_method
@pytest.mark.parametrize("factor", [2.0**7, 2.0**-9])
def test_inputs_times_a_power_of_two(info: Info, factor: float) -> None:
    case = make(info, 4)
    scaled = case.mapped(lambda _, __, value: value * np.float32(factor)).run()
    expected = {name: np.asarray(value * np.float32(factor)) for name, value in case.run().items()}
    if info["scales_with_inputs"]:
        assert_same(scaled, expected)
    else:
        assert_laid_out(scaled, case)


# --- tensors -------------------------------------------------------------------------------------


@every_method
@pytest.mark.parametrize("kinds", [*([dtype] for dtype in DTYPES), list(DTYPES)], ids="-".join)
def test_every_type_of_element(info: Info, kinds: list[str]) -> None:
    """The result has the reference's type, and is that of the same numbers as F32."""
    case = make(info, 5).cast(kinds)
    found = case.run()
    assert_laid_out(found, case)
    # Twice the rounding to F32, in which a method may keep what it has computed.
    unit = {"F64": 2.0**-22, "F32": 2.0**-22, "F16": 2.0**-10, "BF16": 2.0**-7}[kinds[0]]
    assert_close(found, case.cast(["F32"]).run(), unit)


@every_method
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type_of_output(info: Info, dtype: str) -> None:
    case = make(info, 6)
    found = case.run(dtype=dtype)
    assert {value.dtype for value in found.values()} == {np.dtype(DTYPES[dtype])}
    expected = {name: value.astype(DTYPES[dtype]) for name, value in case.run().items()}
    unit = {"F64": 2.0**-23, "F32": 2.0**-23, "F16": 2.0**-9, "BF16": 2.0**-6}[dtype]
    assert_close(found, expected, unit)


@every_method
def test_one_tensor_of_any_shape(info: Info) -> None:
    """Each shape by itself gives what it gives among others, but for figures of the whole model."""
    for name, shape in SHAPES.items():
        case = make(info, 7, {name: shape})
        assert_laid_out(case.run(), case)


@every_method
def test_tensors_that_are_not_contiguous(info: Info) -> None:
    case = make(info, 8)

    def strided(_: int, __: str, value: Array) -> Array:
        if value.ndim in (0, 2):
            return value if value.ndim == 0 else np.asfortranarray(value)
        wide = np.zeros((*value.shape[:-1], 2 * value.shape[-1]), np.float32)
        wide[..., ::2] = value
        return wide[..., ::2]

    assert_same(case.mapped(strided).run(), case.run())


@every_method
def test_integers_are_copied(info: Info) -> None:
    case = make(info, 9)
    more: list[Arrays] = [
        {"steps": np.arange(5) + number, "mask": np.asarray([number % 2 == 0, True])}
        for number in range(len(case.sources))
    ]
    sources = [{**source, **extra} for source, extra in zip(case.sources, more, strict=True)]
    mixed = case.mapped(lambda *_: _[2])
    if case.base is None:
        mixed = case.replaced(models=sources)
    else:
        mixed = case.replaced(base=sources[0], models=sources[1:])
    assert_same(mixed.run(), {**case.run(), **more[0]})


@every_method
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_constant_weights(info: Info, value: float) -> None:
    """No direction, no norm, no variance: nothing is divided by zero."""
    case = make(info, 10).mapped(lambda _, __, array: np.full_like(array, value))
    found = case.run()
    assert_laid_out(found, case)
    if info["keeps_equal_models"]:
        assert_close(found, case.reference)


@every_method
def test_models_of_which_one_has_not_moved(info: Info) -> None:
    case = make(info, 11)
    still = case.replaced(models=[case.reference, *case.models[1:]])
    assert_laid_out(still.run(), still)


@every_method
def test_many_models(info: Info) -> None:
    """More than the tests of arithmetic have, where the method takes as many."""
    count = min(9, info["most_models"] or 9)
    if count <= count_of(info):
        return
    case = make(info, 18)
    more = [make(info, 20 + n) for n in range(count)]
    models = [one.models[0] for one in more]
    many = case.replaced(models=models, data=[one.data[0] for one in more if one.data])
    assert_laid_out(many.run(), many)


# --- numbers that are none -----------------------------------------------------------------------


@every_method
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf], ids=str)
@pytest.mark.parametrize("source", ["base", "model"])
def test_what_is_not_finite(info: Info, value: float, source: str) -> None:
    """A tensor of such numbers is refused by name; one alone never gets into a result unseen."""
    case = make(info, 12)
    if source == "base" and case.base is None:
        return
    place = 0 if source == "base" else len(case.sources) - 1
    shapes = {n: array.shape for n, array in case.run().items()}
    for name in ("layers.1.attn.weight", "layers.0.norm.weight"):

        def spoiled(count: int | None, name: str = name) -> Case:
            def change(number: int, at: str, array: Array) -> Array:
                if (number, at) != (place, name):
                    return array
                array = array.copy()
                array.reshape(-1)[: count if count else array.size] = value
                return array

            return case.mapped(change)

        with pytest.raises(dfmerge.NumericalError, match=f"'{re.escape(name)}'"):
            spoiled(None).run()
        for count, policy in ((1, "error"), (1, "allow"), (None, "allow")):
            try:
                found = spoiled(count).run(non_finite=policy)
            except dfmerge.NumericalError as error:
                # A matrix that is to be decomposed has to be finite.
                assert f"'{name}'" in str(error)
            else:
                assert {n: v.shape for n, v in found.items()} == shapes
                assert policy == "allow" or all(
                    np.isfinite(array).all() for array in found.values()
                )


@every_method
@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0], ids=str)
def test_fisher_values_that_are_none(info: Info, value: float) -> None:
    if data_of(info) != "fisher":
        return
    case = make(info, 13)
    bad = {**case.data[-1], "row": np.full_like(case.data[-1]["row"], value)}
    with pytest.raises(dfmerge.NumericalError, match=r"Fisher value of model .* tensor 'row'"):
        case.replaced(data=[*case.data[:-1], bad]).run()


@every_method
def test_data_of_zeros(info: Info) -> None:
    """A model that was measured on nothing: a result, or a refusal."""
    case = make(info, 14)
    zeros = [{name: np.zeros_like(value) for name, value in one.items()} for one in case.data]
    try:
        found = case.replaced(data=zeros).run()
    except dfmerge.Error as error:
        assert data_of(info) != "none" and str(error)
    else:
        assert_laid_out(found, case)
