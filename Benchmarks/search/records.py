"""Runs: what is to run, and what ran, kept in one file of JSON lines per experiment."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import registry

#: One finished run: its key's fields, and what its experiment measured.
Record = dict[str, Any]


class Job(NamedTuple):
    """One run that an experiment asks for."""

    experiment: str
    #: What differs between runs of one optimiser: a number of workers, an aggregate, ...
    variant: str
    optimiser: str
    function: str
    seed: int
    budget: int
    set_seed: int

    @property
    def run_seed(self) -> int:
        """Different for every function and seed, the same for every optimiser and variant."""
        return zlib.crc32(f"{self.set_seed} {self.function} {self.seed}".encode()) % (2**31 - 10)

    @property
    def key(self) -> str:
        """Equal keys are equal runs."""
        return json.dumps([*self, registry.version(self.optimiser)])


@dataclass(frozen=True)
class Store:
    """The records of one experiment; a run that was killed loses the runs it was in."""

    path: Path

    def load(self) -> dict[str, Record]:
        """Every record by its job's key."""
        found: dict[str, Record] = {}
        if self.path.is_file():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                # The last line is incomplete where the machine went down.
                try:
                    record = json.loads(line)
                except json.JSONDecodeError:
                    continue
                found[record["key"]] = record
        return found

    def add(self, job: Job, result: Record) -> None:
        """Append one run."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "a", encoding="utf-8") as file:
            record = {"key": job.key, **job._asdict(), **result}
            file.write(json.dumps(record, separators=(",", ":")) + "\n")


def select(records: Iterable[Record], **fields: Any) -> list[Record]:
    """The records that have these fields; a tuple of values admits each of them."""

    def fits(record: Record, name: str, value: Any) -> bool:
        return record[name] in value if isinstance(value, tuple) else record[name] == value

    return [r for r in records if all(fits(r, name, value) for name, value in fields.items())]


def rounded(values: Sequence[float], digits: int = 9) -> list[float]:
    """Values as they are stored."""
    return [float(f"{value:.{digits}g}") for value in values]
