"""EMR-Merging against NumPy, written from the formulas; its compact checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from method_models import (
    DTYPES,
    Array,
    Weights,
    assert_close,
    exact,
    family,
    golden,
    numbers,
    task_vectors,
)

import dfmerge

TASKS = ["maths", "code", "law"]


def unified(members: list[Weights]) -> Weights:
    """The vector of all tasks."""
    found = {}
    for name in members[0]:
        rows = np.stack([tau[name] for tau in task_vectors(members)])
        sign = np.where(
            np.where(rows > 0, rows, 0).sum(0) > -np.where(rows < 0, rows, 0).sum(0), 1, -1
        )
        agreeing = np.where(rows * sign > 0, np.abs(rows), 0)
        found[name] = np.asarray(sign * agreeing.max(0))
    return found


def masks(members: list[Weights], vector: Weights) -> list[dict[str, Array]]:
    return [{n: tau[n] * vector[n] > 0 for n in vector} for tau in task_vectors(members)]


def scalers(members: list[Weights], scaler: str = "tensor_means") -> list[float]:
    """Of each task, with 1 for a model that is the base."""

    def size(vector: Weights) -> float:
        if scaler == "sums":
            return float(sum(np.abs(v).sum() for v in vector.values()))
        return float(sum(np.abs(v).mean() for v in vector.values() if v.size))

    vector = unified(members)
    found = []
    for tau, mask in zip(task_vectors(members), masks(members, vector), strict=True):
        kept = size({n: vector[n] * mask[n] for n in vector})
        found.append(size(tau) / kept if kept else 1.0)
    return found


def task_model(members: list[Weights], task: int, scaler: str = "tensor_means") -> Weights:
    vector, base = unified(members), exact(members[0])
    mask = masks(members, vector)[task]
    factor = scalers(members, scaler)[task]
    return {n: np.asarray(base[n] + factor * vector[n] * mask[n]) for n in base}


def named(members: list[Weights]) -> dict[str, Weights]:
    return dict(zip(TASKS, members[1:], strict=True))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scaler", ["tensor_means", "sums"])
def test_the_model_of_each_task(dtype: str, scaler: str) -> None:
    members = family(30, 3, DTYPES[dtype])
    for number, task in enumerate(TASKS):
        expected = task_model(members, number, scaler)
        options = {"task": task, "scaler": scaler}
        found = dfmerge.merge(members[0], named(members), "emr", options=options)
        assert_close(found, expected, DTYPES[dtype])
        again = dfmerge.merge(members[0], members[1:], "emr", options={**options, "task": number})
        for name in found:
            np.testing.assert_array_equal(exact(again)[name], exact(found)[name])


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_vector_of_all_tasks(dtype: str) -> None:
    members = family(31, 3, DTYPES[dtype])
    base = exact(members[0])
    expected = {n: np.asarray(base[n] + u) for n, u in unified(members).items()}
    assert_close(dfmerge.merge(members[0], members[1:], "emr"), expected, DTYPES[dtype])


def test_published_numbers() -> None:
    members = golden()
    vector = numbers(
        "-0.0361249 -0.0451437 -0.0492071 -0.0377106 -0.0475223 0.0336472 -0.0314668 -0.0236373 "
        "0.032557 0.037116 0.0461348 -0.016997 0.0409812 0.038999 -0.0205649 0.0382061"
    )
    found = dfmerge.merge(members[0], members[1:], "emr")
    moved = np.concatenate([(found[n] - members[0][n]).ravel() for n in ("b", "w")])
    np.testing.assert_allclose(moved, vector, rtol=1e-5)
    for scaler, wanted in [
        ("tensor_means", [0.611167, 0.907167, 1.4912]),
        ("sums", [0.86258, 0.788037, 1.10526]),
    ]:
        options = {"compact": True, "scaler": scaler}
        store = dfmerge.merge(members[0], named(members), "emr", options=options)
        kept = [float(store[f"emr_scaler.{task}"][0]) for task in TASKS]
        np.testing.assert_allclose(kept, wanted, rtol=1e-5)


def test_changes_that_cancel_count_as_negative() -> None:
    base = {"w": np.zeros(3, np.float32)}
    models = [{"w": np.array(v, np.float32)} for v in ([1, 2, 0], [-1, 1, 0])]
    np.testing.assert_array_equal(dfmerge.merge(base, models, "emr")["w"], [-1, 2, 0])
    # Model 0 has 2 of 3 changes: (1 + 2) / 2; model 1 has both of its own.
    for task, wanted in [(0, [0, 3, 0]), (1, [-2 / 3, 4 / 3, 0])]:
        found = dfmerge.merge(base, models, "emr", options={"task": task})
        np.testing.assert_allclose(found["w"], wanted, rtol=1e-6)


def test_a_model_that_is_the_base_stays_so() -> None:
    members = family(32, 2)
    models = [members[0], members[1]]
    found = dfmerge.merge(members[0], models, "emr", options={"task": 0})
    for name, value in members[0].items():
        np.testing.assert_array_equal(found[name], value)


# --- The compact checkpoint ----------------------------------------------------------------------


def bits(packed: Any, shape: tuple[int, ...]) -> Array:
    count = int(np.prod(shape))
    return np.unpackbits(np.asarray(packed), bitorder="little")[:count].reshape(shape) == 1


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_a_compact_checkpoint_holds(dtype: str) -> None:
    members = family(33, 3, DTYPES[dtype])
    store = dfmerge.merge(members[0], named(members), "emr", options={"compact": True})
    vector = unified(members)
    assert_close({n: store[n] for n in vector}, vector, DTYPES[dtype])
    for task, mask, scaler in zip(TASKS, masks(members, vector), scalers(members), strict=True):
        for name, wanted in mask.items():
            packed = np.asarray(store[f"{name}.emr_mask.{task}"])
            assert packed.shape == ((wanted.size + 7) // 8,)
            np.testing.assert_array_equal(bits(packed, wanted.shape), wanted)
        np.testing.assert_allclose(float(store[f"emr_scaler.{task}"][0]), scaler, rtol=1e-9)
    assert len(store) == len(vector) * 4 + 3


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("place", ["memory", "file", "folder"])
def test_a_compact_checkpoint_gives_each_task(dtype: str, place: str, tmp_path: Path) -> None:
    members = family(34, 3, DTYPES[dtype])
    out: Any = {"memory": None, "file": tmp_path / "s.safetensors", "folder": tmp_path / "s"}[place]
    settings = {"max_shard_size": 50_000} if place == "folder" else {}
    store: Any = dfmerge.merge(
        members[0], named(members), "emr", options={"compact": True}, out=out, **settings
    )
    if out is not None:
        store = str(out)
    for number, task in enumerate(TASKS):
        # The vector is rounded to the checkpoint's type, then the result once more.
        expected = task_model(members, number)
        found = dfmerge.merge(members[0], [store], "emr", options={"task": task})
        unit = 0.0 if dtype == "F64" else float(np.finfo(np.float16).eps) * 8
        assert_close(found, expected, DTYPES[dtype], max(unit * 0.1, 1e-6))
        again = dfmerge.merge(members[0], [store], "emr", options={"task": task}, threads=3)
        for name in found:
            np.testing.assert_array_equal(exact(again)[name], exact(found)[name])
    vector, base = unified(members), exact(members[0])
    found = dfmerge.merge(members[0], [store], "emr")
    expected = {n: np.asarray(base[n] + vector[n]) for n in base}
    assert_close(found, expected, DTYPES[dtype], 1e-3 if "16" in dtype else 1e-6)


def test_its_size_is_one_model_and_a_bit_per_parameter_and_task(tmp_path: Path) -> None:
    base, *models = [
        {"w": np.random.default_rng(n).normal(size=400_000).astype(np.float32)} for n in range(5)
    ]
    out = tmp_path / "store.safetensors"
    dfmerge.merge(base, models, "emr", options={"compact": True}, out=out)
    data = 400_000 * 4 + 4 * 50_000 + 4 * 8
    assert data <= out.stat().st_size <= data + 2000


def test_its_bytes_depend_on_nothing_but_the_inputs(tmp_path: Path) -> None:
    members = family(35, 3)
    for number, one in enumerate(members):
        dfmerge.save(one, tmp_path / f"{number}.safetensors")
    files = [str(tmp_path / f"{n}.safetensors") for n in range(4)]
    models = dict(zip(TASKS, files[1:], strict=True))
    contents = set()
    for threads in [1, 2, 5]:
        out = tmp_path / f"out{threads}.safetensors"
        dfmerge.merge(files[0], models, "emr", options={"compact": True}, out=out, threads=threads)
        contents.add(out.read_bytes())
    assert len(contents) == 1
    memory = dfmerge.merge(members[0], named(members), "emr", options={"compact": True})
    stored = dfmerge.load(tmp_path / "out1.safetensors")
    for name in memory:
        np.testing.assert_array_equal(exact(stored)[name], exact(memory)[name])


def test_a_folder_of_it_is_no_model(tmp_path: Path) -> None:
    members = family(36, 2)
    dfmerge.save(members[0], tmp_path / "base")
    (tmp_path / "base" / "config.json").write_text("{}")
    out = tmp_path / "store"
    models = {"a": members[1], "b": members[2]}
    dfmerge.merge(tmp_path / "base", models, "emr", options={"compact": True}, out=out)
    assert sorted(p.name for p in out.iterdir()) == ["dfmerge_recipe.json", "model.safetensors"]
    recipe = json.loads((out / "dfmerge_recipe.json").read_text())
    assert recipe["options"]["compact"] is True
    # Applied, it is one: everything comes from the base again.
    options = {"task": "b"}
    dfmerge.merge(tmp_path / "base", [out], "emr", options=options, out=tmp_path / "b")
    assert (tmp_path / "b" / "config.json").exists()
    stored = exact(dfmerge.load(tmp_path / "b"))
    wanted = exact(dfmerge.merge(members[0], models, "emr", options=options))
    assert_close(stored, wanted)


def test_a_models_folder_is_no_place_for_it(tmp_path: Path) -> None:
    members = family(36, 2)
    out = tmp_path / "model"
    dfmerge.save(members[0], out)
    for text in ("config.json", "README.md", "adapter_config.json"):
        (out / text).write_text("{}")
        before = {path.name: path.read_bytes() for path in out.iterdir()}
        with pytest.raises(dfmerge.ArgumentError, match=f"holds a model's {text}.*another folder"):
            dfmerge.merge(members[0], members[1:], "emr", options={"compact": True}, out=out)
        assert {path.name: path.read_bytes() for path in out.iterdir()} == before
        (out / text).unlink()
    for _ in range(2):
        dfmerge.merge(members[0], members[1:], "emr", options={"compact": True}, out=out)


def test_a_plan_tells_what_is_added(tmp_path: Path) -> None:
    members = family(37, 2)
    plan = dfmerge.plan(
        members[0], members[1:], "emr", options={"compact": True}, out=tmp_path / "s"
    )
    assert {"name": "bias.emr_mask.model 1", "dtype": "U8", "shape": [1]} in plan["added"]
    assert {"name": "emr_scaler.model 0", "dtype": "F64", "shape": [1]} in plan["added"]
    assert f"{2 * len(members[0]) + 2} added" in plan["text"]
    assert dfmerge.plan(members[0], members[1:], "emr")["added"] == []


def test_memory_needs_room_for_it() -> None:
    members = family(38, 2)
    target = {name: np.empty_like(value) for name, value in members[0].items()}
    with pytest.raises(dfmerge.ArgumentError, match=r"emr_mask\.model 0.*missing from the target"):
        dfmerge.merge(members[0], members[1:], "emr", options={"compact": True}, out=target)
    full = dfmerge.merge(members[0], members[1:], "emr", options={"compact": True})
    target |= {n: np.zeros_like(v) for n, v in full.items() if n not in target}
    dfmerge.merge(members[0], members[1:], "emr", options={"compact": True}, out=target)
    for name, value in full.items():
        np.testing.assert_array_equal(target[name], value)


def test_a_vector_of_rows_that_models_lack_is_refused() -> None:
    members = family(39, 2)
    longer = members[0] | {"bias": np.zeros(9, np.float32)}
    with pytest.raises(dfmerge.ArgumentError, match="'bias' would be copied from the base"):
        dfmerge.merge(longer, members[1:], "emr", options={"compact": True}, shape="common")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "history"}, '"history"; there are: maths, code, law'),
        ({"task": 3}, "is 3; there are"),
        ({"task": "code", "compact": True}, "both a task and compact"),
        ({"task": [{"filter": "a", "value": 1}]}, "there are: maths"),
        ({"compact": [{"filter": "a", "value": True}]}, "takes true or false"),
    ],
)
def test_what_is_refused(options: Any, message: str) -> None:
    members = family(40, 3)
    with pytest.raises(dfmerge.ArgumentError) as refused:
        dfmerge.merge(members[0], named(members), "emr", options=options)
    assert message in str(refused.value)


def test_what_a_compact_checkpoint_refuses() -> None:
    members = family(41, 3)
    store = dfmerge.merge(members[0], named(members), "emr", options={"compact": True})
    for options, message in [
        ({"task": "history"}, '"history"; there are: code, law, maths'),
        ({"task": 0}, "is 0; there are: code, law, maths"),
        ({"compact": True}, "is a compact checkpoint already"),
    ]:
        with pytest.raises(dfmerge.ArgumentError, match=message):
            dfmerge.merge(members[0], {"store": store}, "emr", options=options)
    broken = {n: v for n, v in store.items() if n != "bias.emr_mask.code"}
    with pytest.raises(dfmerge.ArgumentError, match=r"'bias\.emr_mask\.code' is missing"):
        dfmerge.merge(members[0], [broken], "emr", options={"task": "code"})
    with pytest.raises(dfmerge.ArgumentError, match="U8"):
        wrong = store | {"bias.emr_mask.code": np.zeros(2, np.uint8)}
        dfmerge.merge(members[0], [wrong], "emr", options={"task": "code"})
    for scaler, words in [
        (np.zeros(0), r"\[0\]"),
        (np.ones(3), r"\[3\]"),
        (np.array([-5.0]), r"-5\.0"),
        (np.array([np.nan]), "nan"),
        (np.array([np.inf]), "inf"),
    ]:
        wrong = store | {"emr_scaler.code": scaler}
        with pytest.raises(dfmerge.Error, match=rf"'emr_scaler\.code' of .* is {words}, where"):
            dfmerge.merge(members[0], [wrong], "emr", options={"task": "code"})
    scalar = store | {"emr_scaler.code": np.asarray(store["emr_scaler.code"]).reshape(())}
    dfmerge.merge(members[0], [scalar], "emr", options={"task": "code"})
    # Beside a store, nothing else of its own is read as a model.
    with pytest.raises(dfmerge.ArgumentError, match="in model 1 but not in"):
        dfmerge.merge(members[0], [members[1], store], "emr")
