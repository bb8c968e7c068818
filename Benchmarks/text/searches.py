"""The rows that search: DF-Merge in four ways, and two methods of more than one number."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bench import Bench
from curves import journal
from data import scores
from finetune import load
from fishers import estimator
from process import PeakSampler, status

import dfmerge

TRIALS, FEW_TRIALS = 60, 24


@dataclass(frozen=True)
class Method:
    """One way to search; `samples` is the number of rows per task behind a Fisher."""

    title: str
    options: dict[str, Any] = field(default_factory=dict)
    samples: int | None = None
    trials: int = TRIALS

    @property
    def needs(self) -> str:
        """The method of the library that it searches."""
        return str(self.options.get("method", "df_merge"))


SEARCHES: dict[str, Method] = {
    "paper": Method("DF-Merge, the paper's preset", {"preset": "paper"}, samples=30),
    "no_fisher": Method("search without Fisher", {"fisher_mode": "none"}),
    "static": Method("DF-Merge, static Fisher", {"fisher_mode": "static"}, samples=100),
    "default": Method("DF-Merge, our default", samples=100),
    "ties_search": Method(
        "TIES, density and lambda searched",
        {"method": "ties", "space": {"density": [0.05, 0.95], "lambda": [0.5, 2.5]}},
        trials=FEW_TRIALS,
    ),
    "dppa_search": Method(
        "DPPA, amplifications searched",
        {"method": "dppa", "space": {"alpha9": [0.0, 4.0], "alpha8": [0.0, 2.0]}},
        trials=FEW_TRIALS,
    ),
}


def available() -> list[str]:
    """The searches whose method this library has."""
    have = {method["id"] for method in dfmerge.methods()}
    return [name for name, method in SEARCHES.items() if method.needs in have]


def search(bench: Bench, method: str, seeds: Sequence[int]) -> None:
    """Run the search once per seed; what was measured before is not run again.

    An interrupted search continues from its journal.
    """
    for seed in seeds:
        key = f"{method}/{seed}"
        if key not in bench.results:
            print(f"searching: {SEARCHES[method].title}, seed {seed} ...", flush=True)
            _run(bench, key, SEARCHES[method], seed)


def _run(bench: Bench, key: str, method: Method, seed: int) -> None:
    """Search on validation, then score the chosen merge on test."""

    def evaluate(trial: dfmerge.Trial) -> dict[str, float]:
        # No variances: every candidate meets the same texts, so its score would not change if it
        # were measured again. How well the texts stand for others is common to all candidates; to
        # call it noise would smooth real differences away.
        return scores(bench.module, bench.tasks, "val")

    name = key.replace("/", "-")
    path = journal(bench.cache, key.partition("/")[0], seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    before = status("RssAnon")
    with PeakSampler() as sampler:
        result = dfmerge.Search(
            bench.module,
            bench.base_path,
            bench.model_paths,
            evaluate,
            fisher=estimator(bench, method.samples, seed) if method.samples else None,
            trials=method.trials,
            seed=seed,
            journal=path,
            **method.options,
        ).run()
    seconds = time.perf_counter() - start
    # The test figures are those of the saved checkpoint: what a user would get.
    merged = bench.cache / "merged" / f"{name}.safetensors"
    merged.parent.mkdir(parents=True, exist_ok=True)
    result.save(merged)
    figures = result.to_dict()
    bench.record(
        key,
        load(merged),
        best=figures["best"],
        scores=[trial["value"] for trial in result.trials],
        time=figures["time"],
        seconds=seconds,
        evaluations=len(result.trials),
        # All of it: the search, the Fisher estimator's gradients, the evaluations.
        cost={"peak": sampler.peak - before},
        warnings=figures["warnings"],
    )
    # 90 MB each, and the journal makes it again in seconds.
    merged.unlink()
