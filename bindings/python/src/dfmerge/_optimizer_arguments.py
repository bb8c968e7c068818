"""Arguments of an optimizer: options, parameters, points, numbers."""

from __future__ import annotations

import ctypes
import math
import operator
from collections.abc import Mapping, Sequence
from typing import Any

from ._handles import parsed
from ._loader import lib
from ._optimizer_trial import number


def optimizer_options() -> list[dict[str, Any]]:
    """Every option of an optimizer: name, type, range, default and meaning."""
    listing: list[dict[str, Any]] = parsed(lib.dfm_optimizer_options_describe)
    return listing


def default_of(option: str) -> Any:
    """The default of an option."""
    return next(found["default"] for found in optimizer_options() if found["name"] == option)


def doubles(values: Sequence[float]) -> ctypes.Array[ctypes.c_double]:
    """A C array."""
    return (ctypes.c_double * len(values))(*values)


def integer(value: Any, what: str) -> int:
    """A whole number that fits in 64 bits; ctypes would cut off the rest."""
    try:
        found = operator.index(value)
    except TypeError:
        raise TypeError(f"{what} is {value!r}; pass a whole number") from None
    if not -(2**63) <= found < 2**63:
        raise ValueError(f"{what} is {found}, which does not fit in 64 bits")
    return found


def exceptions(value: Any, what: str) -> tuple[type[Exception], ...]:
    """Exception types from one or several, as ``except`` takes them."""
    found = (value,) if isinstance(value, type) else value
    try:
        found = tuple(found)
    except TypeError:
        found = (value,)
    for kind in found:
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            raise TypeError(
                f"{what} is {value!r}, but {kind!r} is no subclass of Exception; pass an "
                "exception type or a tuple of them"
            )
    return found


def interval_of_each(
    parameters: Mapping[str, Sequence[float]] | Sequence[str],
) -> dict[str, tuple[float, float]]:
    """Name -> (low, high); the library checks names and order."""
    if isinstance(parameters, (str, bytes)):
        raise TypeError(f"parameters is the text {parameters!r}; pass a dict or a list of names")
    if not isinstance(parameters, Mapping):
        names = list(parameters)
        if len(set(names)) != len(names):
            raise ValueError(f"parameters has a name twice: {names}")
        parameters = dict.fromkeys(names, (0.0, 1.0))
    if not parameters:
        raise ValueError("parameters is empty; name one or more")
    found: dict[str, tuple[float, float]] = {}
    for name, interval in parameters.items():
        if not isinstance(name, str) or not name or "\0" in name:
            raise TypeError(f"parameters has the name {name!r}; names are texts without NUL")
        try:
            low, high = interval
        except (TypeError, ValueError):
            raise TypeError(f"parameter {name!r} is {interval!r}; give (low, high)") from None
        ends = number(low, f"low of {name!r}"), number(high, f"high of {name!r}")
        if not (ends[0] < ends[1] and all(map(math.isfinite, ends))):
            raise ValueError(f"parameter {name!r} is {ends}; low must be below high, both finite")
        found[name] = ends
    return found


def point_of(params: Mapping[str, float], names: Sequence[str]) -> list[float]:
    """The values of a point in the parameters' order."""
    if not isinstance(params, Mapping):
        raise TypeError(f"params is {params!r}; pass a dict with {list(names)}")
    if set(params) != set(names):
        raise ValueError(f"params has {sorted(map(str, params))}; the parameters are {list(names)}")
    return [number(params[name], f"the value of {name!r}") for name in names]
