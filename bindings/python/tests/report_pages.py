"""Results to report on, and a reader of the pages that come of them."""

from __future__ import annotations

import math
from html.parser import HTMLParser
from typing import Any


def result(
    models: list[str],
    tasks: list[str],
    trials: int,
    *,
    exponent: bool = True,
    groups: list[str] | None = None,
) -> Any:
    """A complete result in format 2; the score has its maximum in the middle of the box."""
    found = []
    for number in range(trials):
        at = [0.5 + 0.5 * math.sin(1.7 * number + i) / (1 + 0.2 * number) for i in range(9)]
        scores = {task: 0.9 - 0.1 * abs(at[i % 9] - 0.5) for i, task in enumerate(tasks)}
        value = sum(scores.values()) / max(len(scores), 1)
        coefficients: dict[str, Any] = {m: at[i % 9] for i, m in enumerate(models)}
        if groups:
            coefficients = {
                model: {group: at[(i + j) % 9] for j, group in enumerate(groups)}
                for i, model in enumerate(models)
            }
        found.append(
            {
                "number": number,
                "origin": "initial" if number < 3 else "informed" if number < 4 else "search",
                "coefficients": coefficients,
                "exponent": at[8] if exponent else None,
                "value": value,
                "variance": None,
                "scores": scores,
                "variances": dict.fromkeys(tasks),
                "subset": None,
                "mean": value - 0.001,
                "sd": 0.004,
                "state": "complete",
                "seconds": {"evaluate": 1.5, "fisher": 0.5, "merge": 0.01, "optimizer": 0.02},
            }
        )
    axes = [f"{m} · {g}" for m in models for g in groups] if groups else list(models)
    axes += ["exponent"] if exponent else []
    best = found[-1]
    grid = [i / 32 for i in range(33)]
    over = {"name": "average", "number": 0, "value": 0.8, "difference": 0.04}
    return {
        "format": 2,
        "library": "0.1.0",
        "options": {"preset": "default", "trials": trials, "bounds": [0, 1], "floors": {}},
        "models": models,
        "groups": [{"name": name, "tensors": 3, "elements": 9} for name in groups or []] or None,
        "tasks": tasks,
        "trials": found,
        "cost": float(trials),
        "observations": 0,
        "ended": "trials",
        "best": {
            "number": best["number"],
            "by": "posterior_mean",
            "interval": [0.8, 0.95],
            "feasible": True,
            **{k: best[k] for k in ("coefficients", "exponent", "value", "scores")},
        },
        "margin": {
            "average": {**over, "interval": [0.01, 0.07]},
            "baseline": {**over, "name": "task arithmetic 0.3", "interval": [-0.01, 0.05]},
        },
        "pareto": front(found) if len(tasks) > 1 else None,
        "slices": [
            {
                "name": name,
                "at": grid,
                "mean": [0.9 - (x - 0.5) ** 2 for x in grid],
                "sd": [0.01] * 33,
            }
            for name in axes
        ],
        "length_scales": {name: 0.3 + i for i, name in enumerate(axes)},
        "importance": {name: 1 / len(axes) for name in axes},
        "time": {"total": 4000.0, "callbacks": 3990.0, "outside_share": 0.0025},
        "warnings": ["a journal line was repaired"],
    }


def front(trials: list[Any]) -> list[int]:
    """Numbers of the trials that no other dominates."""

    def beats(a: Any, b: Any) -> bool:
        pairs = [(a["scores"][t], b["scores"][t]) for t in a["scores"]]
        return all(x >= y for x, y in pairs) and any(x > y for x, y in pairs)

    return [t["number"] for t in trials if not any(beats(other, t) for other in trials)]


class Page(HTMLParser):
    """Elements, attributes and text of a page; checks that elements are closed in order."""

    VOID = frozenset({"meta", "br", "path", "use", "rect"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())
