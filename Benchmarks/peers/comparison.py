"""Runs pairs on inputs, both sides, and judges what is between the results."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters import Adapters, AnyInputs, updates
from differences import Difference, difference, drawn, loaded
from environment import Peers
from pair import TORCH, Pair

import dfmerge

#: By how much slopes of randomised merges of a million elements may differ: five standard errors.
SLOPE = 0.01


@dataclass(frozen=True)
class Row:
    """A line of the table, and of the file."""

    pair: Pair
    what: str
    found: Difference | None
    #: Share of elements (or difference of slopes) that must not be beyond `goal`.
    value: float | None
    unit: str
    goal: float
    seconds: tuple[float | None, float | None]
    verdict: str
    note: str

    @property
    def name(self) -> str:
        """What the file calls it."""
        pair = self.pair
        return f"{pair.method} / {pair.peer} {pair.call}, {pair.variant}, {self.what}"

    def cells(self) -> list[str]:
        """The columns of the table."""
        found = ["-"] * 3
        if self.found:
            shares = (self.found.unequal, self.found.beyond)
            found = [f"{self.found.relative:.1e}", *(f"{100 * share:.2f} %" for share in shares)]
        ours, theirs = ("-" if s is None else f"{s:.3f}" for s in self.seconds)
        verdict = f"{self.verdict}: {self.note}" if self.note else self.verdict
        beside = f"{self.pair.peer} `{self.pair.call}`"
        return [f"`{self.pair.method}`", beside, self.pair.variant, self.what, *found,
                f"{ours}, {theirs}", verdict]  # fmt: skip


class Comparison:
    """All pairs of one environment on one set of inputs."""

    def __init__(
        self, peers: Peers, inputs: dict[tuple[str, str], AnyInputs], folder: Path
    ) -> None:
        self._peers, self._inputs, self._folder = peers, inputs, folder

    def rows(self, pairs: list[Pair]) -> list[Row]:
        """Every pair on every kind and type of its inputs."""
        cases = [
            (pair, self._inputs[kind, dtype], arithmetic)
            for pair in pairs
            for kind in pair.kinds
            for dtype, arithmetic in pair.types
        ]
        jobs = [self._job(number, *case) for number, case in enumerate(cases)]
        possible = [job for job in jobs if not self._peers.problems[job["peer"]]]
        reports = dict(
            zip(
                (job["out"] for job in possible),
                self._peers.run(possible, self._folder) if possible else [],
                strict=True,
            )
        )
        return [
            self._row(case, Path(job["out"]), reports.get(job["out"], {}))
            for case, job in zip(cases, jobs, strict=True)
        ]

    def _job(self, number: int, pair: Pair, inputs: AnyInputs, arithmetic: str) -> dict[str, Any]:
        return {
            "peer": pair.peer,
            "call": pair.call,
            "parameters": pair.parameters,
            "base": str(self._peer_base(pair, inputs) or ""),
            "models": [str(path) for path in inputs.paths[: pair.models]],
            "fishers": [str(p) for p in inputs.fisher_paths[: pair.models]] if pair.fishers else [],
            "grams": [str(p) for p in inputs.gram_paths[: pair.models]] if pair.grams else [],
            "out": str(self._folder / f"theirs-{number}"),
            "arithmetic": arithmetic,
            "dtype": TORCH[inputs.dtype],
        }

    @staticmethod
    def _peer_base(pair: Pair, inputs: AnyInputs) -> Path | None:
        # fusion_bench's functions are given a base where they need none.
        if pair.base or pair.peer == "fusion_bench":
            return inputs.base_path
        return inputs.paths[0] if pair.first_is_base else None

    def _row(self, case: tuple[Pair, AnyInputs, str], out: Path, report: dict[str, Any]) -> Row:
        pair, inputs, arithmetic = case
        what = f"{inputs.kind} {inputs.dtype}"
        coarse = inputs.dtype == "BF16" and arithmetic == "bfloat16"
        what += ", arithmetic in BF16" if coarse else ""
        try:
            ours, seconds = self._ours(pair, inputs, pair.options)
        except dfmerge.Error as error:
            return Row(pair, what, None, None, "", 0, (None, None), "FAILED", str(error)[:200])
        times = (seconds, report.get("seconds"))
        if times[1] is None:
            problem = report.get("problem") or self._peers.problems[pair.peer] or "no result"
            return Row(pair, what, None, None, "", 0, times, "not run", problem)
        adapters = isinstance(inputs, Adapters)
        theirs = updates(out) if adapters else loaded(out / "merged.safetensors")
        if pair.drawn is not None:
            return self._drawn(pair, inputs, what, ours, theirs, times)
        found = difference(ours, theirs, inputs, pair.by_tensor, pair.tolerance)
        return judged(pair, inputs, what, coarse, found, times)

    def _ours(self, pair: Pair, inputs: AnyInputs, options: dict[str, Any]) -> tuple[Any, float]:
        """Merge twice from files to a file, as the peer does; the second call is timed."""
        adapters = isinstance(inputs, Adapters)
        out = self._folder / ("ours" if adapters else "ours.safetensors")
        for _ in range(2):
            start = time.perf_counter()
            dfmerge.merge(
                inputs.base_path if pair.base else None,
                inputs.paths[: pair.models],
                pair.method,
                options=options,
                fishers=inputs.fisher_paths[: pair.models] if pair.fishers else None,
                grams=inputs.gram_paths[: pair.models] if pair.grams else None,
                out=out,
                progress=False,
                threads=2,
            )
            seconds = time.perf_counter() - start
        return updates(out) if adapters else loaded(out), seconds

    def _drawn(
        self,
        pair: Pair,
        inputs: AnyInputs,
        what: str,
        ours: Any,
        theirs: Any,
        times: tuple[float | None, float | None],
    ) -> Row:
        """Compare what randomised merges keep and where they go on average."""
        whole, _ = self._ours(pair, inputs, {**pair.options, **(pair.drawn or {})})
        a, b = (
            drawn(side["large"], whole["large"], inputs.base["large"]) for side in (ours, theirs)
        )
        note = f"kept {a.moved:.4f} and {b.moved:.4f}, slope {a.slope:.4f} and {b.slope:.4f}"
        value = max(abs(a.moved - b.moved), abs(a.slope - b.slope))
        if value > SLOPE and pair.explained:
            note = f"{note}; {pair.explained[0].sentence}"
            return Row(pair, what, None, 0, "", SLOPE, times, "explained", note)
        verdict = "equal in expectation" if value <= SLOPE else "DIFFERS"
        return Row(pair, what, None, value, "", SLOPE, times, verdict, note)


def judged(
    pair: Pair,
    inputs: AnyInputs,
    what: str,
    coarse: bool,
    found: Difference,
    times: tuple[float | None, float | None],
) -> Row:
    """Whether all of the difference is rounding, or has a reason, or neither."""
    dtype = f"{inputs.dtype}, arithmetic in BF16" if coarse else inputs.dtype
    if not found.tensors:
        return Row(pair, what, found, 0, "%", 0, times, "equal", "")
    left, most, sentences = list(found.tensors), 0.0, []
    for reason in pair.explanations(inputs.kind, dtype):
        kept = found.unexplained(left, reason.tensors)
        if len(kept) < len(left):
            left, most = kept, max(most, reason.share)
            sentences.append(reason.sentence)
    if not left and found.beyond <= most:
        return Row(pair, what, found, 0, "%", 0, times, "explained", "; ".join(sentences))
    names = ", ".join(f"{n} {100 * found.tensors[n]:.3g} %" for n in (left or found.tensors))
    value = 100 * found.beyond
    return Row(pair, what, found, value, "%", 0, times, "DIFFERS", names[:300])
