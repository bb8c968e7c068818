"""The compiler's symbol graph of DFMergeCAPI to functions in C terms."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any

from abigen import doc_comments
from abigen.model import AbigenError, CDeclarations, Function, Group, Parameter
from abigen.swift_types import TypeMap, handle_name

_ATTRIBUTE = re.compile(r'@_cdecl\("([^"]*)"\)|@c(?:\((\w+)\))?\s')
_NAME = re.compile(r"dfm_[a-z][a-z0-9]*(_[a-z0-9]+)*")
# What a reader needs before anything else; the other files follow in alphabetical order.
_FIRST = ("Version", "Status")


def groups(graph: dict[str, Any], types: CDeclarations) -> list[Group]:
    """All functions of the graph, one group per Swift file.

    Raises AbigenError for the first rule that is broken, naming the function and the parameter.
    """
    symbols = graph["symbols"]
    type_map = TypeMap(_handles(symbols, types), set(types.typedefs), set(types.callbacks))
    files: dict[str, list[tuple[int, Function]]] = {}
    for symbol in symbols:
        if symbol["kind"]["identifier"] == "swift.typealias":
            continue
        title, line = _place(symbol)
        files.setdefault(title, []).append((line, _function(symbol, type_map)))
    order = sorted(files, key=lambda title: (_rank(title), title))
    result = []
    for title in order:
        found = sorted(files[title], key=lambda entry: entry[0])
        result.append(Group(title, [function for _, function in found]))
    return result


def _rank(title: str) -> int:
    return _FIRST.index(title) if title in _FIRST else len(_FIRST)


def _spelling(fragments: list[dict[str, str]]) -> str:
    return "".join(fragment["spelling"] for fragment in fragments)


def _place(symbol: dict[str, Any]) -> tuple[str, int]:
    """The heading, from the file's name, and the line."""
    location = symbol["location"]
    stem = PurePosixPath(location["uri"]).stem
    return stem.split("+")[0], location["position"]["line"]


def _handles(symbols: list[dict[str, Any]], types: CDeclarations) -> dict[str, str]:
    handles = {}
    for symbol in symbols:
        if symbol["kind"]["identifier"] != "swift.typealias":
            continue
        alias = symbol["names"]["title"]
        name = handle_name(alias)
        declared = _spelling(symbol["declarationFragments"]).split("=")[-1].strip()
        if name is None or declared != "OpaquePointer":
            raise AbigenError(
                f"typealias {alias} = {declared}: a public typealias of DFMergeCAPI is a handle, "
                "spelled DFM<Noun>Ref = OpaquePointer"
            )
        if name not in types.handles:
            raise AbigenError(
                f"typealias {alias}: {name} is not declared in dfmerge_types.h; "
                f"add `typedef struct {name} {name};`"
            )
        handles[alias] = name
    return handles


def _function(symbol: dict[str, Any], type_map: TypeMap) -> Function:
    title = symbol["names"]["title"]
    if symbol["kind"]["identifier"] != "swift.func":
        raise AbigenError(
            f"{title}: DFMergeCAPI makes public only C functions and handle aliases; "
            "use `package` for everything else"
        )
    swift_name = title.split("(")[0]
    attribute = _ATTRIBUTE.match(_spelling(symbol["declarationFragments"]))
    if attribute is None:
        raise AbigenError(f"{swift_name}: is public but has no @_cdecl; use `package`")
    name = attribute[1] or attribute[2] or swift_name
    if name != swift_name:
        raise AbigenError(f"{name}: the Swift function is called {swift_name}; give it the C name")
    if not _NAME.fullmatch(name):
        raise AbigenError(f"{name}: a C function is called dfm_<noun>_<verb>, in lower case")
    try:
        return _signature(name, symbol, type_map)
    except AbigenError as error:
        raise AbigenError(f"{name}: {error}") from None


def _signature(name: str, symbol: dict[str, Any], type_map: TypeMap) -> Function:
    signature = symbol["functionSignature"]
    types: dict[str, str] = {}
    for entry in signature.get("parameters", []):
        parameter = entry.get("internalName") or entry["name"]
        swift = _spelling(entry["declarationFragments"]).split(":", 1)[1].strip()
        try:
            types[parameter] = type_map.parameter(swift)
        except AbigenError as error:
            raise AbigenError(f"parameter '{parameter}' {error}") from None
    try:
        returns = type_map.returned(_spelling(signature.get("returns", [])))
    except AbigenError as error:
        raise AbigenError(f"the result {error}") from None
    lines = [line["text"] for line in symbol.get("docComment", {}).get("lines", [])]
    doc = doc_comments.parse(lines)
    doc_comments.check(doc, types, returns)
    parameters = [Parameter(key, c_type, doc.parameters[key]) for key, c_type in types.items()]
    return Function(name, returns, parameters, doc)
