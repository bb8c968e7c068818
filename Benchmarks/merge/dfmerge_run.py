"""One merge by DFMerge in a process of its own; prints what it took as JSON.

    python dfmerge_run.py '{"base": ..., "models": [...], "method": ..., "out": ..., ...}'

The object holds the arguments of `dfmerge.merge`. Reported beside the seconds of the call: the
growth of private memory over what the process had before it, and the bytes that it read and wrote.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from process import PeakSampler, status

import dfmerge


def transferred() -> dict[str, int]:
    """Bytes that this process has passed through read and write calls."""
    lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    return {name: int(value) for name, value in (line.split(": ") for line in lines)}


def main() -> None:
    """Merge once."""
    arguments = json.loads(sys.argv[1])
    base, models = arguments.pop("base"), arguments.pop("models")
    # Loads the library, whose own memory is not the merge's.
    dfmerge.methods()
    before, io = status("RssAnon"), transferred()
    start = time.perf_counter()
    with PeakSampler() as sampler:
        dfmerge.merge(base, models, progress=False, **arguments)
        seconds = time.perf_counter() - start
    after = transferred()
    print(
        json.dumps(
            {
                "seconds": seconds,
                "peak": sampler.peak - before,
                "read": after["rchar"] - io["rchar"],
                "written": after["wchar"] - io["wchar"],
            }
        )
    )


if __name__ == "__main__":
    main()
