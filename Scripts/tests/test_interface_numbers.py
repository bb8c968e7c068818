"""Names and numbers of statuses, element types and callback answers, pinned in Python's table.

Independent of the generator: the record of the released version and the present one are read here,
and what the ctypes table says is compared by rules written here.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
RECORDS = [ROOT / "include/abi/dfmerge.json", *sorted(ROOT.glob("include/abi/released/*.json"))]

#: Pinned by hand: a record that was changed together with the table would not show.
STATUSES = {
    "OK": 0, "INVALID_ARGUMENT": 100, "NULL_POINTER": 101, "WRONG_HANDLE": 102,
    "SHAPE_MISMATCH": 103, "DTYPE_MISMATCH": 104, "MISSING_TENSOR": 105, "UNKNOWN_NAME": 106,
    "INVALID_OPTION": 107, "INVALID_STATE": 108, "IO_FAILURE": 200, "FILE_NOT_FOUND": 201,
    "FILE_LOCKED": 202, "INVALID_FORMAT": 300, "INVALID_JSON": 301, "JOURNAL_DAMAGED": 302,
    "JOURNAL_MISMATCH": 303, "UNSUPPORTED": 304, "NON_FINITE": 400, "NOT_POSITIVE_DEFINITE": 401,
    "ALL_TRIALS_FAILED": 402, "OUT_OF_MEMORY": 500, "THREAD_FAILURE": 501, "CANCELLED": 600,
    "CALLBACK_FAILED": 601, "INTERNAL_ERROR": 900,
}  # fmt: skip
DTYPES = {
    "F64": 1, "F32": 2, "F16": 3, "BF16": 4, "I64": 10, "I32": 11, "I16": 12, "I8": 13, "U64": 14,
    "U32": 15, "U16": 16, "U8": 17, "BOOL": 18, "C64": 20, "F8_E4M3": 30, "F8_E5M2": 31,
    "F8_E8M0": 32, "F8_E4M3FNUZ": 33, "F8_E5M2FNUZ": 34, "F6_E2M3": 40, "F6_E3M2": 41, "F4": 42,
}  # fmt: skip
ANSWERS = {"OK": 0, "TRIAL_FAILED": 1, "STOP": -1}
PINNED = {
    **{("DFM_" if name == "OK" else "DFM_ERROR_") + name: n for name, n in STATUSES.items()},
    **{f"DFM_DTYPE_{name}": number for name, number in DTYPES.items()},
    **{f"DFM_CALLBACK_{name}": number for name, number in ANSWERS.items()},
}

SCALARS = {
    "int32_t": ctypes.c_int32,
    "int64_t": ctypes.c_int64,
    "uint64_t": ctypes.c_uint64,
    "double": ctypes.c_double,
    "float": ctypes.c_float,
    "void": None,
}


def load_table() -> ModuleType:
    path = ROOT / "bindings/python/src/dfmerge/_ffi.py"
    spec = importlib.util.spec_from_file_location("table", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TABLE = load_table()
RECORD = json.loads(RECORDS[0].read_text(encoding="utf-8"))


def wrong_numbers(constants: dict[str, int]) -> list[str]:
    """The pinned names that are missing or have another number."""
    return [name for name, number in PINNED.items() if constants.get(name) != number]


def python_type(c_type: str, record: dict[str, Any]) -> Any:
    """The ctypes type for a C type, by the rules of the table's first lines."""
    c_type = record["typedefs"].get(c_type, c_type)
    if c_type in SCALARS:
        return SCALARS[c_type]
    if c_type in record["callbacks"]:
        return getattr(TABLE, c_type)
    if c_type == "const char *":
        return ctypes.c_char_p
    pointee = c_type.removesuffix("*").strip().removesuffix("const").strip()
    bare = pointee.removeprefix("const ")
    if bare == "void" or bare in record["handles"]:
        return ctypes.c_void_p
    return ctypes.POINTER(python_type(pointee if pointee.endswith("*") else bare, record))


def wrong_prototypes(table: dict[str, Any], record: dict[str, Any]) -> list[str]:
    """The functions that the table has otherwise than the record, or not at all, or beside it."""
    functions = {function["name"]: function for function in record["functions"]}
    wrong = sorted(set(functions) ^ set(table))
    for name in sorted(set(functions) & set(table)):
        expected = (
            python_type(functions[name]["returns"], record),
            tuple(python_type(entry["type"], record) for entry in functions[name]["parameters"]),
        )
        if table[name] != expected:
            wrong.append(name)
    return wrong


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.name)
def test_numbers_of_every_record_are_pinned(path: Path) -> None:
    constants = json.loads(path.read_text(encoding="utf-8"))["constants"]
    assert wrong_numbers(constants) == []


def test_every_number_of_the_present_record_is_pinned_here() -> None:
    assert set(RECORD["constants"]) == set(PINNED)


def test_the_table_has_the_pinned_numbers() -> None:
    assert wrong_numbers(vars(TABLE)) == []


def test_a_renumbered_status_and_a_moved_dtype_are_found() -> None:
    changed = PINNED | {"DFM_ERROR_NON_FINITE": 403, "DFM_DTYPE_BF16": 5}
    assert wrong_numbers(changed) == ["DFM_ERROR_NON_FINITE", "DFM_DTYPE_BF16"]
    del changed["DFM_OK"]
    assert "DFM_OK" in wrong_numbers(changed)


def test_the_table_is_the_record() -> None:
    assert wrong_prototypes(TABLE.PROTOTYPES, RECORD) == []


def test_callbacks_of_the_table_are_those_of_the_record() -> None:
    for name, callback in RECORD["callbacks"].items():
        kind = getattr(TABLE, name)
        assert kind._restype_ is python_type(callback["returns"], RECORD)
        expected = tuple(python_type(c_type, RECORD) for c_type in callback["parameters"])
        assert kind._argtypes_ == expected


def test_a_table_that_differs_is_found() -> None:
    table = dict(TABLE.PROTOTYPES)
    result, parameters = table["dfm_search_apply"]
    table["dfm_search_apply"] = (result, (*parameters[:2], ctypes.c_int32, parameters[3]))
    table["dfm_version"] = (ctypes.c_void_p, ())
    table["dfm_extra"] = table.pop("dfm_text_free")
    assert wrong_prototypes(table, RECORD) == [
        "dfm_extra", "dfm_text_free", "dfm_search_apply", "dfm_version"
    ]  # fmt: skip
