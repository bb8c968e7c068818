"""The generator covers the whole record, and stops at what nobody has said how to call."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conformance import recipes
from conformance.render import GeneratorError, tables

ROOT = Path(__file__).resolve().parent.parent.parent.parent
Record = dict[str, Any]


@pytest.fixture
def record() -> Record:
    return dict(json.loads((ROOT / "include/abi/dfmerge.json").read_text(encoding="utf-8")))


def parameter(name: str, c_type: str, **more: Any) -> Record:
    return {
        "name": name, "type": c_type, "direction": "in", "ownership": None, "nullable": False,
    } | more  # fmt: skip


def newborn(record: Record, *parameters: Record, returns: str = "dfm_status") -> Record:
    """The record with one more function."""
    grown = copy.deepcopy(record)
    grown["functions"].append(
        {
            "group": "New", "name": "dfm_new_thing", "returns": returns,
            "statuses": ["DFM_OK", "DFM_ERROR_NULL_POINTER"], "parameters": list(parameters),
        }
    )
    return grown


def test_every_function_of_the_record_is_called(record: Record) -> None:
    called = re.findall(r"^static void call_(\w+)\(", tables(record), flags=re.MULTILINE)
    assert called == [function["name"] for function in record["functions"]]


def test_every_handle_type_has_cycles(record: Record) -> None:
    text = tables(record)
    for handle in record["handles"]:
        assert re.search(rf'\{{"{handle}", "\w+", cycle_\w+\}}', text)


def test_a_newborn_function_is_covered_where_its_types_say_enough(record: Record) -> None:
    text = tables(newborn(record, parameter("search", "dfm_search *"), parameter("n", "double *")))
    assert "result->i32 = dfm_new_thing(arguments[0].pointer, arguments[1].pointer);" in text
    assert '{"dfm_new_thing", RESULT_STATUS, 2, of_dfm_new_thing,' in text


@pytest.mark.parametrize("c_type", ["int64_t", "double", "const char *", "const double *"])
def test_a_newborn_function_with_a_value_needs_a_recipe(record: Record, c_type: str) -> None:
    with pytest.raises(GeneratorError, match="dfm_new_thing needs a recipe: what is a valid 'x'"):
        tables(newborn(record, parameter("x", c_type)))


def test_a_recipe_is_enough(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(recipes.RECIPES, "dfm_new_thing", {"x": 12, "pairs": False})
    text = tables(newborn(record, parameter("x", "int64_t")))
    assert '{.name = "x", .domain = DOMAIN_INT64, .handle = -1, .number = 12}' in text
    assert "1)), " not in text


@pytest.mark.parametrize("c_type", ["float", "char *", "void *", "dfm_crate *", "dfm_text ***"])
def test_a_type_that_is_not_known_is_an_error(record: Record, c_type: str) -> None:
    with pytest.raises(GeneratorError, match=f"has the type '{re.escape(c_type)}', which"):
        tables(newborn(record, parameter("x", c_type)))


def test_a_result_that_is_not_known_is_an_error(record: Record) -> None:
    with pytest.raises(GeneratorError, match="returns 'double'"):
        tables(newborn(record, returns="double"))


def test_a_new_handle_type_needs_a_cycle(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    record["handles"].append("dfm_crate")
    with pytest.raises(GeneratorError, match="dfm_crate is a new handle type"):
        tables(record)
    monkeypatch.setitem(recipes.ROLES, "dfm_crate", "ROLE_CRATE")
    with pytest.raises(GeneratorError, match="a cycle that makes, uses and frees it"):
        tables(record)


def test_what_the_record_no_longer_has_is_an_error(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(recipes.RECIPES, "dfm_gone", {})
    with pytest.raises(GeneratorError, match="knows dfm_gone, which the record does not have"):
        tables(record)
    monkeypatch.setitem(recipes.RECIPES, "dfm_gone", {})
    monkeypatch.delitem(recipes.RECIPES, "dfm_gone")
    monkeypatch.setitem(recipes.RECIPES, "dfm_merge", {"gone": 1})
    with pytest.raises(GeneratorError, match=r"the parameters \['gone'\] of dfm_merge"):
        tables(record)


def test_an_error_is_one_line(tmp_path: Path, record: Record) -> None:
    bad = tmp_path / "record.json"
    bad.write_text(json.dumps(newborn(record, parameter("x", "float"))), encoding="utf-8")
    command = [sys.executable, str(ROOT / "Scripts/conformance"), "--record", str(bad)]
    result = subprocess.run(
        [*command, "--out", str(tmp_path / "tables.c")], capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert result.stderr.startswith("conformance: error: ") and result.stderr.count("\n") == 1
