"""The interface may only grow: comparison with the record of a version that was released."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from abigen.generate import RECORD
from abigen.model import AbigenError

FOLDER = "include/abi/released"


def shrunk(released: dict[str, Any], present: dict[str, Any]) -> list[str]:
    """One problem for each thing of the released record that a program built for it would miss.

    Additions are no problem: functions, constants, handles and callbacks. Names of parameters are
    free to change too, since no compiled program holds them.
    """
    version = f"version {released['version']}"
    if present["abi"] != released["abi"]:
        # Another SONAME: nothing that was built for the old one loads the new one.
        return []
    problems = []
    for name in released["handles"]:
        if name not in present["handles"]:
            problems.append(f"the handle {name} of {version} is gone")
    for kind in ("typedefs", "constants"):
        word = kind[:-1]
        for name, value in released[kind].items():
            now = present[kind].get(name)
            if now is None:
                problems.append(f"the {word} {name} of {version} is gone")
            elif now != value:
                problems.append(f"the {word} {name} was {value} in {version} and is {now}")
    for name, callback in released["callbacks"].items():
        problems += _changed(
            f"the callback {name}", version, callback, present["callbacks"].get(name)
        )
    functions = {function["name"]: _signature(function) for function in present["functions"]}
    for function in released["functions"]:
        what = f"the function {function['name']}"
        problems += _changed(what, version, _signature(function), functions.get(function["name"]))
    problems += _tightened(released, present, version)
    return problems


def _signature(function: dict[str, Any]) -> dict[str, Any]:
    return {
        "returns": function["returns"],
        "parameters": [parameter["type"] for parameter in function["parameters"]],
    }


def _changed(
    what: str, version: str, before: dict[str, Any], now: dict[str, Any] | None
) -> list[str]:
    if now is None:
        return [f"{what} of {version} is gone"]
    if before == now:
        return []
    return [f"{what} was {_prototype(before)} in {version} and is {_prototype(now)}"]


def _prototype(signature: dict[str, Any]) -> str:
    return f"{signature['returns']} ({', '.join(signature['parameters'])})"


def _tightened(released: dict[str, Any], present: dict[str, Any], version: str) -> list[str]:
    """What the types do not show: NULL no longer taken, another owner, another direction."""
    functions = {function["name"]: function for function in present["functions"]}
    problems = []
    for function in released["functions"]:
        name = function["name"]
        now = functions.get(name)
        # Where the types differ already, more would only repeat it.
        if now is None or _signature(now) != _signature(function):
            continue
        for before, after in zip(function["parameters"], now["parameters"], strict=True):
            what = f"'{after['name']}' of {name}"
            if before["nullable"] and not after["nullable"]:
                problems.append(f"{what} may no longer be NULL, as it may in {version}")
            for tag in ("direction", "ownership"):
                if before[tag] != after[tag]:
                    problems.append(
                        f"{what} was [{before[tag]}] in {version} and is [{after[tag]}]"
                    )
    return problems


def unraised(released: dict[str, Any], present: dict[str, Any]) -> list[str]:
    """A problem where something was added since a tagged version under the same minor version."""
    before, now = _numbers(released["version"]), _numbers(present["version"])
    if now < before:
        return [f"the version is {present['version']}, before the released {released['version']}"]
    if now[:2] > before[:2]:
        return []
    added = _names(present) - _names(released)
    return [
        f"{', '.join(sorted(added))} came after {released['version']}; raise the minor version in "
        "Sources/DFMergeCore/DFMergeVersion.swift"
    ] * bool(added)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("-")[0].split("+")[0].split("."))


def _names(record: dict[str, Any]) -> set[str]:
    functions = {function["name"] for function in record["functions"]}
    kinds = ("handles", "typedefs", "constants", "callbacks")
    return functions.union(*(record[kind] for kind in kinds))


def stored(root: Path) -> dict[str, dict[str, Any]]:
    """The records of the released versions in the working copy, oldest first."""
    paths = (root / FOLDER).glob("*.json")
    records = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in paths}
    return dict(sorted(records.items(), key=lambda entry: _numbers(entry[1]["version"])))


def tagged(root: Path) -> tuple[str, dict[str, Any]] | None:
    """The newest tag v* that is in the history and its record; None without git or such a tag."""
    tag = _git(root, "describe", "--tags", "--abbrev=0", "--match", "v[0-9]*")
    if tag is None:
        return None
    text = _git(root, "show", f"{tag}:{RECORD}")
    if text is None:
        raise AbigenError(f"the tag {tag} has no {RECORD}; nothing can be compared with it")
    return tag, json.loads(text)


def _git(root: Path, *arguments: str) -> str | None:
    try:
        result = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return None
    return result.stdout.strip() if result.returncode == 0 else None


def check(root: Path, present: dict[str, Any]) -> list[str]:
    """Every problem of the present record against the stored ones and the newest tag's."""
    records = stored(root)
    if not records:
        return [f"{FOLDER} has no record of a released version; run `make release-record`"]
    problems = [problem for record in records.values() for problem in shrunk(record, present)]
    if (found := tagged(root)) is not None:
        tag, record = found
        if f"{record['version']}.json" not in records:
            problems.append(f"{FOLDER} lacks the record of {tag}: run `make release-record` at it")
        problems += [problem for problem in shrunk(record, present) if problem not in problems]
        problems += unraised(record, present)
    return problems
