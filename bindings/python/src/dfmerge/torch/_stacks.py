"""Which tensors of a model share, by their names: the rules of method ``share``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

Pattern = Literal["sequence", "cycle", "cycle_rev"]
PATTERNS = ("sequence", "cycle", "cycle_rev")

# A part of a name, ended by what the library ends parts with, that is a whole number.
_NUMBER = re.compile(r"(?:^|(?<=[./_-]))[0-9]+(?=[./_-]|$)")


def group_of(index: int, count: int, distinct: int, pattern: Pattern) -> int:
    """The group of layer `index` of `count` in `distinct` groups, all from 0."""
    if pattern == "sequence":
        return index * distinct // count
    last_round = distinct * (-(-count // distinct) - 1)
    if pattern == "cycle_rev" and distinct < count and index >= last_round:
        return distinct - 1 - index % distinct
    return index % distinct


def sharing_groups(
    names: Iterable[str], shared: Iterable[str], distinct: int, pattern: Pattern
) -> list[list[str]]:
    """The groups of two names or more that get one value, each in the order of its layers.

    Parameters
    ----------
    names : iterable of str
        All tensors of the model: they say how many layers each stack has.
    shared : iterable of str
        Those that layers share.

    Raises
    ------
    ValueError
        A stack with fewer layers than there are to be distinct ones.
    """
    parts = {name: _parts(name) for name in names}
    numbers: dict[str, set[int]] = {}
    for found in parts.values():
        if found is not None:
            numbers.setdefault(found[0], set()).add(found[1])
    places = {
        stack: {number: index for index, number in enumerate(sorted(own))}
        for stack, own in numbers.items()
    }
    groups: dict[tuple[str, str, int], list[tuple[int, str]]] = {}
    for name in shared:
        found = parts[name]
        if found is None:
            continue
        stack, number, rest = found
        count = len(places[stack])
        if distinct > count:
            raise ValueError(
                f"'{name}' is in one of {count} layers '{stack}', of which there are to be "
                f"{distinct} (distinct_layers); ask for {count} at most, or leave these tensors "
                "out of `tensors`"
            )
        index = places[stack][number]
        key = (stack, rest, group_of(index, count, distinct, pattern))
        groups.setdefault(key, []).append((index, name))
    return [[name for _, name in sorted(own)] for own in groups.values() if len(own) > 1]


def _parts(name: str) -> tuple[str, int, str] | None:
    """What stands before a name's first whole number, the number, and what stands behind it."""
    found = _NUMBER.search(name)
    return (name[: found.start()], int(found[0]), name[found.end() :]) if found else None
