"""What calls and callbacks cost from Python, as a JSON object; run in a process of its own."""

from __future__ import annotations

import ctypes
import json
import statistics
import time
from collections.abc import Callable

import numpy as np

import dfmerge
from dfmerge._loader import lib

CALLS, BLOCKS, TRIALS = 1000, 101, 500


def nanoseconds(call: Callable[[], object]) -> float:
    """Of one call, the loop around it included: the median over blocks of calls.

    A block in which other programs ran does not count.
    """

    def block() -> float:
        start = time.perf_counter_ns()
        for _ in range(CALLS):
            call()
        return (time.perf_counter_ns() - start) / CALLS

    return statistics.median(block() for _ in range(BLOCKS))


def handle() -> None:
    """Make and free a handle."""
    made = ctypes.c_void_p()
    lib.dfm_cancel_create(ctypes.byref(made))
    lib.dfm_cancel_free(made)


def error() -> None:
    """Fail, and fetch the message."""
    lib.dfm_cancel_request(None)
    lib.dfm_last_error_message()


def evaluations() -> list[float]:
    """Seconds around each call of an evaluation that does nothing, by the search's own clock."""
    base = {"w": np.zeros(4, np.float32)}
    search = dfmerge.Search(
        {"w": np.zeros(4, np.float32)},
        base,
        {"model": {"w": np.ones(4, np.float32)}},
        lambda trial: 0.5,
        tasks=["score"],
        fisher_mode="none",
        trials=TRIALS,
        initial=TRIALS,
        threads=1,
        best_by="observed",
        progress=False,
    )
    return [trial["seconds"]["evaluate"] for trial in search.run().to_dict()["trials"]]


if __name__ == "__main__":
    print(
        json.dumps(
            {
                "bare": nanoseconds(lib.dfm_abi_version),
                "handle": nanoseconds(handle),
                "error": nanoseconds(error),
                "evaluations": evaluations(),
            }
        )
    )
