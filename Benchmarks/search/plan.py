"""How much of every experiment is run, and what its `rows` has to work with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import registry
from functions.problem import Aggregate, Problem
from functions.scale import Scale, scale
from records import Job, Record

BUDGET = 60


@dataclass(frozen=True)
class Amount:
    """Seeds per optimiser; optimisers that are not named are left out."""

    budget: int
    #: Names of the functions that are run; None runs all.
    functions: tuple[str, ...] | None
    #: Seeds of our optimiser where each experiment takes its full amount, and elsewhere.
    ours: int
    ours_few: int
    #: Seeds of each peer.
    peers: dict[str, int] = field(default_factory=dict)
    #: Whether the peers run with their own starts too.
    own_starts: bool = False

    def changed(
        self, functions: Sequence[str] | None, seeds: int | None, named: Sequence[str]
    ) -> Amount:
        """The same with other functions, one number of seeds for all, and peers that are named."""
        peers = {name: 1 for name in named if not registry.is_ours(name)} | self.peers
        found = replace(self, peers=peers)
        if functions is not None:
            found = replace(found, functions=tuple(functions))
        if seeds is None:
            return found
        return replace(found, ours=seeds, ours_few=seeds, peers=dict.fromkeys(peers, seeds))


_CHEAP = dict.fromkeys(registry.CHEAP, 10)
AMOUNTS = {
    "quick": Amount(15, ("threshold-2", "basin-4"), 1, 1, dict.fromkeys(registry.CHEAP, 1)),
    "default": Amount(BUDGET, None, 10, 3, {**_CHEAP, "Optuna GP": 3, "authors' EI": 3}),
    "full": Amount(
        BUDGET,
        None,
        10,
        10,
        {
            **_CHEAP,
            "CMA-ES": 10,
            "Optuna TPE": 10,
            "Optuna GP": 10,
            "authors' EI": 10,
            "scikit-optimize": 3,
            "BoTorch log EI": 3,
            "BoTorch log NEI": 3,
        },
        own_starts=True,
    ),
}


@dataclass(frozen=True)
class Plan:
    """The problems, and how much is run."""

    amount: Amount
    set_seed: int
    problems: dict[str, Problem]
    #: Where the scales of the problems are kept.
    scale_folder: Path
    #: Only these optimisers, where they are named.
    only: tuple[str, ...] | None = None

    def scales(self, how: Aggregate = "mean") -> dict[str, Scale]:
        """The scales of the functions, of the merging-like ones where the tasks' scores count."""
        names = self.names(merging=None if how == "mean" else True)
        return {name: scale(self.problems[name], self.scale_folder, how) for name in names}

    def names(self, merging: bool | None = None) -> list[str]:
        """The functions that are run; True takes the merging-like ones."""
        return [
            name
            for name, problem in self.problems.items()
            if (self.amount.functions is None or name in self.amount.functions)
            and (merging is None or problem.merging == merging)
        ]

    def jobs(
        self,
        experiment: str,
        optimisers: dict[str, int],
        functions: Sequence[str],
        variant: str = "",
        budget: int | None = None,
    ) -> list[Job]:
        """All runs of these optimisers, so many seeds each; seed by seed, so that a run that is
        stopped leaves complete seeds."""
        return [
            Job(
                experiment,
                variant,
                name,
                function,
                seed,
                budget or self.amount.budget,
                self.set_seed,
            )
            for seed in range(max(optimisers.values(), default=0))
            for name, seeds in optimisers.items()
            if seed < seeds
            and registry.available(name)
            and (self.only is None or name in self.only)
            for function in functions
        ]

    def current(self, records: Sequence[Record]) -> list[Record]:
        """The records of this plan's problems, and of the optimisers as they are installed.

        Records of peers that are not installed here come from an environment that has them.
        """
        found = []
        for record in records:
            job = Job(*(record[name] for name in Job._fields))
            here = registry.available(job.optimiser)
            known = job.key == record["key"] if here else not registry.is_ours(job.optimiser)
            if known and job.set_seed == self.set_seed and job.function in self.names():
                found.append(record)
        return found
