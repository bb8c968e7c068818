"""Freezes the interface of a version: what later versions are compared with."""

from __future__ import annotations

import json
from pathlib import Path

from abigen import released, stub
from abigen.generate import HEADER, RECORD
from abigen.model import AbigenError


def write(root: Path) -> list[str]:
    """Writes the record and the dump of the present version; returns their names.

    Raises AbigenError, and writes nothing, where the interface lacks something that a released
    version had, or where the version has a tag already and another interface.
    """
    text = (root / RECORD).read_text(encoding="utf-8")
    record = json.loads(text)
    version = record["version"]
    records = released.stored(root)
    problems = [problem for old in records.values() for problem in released.shrunk(old, record)]
    if (found := released.tagged(root)) is not None:
        tag, old = found
        problems += [p for p in released.shrunk(old, record) if p not in problems]
        problems += released.unraised(old, record)
        if tag == f"v{version}" and old != record:
            problems.append(f"{tag} is released already, with another interface; raise the version")
    if problems:
        raise AbigenError("this interface cannot be released:\n" + "\n".join(problems))
    names = {
        f"{released.FOLDER}/{version}.json": text,
        f"{released.FOLDER}/{version}.abi": stub.dump(root / HEADER, root / RECORD),
    }
    for name, content in names.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content, encoding="utf-8")
    return list(names)


def check(root: Path, library: Path | None) -> list[str]:
    """Every problem of the present interface, and of a built library, against released versions."""
    record = root / RECORD
    problems = released.check(root, json.loads(record.read_text(encoding="utf-8")))
    abi = json.loads(record.read_text(encoding="utf-8"))["abi"]
    for name, old in released.stored(root).items():
        if old["abi"] != abi:
            continue
        path = root / released.FOLDER / name
        dump = path.with_suffix(".abi")
        if not dump.exists():
            problems.append(f"{released.FOLDER}/{dump.name} is missing beside {name}")
            continue
        problems += stub.differs(dump, root / HEADER, record)
        if library is not None:
            problems += stub.symbols_removed(path, library)
    return problems
