#!/usr/bin/env python3
"""Checks the sources for C and C++ users.

The wrapper calls every C function, every public name in it has a doc comment, no example is longer
than 120 lines, and no line than 100 columns.

    check-cpp.py [ROOT]
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

MOST_LINES = 120
MOST_HEADER_LINES = 400
MOST_COLUMNS = 100


def missing_functions(record: Path, headers: list[Path]) -> list[str]:
    """What is in the record of the C interface, and called or named in no header."""
    text = "\n".join(re.sub(r"/\*.*?\*/|//[^\n]*", "", p.read_text(), flags=re.S) for p in headers)
    words = set(re.findall(r"\bdfm_\w+", text))
    names = [function["name"] for function in json.loads(record.read_text())["functions"]]
    return [
        f"{name} is in {record}, but the wrapper does not use it"
        for name in names
        if name not in words
    ]


NEEDS_COMMENT = {
    "CXXRecordDecl",
    "ClassTemplateDecl",
    "EnumDecl",
    "FunctionDecl",
    "CXXMethodDecl",
    "CXXConstructorDecl",
    "CXXConversionDecl",
    "FunctionTemplateDecl",
    "FieldDecl",
    "VarDecl",
    "TypeAliasDecl",
    "VarTemplateDecl",
    "ClassTemplateSpecializationDecl",
}


def syntax_trees(root: Path) -> list[dict]:
    """What clang makes of the wrapper: its namespaces, as trees of declarations."""
    command = [
        "clang++",
        "-std=c++17",
        "-fsyntax-only",
        "-x",
        "c++",
        "-I",
        str(root / "include"),
        "-I",
        str(root / "bindings/cpp"),
        "-Xclang",
        "-ast-dump=json",
        "-Xclang",
        "-ast-dump-filter=dfmerge",
        "-",
    ]
    run = subprocess.run(
        command, input="#include <dfmerge.hpp>\n", text=True, check=False, capture_output=True
    )
    if run.returncode != 0:
        sys.exit(f"the wrapper does not compile:\n{run.stderr}")
    output = run.stdout
    decoder = json.JSONDecoder()
    trees = []
    position = output.find("{")
    while position >= 0:
        tree, end = decoder.raw_decode(output, position)
        trees.append(tree)
        position = output.find("{", end)
    return [tree for tree in trees if tree["kind"] == "NamespaceDecl" and tree["name"] == "dfmerge"]


def undocumented(tree: dict, path: str, is_public: bool = True) -> list[str]:
    """The public declarations in a tree that have no doc comment."""
    findings = []
    for node in tree.get("inner", []):
        kind, name = node["kind"], node.get("name", "")
        if kind == "AccessSpecDecl":
            is_public = node["access"] == "public"
        if not is_public or node.get("isImplicit") or name == "detail":
            continue
        if kind == "NamespaceDecl":
            findings += undocumented(node, path)
            continue
        is_record = kind in ("CXXRecordDecl", "ClassTemplateDecl")
        is_out_of_class = "previousDecl" in node and not is_record
        if kind not in NEEDS_COMMENT or is_out_of_class or node.get("explicitlyDeleted"):
            continue
        inner = node.get("inner", [])
        # The declaration that a template is made of, and what comes of it.
        patterns = [
            n
            for n in inner
            if n["kind"] in NEEDS_COMMENT
            and n.get("name") == name
            and n["kind"] != "ClassTemplateSpecializationDecl"
        ]
        parts = inner + [n for pattern in patterns[:1] for n in pattern.get("inner", [])]
        types = [n["type"]["qualType"] for n in [node, *patterns] if "type" in n]
        is_again = any(t.endswith("&&") for t in types)  # a group with one comment
        deleted = any(n.get("explicitlyDeleted") for n in patterns)
        is_forward = is_record and not any("completeDefinition" in n for n in [node, *patterns])
        if any(n["kind"] == "CXXDeductionGuideDecl" for n in inner):
            continue
        if not any(n["kind"] == "FullComment" for n in parts) and not (
            is_again or deleted or is_forward
        ):
            findings.append(f"{path}{name} has no doc comment")
        if is_record:
            body = patterns[0] if kind == "ClassTemplateDecl" and patterns else node
            findings += undocumented(body, f"{path}{name}::", body.get("tagUsed") == "struct")
    return findings


def main(arguments: list[str]) -> None:
    root = Path(arguments[0]) if arguments else Path(__file__).resolve().parent.parent
    headers = [
        root / "bindings/cpp/dfmerge.hpp",
        *sorted((root / "bindings/cpp/dfmerge").glob("*.hpp")),
    ]
    findings = missing_functions(root / "include/abi/dfmerge.json", headers)
    examples = [
        p
        for p in sorted((root / "examples").glob("*/*"))
        if p.parent.name in ("c", "cpp", "embed") and p.suffix in (".c", ".cpp", ".h", ".hpp")
    ]
    for path in headers + examples + sorted((root / "Tests/cpp").glob("*")):
        lines = path.read_text().splitlines()
        most = MOST_LINES if path in examples else MOST_HEADER_LINES
        if len(lines) > most:
            findings.append(f"{path} has {len(lines)} lines; the most is {most}: split it")
        findings += [
            f"{path}:{n}: {len(line)} columns; the most is {MOST_COLUMNS}"
            for n, line in enumerate(lines, start=1)
            if len(line) > MOST_COLUMNS
        ]
    for tree in syntax_trees(root) if not findings else []:
        findings += sorted(set(undocumented(tree, "dfmerge::")))
    if not examples:
        findings.append(f"no example is in {root / 'examples'}")
    if findings:
        sys.exit("\n".join(findings))
    print(f"the wrapper uses every C function; {len(examples)} files of examples are in shape")


if __name__ == "__main__":
    main(sys.argv[1:])
