"""Runs jobs in a few processes, with a progress bar; Ctrl-C stops it and keeps what is done."""

from __future__ import annotations

import importlib
import logging
import multiprocessing
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path

from functions.problem import Aggregate, Problem
from functions.scale import scale
from functions.suite import problems
from records import Job, Record, Store
from tqdm import tqdm

#: One thread per process: the processes share the cores, and times are of one thread.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


#: A problem's name, and the aggregate of its scores whose optimum is looked for.
Optimum = tuple[str, Aggregate]
#: A job and its record; None for what is kept elsewhere.
Result = tuple[Job, Record] | None


def run(
    jobs: Sequence[Job], optima: Sequence[Optimum], set_seed: int, folder: Path, processes: int
) -> None:
    """Find the optima that the cache does not hold, and run the jobs without a record."""
    cache = cache_folder(folder)
    stores = {job.experiment: Store(folder / f"{job.experiment}.jsonl") for job in jobs}
    known = {name: store.load() for name, store in stores.items()}
    tasks: list[Callable[[], Result]] = [
        partial(_find, name, how, set_seed, cache)
        for name, how in optima
        if not (scale_folder(cache, set_seed) / f"{name}-{how}.json").is_file()
    ]
    tasks += [partial(_run, job, cache) for job in jobs if job.key not in known[job.experiment]]
    for result in _results(tasks, processes):
        if result is not None:
            job, record = result
            stores[job.experiment].add(job, record)


def _results(tasks: Sequence[Callable[[], Result]], processes: int) -> Iterator[Result]:
    if not tasks:
        return
    for name in THREADS:
        os.environ[name] = "1"
    context = multiprocessing.get_context("spawn")
    # A log file gets a line now and then.
    interval = 0.1 if sys.stderr.isatty() else 60.0
    # Leaving the blocks, by Ctrl-C too, ends the processes. One process is made the same way: the
    # libraries read their numbers of threads when they are loaded.
    with (
        context.Pool(processes, _prepare) as pool,
        tqdm(total=len(tasks), unit="run", smoothing=0.05, mininterval=interval) as bar,
    ):
        for result in pool.imap_unordered(_call, tasks):
            yield result
            bar.update()


def _call(task: Callable[[], Result]) -> Result:
    return task()


def _prepare() -> None:
    # Ctrl-C reaches the whole group of processes; the parent answers it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _quiet()


def _quiet() -> None:
    """Peers warn about scores and fits that a run of 60 evaluations is full of."""
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)


@lru_cache
def _problems(set_seed: int, cache: Path) -> dict[str, Problem]:
    return problems(set_seed, cache)


def _run(job: Job, cache: Path) -> Result:
    experiment = importlib.import_module(f"experiments.{job.experiment}")
    return job, experiment.run(job, _problems(job.set_seed, cache)[job.function])


def _find(name: str, how: Aggregate, set_seed: int, cache: Path) -> Result:
    scale(_problems(set_seed, cache)[name], scale_folder(cache, set_seed), how)
    return None


def scale_folder(cache: Path, set_seed: int) -> Path:
    """Where the scales of a set of problems are kept."""
    return cache / f"scales-{set_seed}"


def cache_folder(folder: Path) -> Path:
    """Where trained networks and the scales of the problems are kept."""
    return folder / "cache"
