"""What clang reads in a C header."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from abigen.model import AbigenError, Callback, CDeclarations
from abigen.toolchain import Toolchain

_CALLBACK = re.compile(r"(.+?) ?\(\*\)\((.*)\)")


def read(header: Path, toolchain: Toolchain) -> CDeclarations:
    """The declarations of a header, each type as the header spells it."""
    command = [toolchain.clang, "-std=c11", "-fsyntax-only", "-Xclang", "-ast-dump=json"]
    dump = toolchain.run([*command, "-x", "c", str(header)])
    result = CDeclarations()
    for node in json.loads(dump)["inner"]:
        if node["kind"] == "EnumDecl":
            _constants(node, result)
        elif node.get("name", "").startswith("dfm_"):
            _declaration(node, result)
    return result


def _constants(node: dict[str, Any], result: CDeclarations) -> None:
    for constant in node.get("inner", []):
        if constant["kind"] != "EnumConstantDecl" or not constant["name"].startswith("DFM_"):
            continue
        values = [entry["value"] for entry in constant.get("inner", []) if "value" in entry]
        if not values:
            raise AbigenError(f"{constant['name']} has no explicit number in dfmerge_types.h")
        result.constants[constant["name"]] = int(values[0])


def _declaration(node: dict[str, Any], result: CDeclarations) -> None:
    kind, name = node["kind"], node["name"]
    if kind == "RecordDecl":
        if node.get("completeDefinition"):
            raise AbigenError(f"{name} is a struct with fields; the interface has none")
    elif kind == "TypedefDecl":
        spelled = node["type"]["qualType"]
        callback = _CALLBACK.fullmatch(spelled)
        if callback:
            result.callbacks[name] = Callback(callback[1], _split(callback[2]))
        elif spelled == f"struct {name}":
            result.handles.append(name)
        else:
            result.typedefs[name] = spelled
    elif kind == "FunctionDecl":
        returns = node["type"]["qualType"].split("(")[0].strip()
        inner = [entry for entry in node.get("inner", []) if entry["kind"] == "ParmVarDecl"]
        result.functions[name] = (returns, [entry["type"]["qualType"] for entry in inner])


def _split(parameters: str) -> list[str]:
    return [] if parameters in ("", "void") else [part.strip() for part in parameters.split(",")]
