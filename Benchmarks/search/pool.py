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
from functools import cache
from pathlib import Path
from typing import Any

from functions.problem import Aggregate, Problem
from functions.scale import scale
from functions.suite import problems
from records import Job, Record, Store
from tqdm import tqdm

#: One thread per process: the processes share the cores, and times are of one thread.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def run(jobs: Sequence[Job], folder: Path, processes: int) -> None:
    """Run the jobs that the folder holds no record of."""
    stores = {job.experiment: Store(folder / f"{job.experiment}.jsonl") for job in jobs}
    known = {name: store.load() for name, store in stores.items()}
    missing = [(job, folder) for job in jobs if job.key not in known[job.experiment]]
    for job, result in _results(_work, missing, "run", processes):
        stores[job.experiment].add(job, result)


def measure_scales(
    names: Sequence[tuple[str, Aggregate]], set_seed: int, folder: Path, processes: int
) -> None:
    """Find the optima of problems, so that their scales are in the cache."""
    cache = cache_folder(folder)
    missing = [
        (name, how, set_seed, cache)
        for name, how in names
        if not (scale_folder(cache, set_seed) / f"{name}-{how}.json").is_file()
    ]
    for _ in _results(_scale, missing, "optimum", processes):
        pass


def _results(
    work: Callable[[Any], Any], tasks: Sequence[Any], unit: str, processes: int
) -> Iterator[Any]:
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
        tqdm(total=len(tasks), unit=unit, smoothing=0.05, mininterval=interval) as bar,
    ):
        for result in pool.imap_unordered(work, tasks):
            yield result
            bar.update()


def _prepare() -> None:
    # Ctrl-C reaches the whole group of processes; the parent answers it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _quiet()


def _quiet() -> None:
    """Peers warn about scores and fits that a run of 60 evaluations is full of."""
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)


@cache
def _problems(set_seed: int, cache_folder: Path) -> dict[str, Problem]:
    return problems(set_seed, cache_folder)


def _work(task: tuple[Job, Path]) -> tuple[Job, Record]:
    job, folder = task
    experiment = importlib.import_module(f"experiments.{job.experiment}")
    found = _problems(job.set_seed, cache_folder(folder))
    return job, experiment.run(job, found[job.function])


def _scale(task: tuple[str, Aggregate, int, Path]) -> None:
    name, how, set_seed, cache = task
    scale(_problems(set_seed, cache)[name], scale_folder(cache, set_seed), how)


def scale_folder(cache: Path, set_seed: int) -> Path:
    """Where the scales of a set of problems are kept."""
    return cache / f"scales-{set_seed}"


def cache_folder(folder: Path) -> Path:
    """Where trained networks and the scales of the problems are kept."""
    return folder / "cache"
