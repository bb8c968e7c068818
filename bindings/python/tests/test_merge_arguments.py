"""What `merge` and `plan` make of arguments that are not as they should be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dfmerge

BASE = {"w": np.array([1, 2, 3], np.float32)}
MODELS = [{"w": np.array([3, 4, 5], np.float32)}]
SETTINGS = [setting["name"] for setting in dfmerge.merge_settings()]


@pytest.mark.parametrize("name", SETTINGS)
def test_none_is_the_default_of_every_setting(name: str) -> None:
    settings: dict[str, Any] = {name: None}
    merged = dfmerge.merge(BASE, MODELS, method="average", **settings)
    np.testing.assert_array_equal(merged["w"], [3, 4, 5])
    assert dfmerge.plan(BASE, MODELS, method="average", **settings)["possible"]


@pytest.mark.parametrize("dtype", ["junk", "int8", "F8_E4M3", np.int64, ""])
def test_a_dtype_that_is_none_is_named(dtype: Any) -> None:
    for out in (None, {"w": np.zeros(3, np.float32)}):
        with pytest.raises(dfmerge.ArgumentError, match="'dtype' of a merge"):
            dfmerge.merge(BASE, MODELS, method="average", dtype=dtype, out=out)


@pytest.mark.parametrize(
    ("models", "says"),
    [
        ({0: MODELS[0]}, "models has the name 0"),
        ({"": MODELS[0]}, "models has the name ''"),
        ("model", "models is a str"),
        (iter(MODELS), "models is a list_iterator"),
        ([b"model"], "is a bytes"),
    ],
)
def test_models_of_another_kind_are_refused(models: Any, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        dfmerge.merge(BASE, models, method="average")


def test_an_opened_file_is_no_list_of_models_and_no_output(tmp_path: Path) -> None:
    dfmerge.save(BASE, tmp_path / "a.safetensors")
    opened = dfmerge.load(tmp_path / "a.safetensors")
    with pytest.raises(TypeError, match="models is a Weights"):
        dfmerge.merge(BASE, opened, method="average")
    with pytest.raises(TypeError, match="out is a Weights"):
        dfmerge.merge(BASE, MODELS, method="average", out=opened)


@pytest.mark.parametrize("out", [b"out", 5, [BASE]])
def test_an_output_of_another_kind_is_refused(out: Any) -> None:
    with pytest.raises(TypeError, match=f"out is a {type(out).__name__}"):
        dfmerge.merge(BASE, MODELS, method="average", out=out)


@pytest.mark.parametrize("out", ["", "a\0b", "a\0b.safetensors"])
def test_a_path_that_is_none_is_refused_by_plan_and_merge(out: str) -> None:
    for call in (dfmerge.plan, dfmerge.merge):
        with pytest.raises((dfmerge.ArgumentError, ValueError), match="path"):
            call(BASE, MODELS, method="average", out=out)


@pytest.mark.parametrize("method", [None, 3, "average\0", "none of them"])
def test_a_method_that_is_none_is_refused(method: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="method"):
        dfmerge.merge(BASE, MODELS, method=method)


def test_no_model_and_a_base_is_refused() -> None:
    with pytest.raises(ValueError, match="no models"):
        dfmerge.merge(BASE, [], method="task_arithmetic")


def test_the_method_may_stand_third_and_not_first() -> None:
    np.testing.assert_array_equal(dfmerge.merge(BASE, MODELS, "average")["w"], [3, 4, 5])
    order: Any = ("average", BASE, MODELS)
    for call in (dfmerge.merge, dfmerge.plan):
        with pytest.raises(TypeError, match=r"method is a list.*the order is \(base, models"):
            call(*order)


@pytest.mark.parametrize("dtype", ["auto", "int8", "F8_E4M3"])
def test_a_wrong_dtype_is_quoted_as_it_was_written(dtype: str) -> None:
    with pytest.raises(dfmerge.ArgumentError, match=f'is "{dtype}"; it takes one of'):
        dfmerge.merge(BASE, MODELS, "average", dtype=dtype)


@pytest.mark.parametrize("out", ["merged.bin", Path("folder/merged.PT")])
def test_a_file_of_another_format_is_no_output(tmp_path: Path, out: Any) -> None:
    for call in (dfmerge.plan, dfmerge.merge):
        with pytest.raises(ValueError, match="looks like a file of another format"):
            call(BASE, MODELS, "average", out=tmp_path / out)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"weights": float("nan")}, r"options\['weights'\] is nan; pass finite"),
        ({"weights": [1, float("inf")]}, r"options\['weights'\]\[1\] is inf"),
        ({"weights": {"a": np.float32("nan")}}, r"options\['weights'\]\['a'\] is nan"),
        ({"weights": np.array([np.nan])}, r"options\['weights'\]\[0\] is nan"),
    ],
)
def test_an_option_that_is_no_number_is_located(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        dfmerge.merge(BASE, MODELS, "average", options=options)


def test_a_setting_that_is_no_number_is_located() -> None:
    with pytest.raises(ValueError, match=r"settings\['max_memory'\] is inf"):
        dfmerge.merge(BASE, MODELS, "average", max_memory=float("inf"))


def test_an_option_among_the_settings_is_sent_to_the_options() -> None:
    with pytest.raises(dfmerge.ArgumentError, match="'density' is an option of method 'ties'"):
        dfmerge.merge(BASE, MODELS, "ties", density=0.5)


def test_fisher_values_are_counted_against_the_models() -> None:
    with pytest.raises(ValueError, match="has the length 2 but there are 1 models; give one"):
        dfmerge.merge(BASE, MODELS, "fisher", fishers=MODELS * 2)
