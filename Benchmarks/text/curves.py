"""Best validation score so far, evaluation by evaluation, of every recorded search."""

from __future__ import annotations

import json
from itertools import accumulate
from pathlib import Path

from results import Results

#: Scores that differ by less are equal: they are sums of the same counts in another order.
TOLERANCE = 1e-9


def best_so_far(results: Results, method: str, seed: int) -> list[float]:
    """One value per evaluation, a failed one repeating the value before it.

    Empty where the search was recorded without its scores and its journal is gone.
    """
    key = f"{method}/{seed}"
    scores = results.entries.get(key, {}).get("scores")
    if scores is None:
        scores = _of_journal(journal(results.path.parent, method, seed))
    floor = float("-inf")
    return list(accumulate((floor if s is None else s for s in scores), max))


def reached(curve: list[float], score: float) -> int:
    """Evaluations until the curve is at the score; one more than there are where it never is."""
    for number, value in enumerate(curve, start=1):
        if value >= score - TOLERANCE:
            return number
    return len(curve) + 1


def journal(cache: Path, method: str, seed: int) -> Path:
    """Where a search keeps its journal."""
    return cache / "journals" / f"{method}-{seed}.jsonl"


def _of_journal(path: Path) -> list[float | None]:
    if not path.is_file():
        return []
    scores: dict[int, float | None] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            event = json.loads(line)["event"]
        except (json.JSONDecodeError, KeyError):
            continue  # The line of a crash, which the next run of the search repairs.
        if event["type"] == "result":
            scores[event["number"]] = event.get("value")
    return [scores[number] for number in sorted(scores)]
