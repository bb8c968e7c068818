from __future__ import annotations

from pathlib import Path

import pytest
from abigen import check_ctypes, generate


def problems(root: Path) -> list[str]:
    return check_ctypes.check(root / generate.HEADER, root / generate.FFI, root / generate.RECORD)


def test_the_generated_table_passes(written: Path) -> None:
    assert problems(written) == []


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("ctypes.c_uint64,  # seed", "ctypes.c_int64,  # seed", "dfm_box_ask"),
        ("ctypes.c_float,  # scale", "ctypes.c_double,  # scale", "dfm_box_ask"),
        ("ctypes.c_float,  # scale", "ctypes.c_int32,  # scale", "dfm_box_ask"),
        ("ctypes.c_int64,  # count", "ctypes.c_void_p,  # count", "dfm_box_create"),
        ("            ctypes.c_int64,  # count\n", "", "dfm_box_create"),
        ('"dfm_version": (ctypes.c_char_p', '"dfm_version": (ctypes.c_int32', "dfm_version"),
        ("    ctypes.c_int32,\n    ctypes.c_void_p,", "    ctypes.c_int32,", "dfm_ask_fn"),
        ("DFM_STOP: Final = -1", "DFM_STOP: Final = 1", "DFM_STOP"),
        ("DFM_ABI_VERSION: Final = 4", "DFM_ABI_VERSION: Final = 5", "DFM_ABI_VERSION"),
        ("DFM_OK: Final = 0\n", "", "DFM_OK"),
    ],
)
def test_a_table_that_differs_from_the_header(
    written: Path, old: str, new: str, named: str
) -> None:
    table = written / generate.FFI
    text = table.read_text(encoding="utf-8")
    assert old in text
    table.write_text(text.replace(old, new), encoding="utf-8")
    (problem,) = problems(written)
    assert problem.startswith(named + " is ")


def test_a_table_that_lacks_a_function(written: Path) -> None:
    table = written / generate.FFI
    text = table.read_text(encoding="utf-8")
    table.write_text(text.replace('    "dfm_version": (ctypes.c_char_p, ()),\n', ""))
    assert "lists other functions" in problems(written)[0]
