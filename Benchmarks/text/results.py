"""The figures that have been measured so far, kept in one JSON file that every run adds to."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

Entry = dict[str, Any]
Scores = dict[str, float]


class Results:
    """Entries by key: ``average``, ``fisher/2``, ``paper/0`` (method, then draw or seed).

    A file holds figures of one set of checkpoints; `fingerprint` tells them apart.
    """

    def __init__(self, path: Path, fingerprint: str) -> None:
        self.path = path
        self.fingerprint = fingerprint
        self.entries = self._stored()

    def __contains__(self, key: str) -> bool:
        return key in self.entries

    def put(self, key: str, val: Scores, test: Scores, **details: Any) -> None:
        """Add an entry and write the file, whole or not at all.

        Several runs may measure into one file, each its own methods or seeds.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path.with_suffix(".lock"), "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.entries = {**self._stored(), key: {"val": val, "test": test, **details}}
            partial = self.path.with_suffix(".partial")
            text = json.dumps({"fingerprint": self.fingerprint, "entries": self.entries}, indent=1)
            partial.write_text(text + "\n", encoding="utf-8")
            os.replace(partial, self.path)
        print(f"  {key}: validation {100 * mean(val):.2f}, test {100 * mean(test):.2f}", flush=True)

    def _stored(self) -> dict[str, Entry]:
        """What the file holds by now."""
        if not self.path.is_file():
            return {}
        stored = json.loads(self.path.read_text(encoding="utf-8"))
        if stored["fingerprint"] != self.fingerprint:
            raise SystemExit(
                f"{self.path} holds figures of other checkpoints (other data, recipe or machine); "
                "move it and its journals away, or pass another --cache"
            )
        entries: dict[str, Entry] = stored["entries"]
        return entries

    def of(self, method: str) -> list[Entry]:
        """The method's entries: one, or one per draw or seed, in that order."""
        if method in self.entries:
            return [self.entries[method]]
        keys = [key for key in self.entries if key.rpartition("/")[0] == method]
        return [self.entries[key] for key in sorted(keys, key=lambda k: int(k.rpartition("/")[2]))]


def mean(scores: Scores) -> float:
    """Unweighted mean over tasks."""
    return sum(scores.values()) / len(scores)
