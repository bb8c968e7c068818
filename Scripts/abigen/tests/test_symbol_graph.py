from __future__ import annotations

from typing import Any

import pytest
from abigen import symbol_graph
from abigen.model import AbigenError, CDeclarations, Interface

TYPES = CDeclarations(handles=["dfm_box"], typedefs={"dfm_status": "int32_t"})


def function(
    name: str = "dfm_box_make",
    attribute: str = '@_cdecl("dfm_box_make") ',
    parameter: str = "Int32",
    docs: tuple[str, ...] = ("Makes it.", "", "- Parameter n: [in] A number."),
    kind: str = "swift.func",
) -> dict[str, Any]:
    """One symbol as the compiler writes it, as far as the generator looks."""
    return {
        "kind": {"identifier": kind},
        "names": {"title": f"{name}(_:)"},
        "docComment": {"lines": [{"text": line} for line in docs]},
        "functionSignature": {
            "parameters": [
                {"name": "n", "declarationFragments": [{"spelling": f"n: {parameter}"}]}
            ],
            "returns": [{"spelling": "dfm_status"}],
        },
        "declarationFragments": [{"spelling": attribute}, {"spelling": "func"}],
        "location": {"uri": "file:///x/Box+CAPI.swift", "position": {"line": 3}},
    }


def alias(name: str, target: str) -> dict[str, Any]:
    return {
        "kind": {"identifier": "swift.typealias"},
        "names": {"title": name},
        "declarationFragments": [{"spelling": f"typealias {name} = {target}"}],
    }


def error_of(*symbols: dict[str, Any]) -> str:
    with pytest.raises(AbigenError) as caught:
        symbol_graph.groups({"symbols": list(symbols)}, TYPES)
    return str(caught.value)


def test_a_good_function_passes() -> None:
    (group,) = symbol_graph.groups({"symbols": [function()]}, TYPES)
    assert group.title == "Box"
    assert [made.name for made in group.functions] == ["dfm_box_make"]


def test_a_forbidden_type_names_function_and_parameter() -> None:
    message = error_of(function(parameter="Int"))
    assert message.startswith("dfm_box_make: parameter 'n' has the type 'Int'")


def test_missing_docs_name_the_function() -> None:
    assert error_of(function(docs=())).startswith("dfm_box_make: has no doc comment")
    assert "'n'" in error_of(function(docs=("Makes it.",)))


@pytest.mark.parametrize(
    ("symbol", "message"),
    [
        (function(attribute=""), "no @_cdecl"),
        (function(attribute='@_cdecl("dfm_other") '), "give it the C name"),
        (function("make", '@_cdecl("make") '), "dfm_<noun>_<verb>"),
        (function("dfm_boxMake", '@_cdecl("dfm_boxMake") '), "in lower case"),
        (function(kind="swift.struct"), "use `package`"),
        (alias("DFMCrateRef", "OpaquePointer"), "typedef struct dfm_crate dfm_crate;"),
        (alias("DFMBoxRef", "Int"), "is a handle"),
        (alias("Box", "OpaquePointer"), "is a handle"),
    ],
)
def test_other_public_symbols_are_errors(symbol: dict[str, Any], message: str) -> None:
    assert message in error_of(symbol)


def test_the_compiled_sample_is_read_in_order(interface: Interface) -> None:
    assert [group.title for group in interface.groups] == ["Version", "Box"]
    names = [made.name for made in interface.functions]
    assert names == ["dfm_version", "dfm_box_create", "dfm_box_free", "dfm_box_ask"]
    ask = interface.functions[-1]
    assert [parameter.type for parameter in ask.parameters] == [
        "dfm_box *",
        "dfm_ask_fn",
        "void *",
        "const void *",
        "uint64_t",
        "float",
    ]
