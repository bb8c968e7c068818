from __future__ import annotations

import pytest
from abigen.model import AbigenError
from abigen.swift_types import TypeMap, declare, handle_name

TYPES = TypeMap({"DFMBoxRef": "dfm_box"}, {"dfm_status"}, {"dfm_ask_fn"})


@pytest.mark.parametrize(
    ("swift", "c_type"),
    [
        ("Int32", "int32_t"),
        ("Int64", "int64_t"),
        ("UInt64", "uint64_t"),
        ("Double", "double"),
        ("Float", "float"),
        ("dfm_status", "dfm_status"),
        ("dfm_ask_fn?", "dfm_ask_fn"),
        ("DFMBoxRef?", "dfm_box *"),
        ("UnsafePointer<CChar>?", "const char *"),
        ("UnsafeMutablePointer<CChar>?", "char *"),
        ("UnsafeRawPointer?", "const void *"),
        ("UnsafeMutableRawPointer?", "void *"),
        ("UnsafeMutablePointer<Double>!", "double *"),
        ("UnsafeMutablePointer<DFMBoxRef?>?", "dfm_box **"),
        ("UnsafePointer<DFMBoxRef?>?", "dfm_box *const *"),
        ("UnsafePointer<UnsafePointer<CChar>?>?", "const char *const *"),
        ("UnsafeMutablePointer<UnsafePointer<CChar>?>?", "const char **"),
    ],
)
def test_parameter_type(swift: str, c_type: str) -> None:
    assert TYPES.parameter(swift) == c_type


@pytest.mark.parametrize("swift", ["", "()", "Void"])
def test_no_result_is_void(swift: str) -> None:
    assert TYPES.returned(swift) == "void"


@pytest.mark.parametrize(
    ("swift", "message"),
    [
        ("Int", "'Int', which is not one of"),
        ("Bool", "'Bool', which is not one of"),
        ("CChar", "'CChar', which is not one of"),
        ("UnsafePointer<UInt8>?", "'UInt8', which is not one of"),
        ("dfm_other", "'dfm_other', which is not one of"),
        ("DFMOtherRef?", "'DFMOtherRef', which is not one of"),
        ("OpaquePointer?", "DFM<Noun>Ref"),
        ("((Int32) -> Int32)?", "inline closure"),
        ("DFMBoxRef", "can be NULL"),
        ("dfm_ask_fn", "can be NULL"),
        ("UnsafeRawPointer", "can be NULL"),
        ("UnsafePointer<UnsafePointer<CChar>>?", "can be NULL"),
    ],
)
def test_other_types_are_errors(swift: str, message: str) -> None:
    with pytest.raises(AbigenError, match="has the") as caught:
        TYPES.parameter(swift)
    assert message in str(caught.value)


def test_handle_name() -> None:
    assert handle_name("DFMSearchRef") == "dfm_search"
    assert handle_name("DFMMergePlanRef") == "dfm_merge_plan"
    assert handle_name("DFMSearch") is None
    assert handle_name("SearchRef") is None


def test_declare() -> None:
    assert declare("double", "x") == "double x"
    assert declare("const char *", "x") == "const char *x"
