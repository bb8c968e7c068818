"""Swift doc comments: taken apart, checked, and written as C comments."""

from __future__ import annotations

import re

from abigen.model import AbigenError, DocComment, Function, ParameterDoc

_PARAMETER = re.compile(r"- Parameter (\w+):\s*(.*)")
_LIST_ITEM = re.compile(r"- (\w+):\s*(.*)")
_RETURNS = re.compile(r"- Returns:\s*(.*)")
_TAG = re.compile(r"\[([^\]]*)\]\s*")
_DIRECTIONS = ("in", "out", "inout")
_OWNERSHIPS = ("borrowed", "kept", "owned")
_STATUS_NAME = re.compile(r"\bDFM_(?:OK|ERROR_\w+)\b")
_STATUS = ["0, or one of DFM_ERROR_*; the message is dfm_last_error_message()."]


def parse(lines: list[str]) -> DocComment:
    """Takes the lines of a doc comment apart.

    Both ``- Parameter x: ...`` and the list under ``- Parameters:`` are understood.
    """
    text: list[str] = []
    parameters: dict[str, list[str]] = {}
    returns: list[str] = []
    target, in_list = text, False
    for line in lines:
        bare = line.strip()
        item = _LIST_ITEM.fullmatch(bare) if in_list and line.startswith(" ") else None
        match = _PARAMETER.fullmatch(bare) or item
        if bare == "- Parameters:":
            in_list = True
        elif match:
            if match[1] in parameters:
                raise AbigenError(f"documents parameter '{match[1]}' twice")
            target = parameters[match[1]] = [match[2]]
        elif match := _RETURNS.fullmatch(bare):
            returns.append(match[1])
            target, in_list = returns, False
        elif bare.startswith("- Throws:"):
            raise AbigenError("documents '- Throws:'; a C function returns a status")
        elif target is text:
            text.append(line.rstrip())
        elif bare:
            target.append(bare)
        else:
            target = text
            text.append("")
    return DocComment(
        text=_trimmed(text),
        parameters={name: _parameter(name, found) for name, found in parameters.items()},
        returns=returns,
    )


def _trimmed(text: list[str]) -> list[str]:
    """No blank lines at either end, no two in a row."""
    kept: list[str] = []
    for line in text:
        if line or (kept and kept[-1]):
            kept.append(line)
    while kept and not kept[-1]:
        kept.pop()
    return kept


def _parameter(name: str, lines: list[str]) -> ParameterDoc:
    first, tags = lines[0], []
    while match := _TAG.match(first):
        tags.append(match[1])
        first = first[match.end() :]
    allowed = (*_DIRECTIONS, *_OWNERSHIPS, "nullable")
    for tag in tags:
        if tag not in allowed:
            raise AbigenError(f"parameter '{name}' has the unknown tag [{tag}]")
    directions = [tag for tag in tags if tag in _DIRECTIONS]
    ownerships = [tag for tag in tags if tag in _OWNERSHIPS]
    if len(directions) != 1:
        raise AbigenError(f"parameter '{name}' needs exactly one of [in], [out] and [inout]")
    if len(ownerships) > 1 or tags.count("nullable") > 1:
        raise AbigenError(f"parameter '{name}' repeats or contradicts a tag")
    if not first and len(lines) == 1:
        raise AbigenError(f"parameter '{name}' has tags but no description")
    return ParameterDoc(
        direction=directions[0],
        ownership=ownerships[0] if ownerships else None,
        nullable="nullable" in tags,
        lines=[line for line in [first, *lines[1:]] if line],
    )


def check(doc: DocComment, parameters: dict[str, str], returns: str) -> None:
    """Compares a doc comment with the signature (parameter name to C type, result type)."""
    if not doc.text:
        raise AbigenError("has no doc comment that says what it does")
    for name, c_type in parameters.items():
        if name not in doc.parameters:
            raise AbigenError(
                f"does not document parameter '{name}': `- Parameter {name}: [in] ...`"
            )
        tags = doc.parameters[name]
        is_pointer = c_type.endswith(("*", "_fn"))
        if tags.nullable and not is_pointer:
            raise AbigenError(f"parameter '{name}' is [nullable] but not a pointer")
        writable = c_type.endswith("*") and not re.search(r"\bconst \w+ \*$|const \*$", c_type)
        if tags.direction != "in" and not writable:
            raise AbigenError(f"parameter '{name}' is [{tags.direction}] but cannot be written")
    for name in doc.parameters:
        if name not in parameters:
            raise AbigenError(f"documents parameter '{name}', which it does not have")
    if returns == "void" and doc.returns:
        raise AbigenError("documents a result but returns nothing")
    if returns not in ("void", "dfm_status") and not doc.returns:
        raise AbigenError("does not document its result: `- Returns: ...`")


def statuses(function: Function) -> list[str]:
    """The statuses that the doc comment names, in its order; none where it names none."""
    found = _STATUS_NAME.findall(" ".join(function.doc.returns))
    return list(dict.fromkeys(found)) if function.returns == "dfm_status" else []


def c_comment(function: Function) -> list[str]:
    """The comment above the C declaration."""
    doc = function.doc
    fields: list[str] = []
    for parameter in function.parameters:
        first, *rest = parameter.doc.lines
        fields.append(f"@param {parameter.name} {parameter.doc.tags} {first}")
        fields += ["    " + line for line in rest]
    returns = doc.returns or (_STATUS if function.returns == "dfm_status" else [])
    if returns:
        fields.append("@return " + returns[0])
        fields += ["    " + line for line in returns[1:]]
    body = [*doc.text, *([""] if fields else []), *fields]
    return ["/**", *(" *" + (" " + _plain(line) if line else "") for line in body), " */"]


def _plain(line: str) -> str:
    """Text without markup, and without what would begin or end a C comment."""
    return line.replace("`", "").replace("*/", "* /").replace("/*", "/ *")
