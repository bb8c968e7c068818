"""Candidates, groups and observations as Python says them, in the library's form."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from ._callbacks import by_model
from ._result import Result


def flat(
    coefficients: Mapping[str, Any], models: Sequence[str], groups: Sequence[str]
) -> list[float]:
    """Coefficients by model, or by model and group, as the library's list."""
    if set(coefficients) != set(models):
        raise ValueError(
            f"coefficients are given for {sorted(coefficients)}, the models are {sorted(models)}"
        )
    values: list[float] = []
    for model in models:
        own = coefficients[model]
        if not isinstance(own, Mapping):
            values += [float(own)] * len(groups)
            continue
        if set(own) != set(groups):
            raise ValueError(
                f"the coefficients of {model!r} are given for the groups {sorted(own)}; this "
                f"search has {list(groups)}"
            )
        values += [float(own[group]) for group in groups]
    return values


def group_list(groups: Any) -> Any:
    """The option ``groups`` with the order of a dict, which JSON objects do not have."""
    if not isinstance(groups, Mapping):
        return groups
    return [
        {"name": name, "patterns": [patterns] if isinstance(patterns, str) else list(patterns)}
        for name, patterns in groups.items()
    ]


def candidates(given: Sequence[Any]) -> list[Any]:
    """The option ``enqueue``: a result stands for its best candidate."""
    if isinstance(given, (str, bytes, Mapping, Result)):
        raise TypeError(f"enqueue is {given!r}; pass a list of candidates")
    return [
        {"coefficients": item.coefficients, "exponent": item.exponent}
        if isinstance(item, Result)
        else item
        for item in given
    ]


def observed(source: Any, models: Sequence[str], tasks: Sequence[str]) -> list[Any]:
    """The option ``observations``: the complete trials of a result or of a journal, or a list."""
    if isinstance(source, Result):
        data = source.to_dict()
        return _checked(data["trials"], data["models"], data["tasks"], models, tasks, "the result")
    if isinstance(source, (str, os.PathLike)):
        path = os.fspath(source)
        header, trials = _journal(path)
        return _checked(
            trials, header["models"], header["options"]["tasks"], models, tasks,
            f"the journal {path!r}",
        )  # fmt: skip
    if isinstance(source, (bytes, Mapping)):
        raise TypeError(
            f"observations is a {type(source).__name__}; pass a result, the path of a journal or a "
            "list of dicts"
        )
    return list(source)


def _checked(
    trials: Sequence[Mapping[str, Any]],
    found_models: Sequence[str],
    found_tasks: Sequence[str],
    models: Sequence[str],
    tasks: Sequence[str],
    what: str,
) -> list[dict[str, Any]]:
    """The complete trials, with the scores of this search's tasks."""
    if set(found_models) != set(models):
        raise ValueError(
            f"observations: {what} is of the models {list(found_models)}, this search of "
            f"{list(models)}"
        )
    if missing := [task for task in tasks if task not in found_tasks]:
        raise ValueError(
            f"observations: {what} has the tasks {list(found_tasks)}, and none of {missing}"
        )
    return [
        {
            "coefficients": trial["coefficients"],
            "exponent": trial["exponent"],
            "scores": {task: trial["scores"][task] for task in tasks},
            "variances": {task: trial["variances"][task] for task in tasks},
        }
        for trial in trials
        if trial["state"] == "complete"
    ]


def _journal(path: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The first event of a journal and its trials as a result states them."""
    events = list(_events(path))
    if not events or events[0].get("type") != "search" or events[0].get("format") != 2:
        raise ValueError(f"observations: {path!r} is not the journal of a search")
    header, start = events[0], events[0]
    trials: list[dict[str, Any]] = []
    for event in events:
        if event["type"] == "trial":
            start = event
        elif event["type"] == "result" and event["state"] == "complete":
            by_task = {
                key: dict(zip(header["options"]["tasks"], event[key], strict=True))
                for key in ("scores", "variances")
            }
            coefficients = by_model(start["coefficients"], header["parameters"], header["groups"])
            trials.append({**start, **event, **by_task, "coefficients": coefficients})
    return header, trials


def _events(path: str) -> Any:
    """The events of a journal's whole lines; a torn last one is left out."""
    with open(path, "rb") as file:
        lines = file.read().split(b"\n")
    for number, line in enumerate(lines):
        head, payload = line[:26], line[26:-1]
        if head[:8] == b'{"crc":"' and head[8:16] == b"%08x" % zlib.crc32(payload):
            yield json.loads(payload)
        elif number < len(lines) - 1:
            raise ValueError(
                f"observations: line {number + 1} of {path!r} is damaged, or the file is no journal"
            )
