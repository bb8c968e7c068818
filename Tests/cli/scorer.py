"""A score command for the tests, quick to start: the standard library only.

    scorer.py [--tasks] [--fail-at N ...] CANDIDATE

Prints how near the candidate's `model.norm.weight` is to base + 0.3 (maths - base) + 0.6 (code -
base), as one score or as one for each of two tasks.
"""

from __future__ import annotations

import json
import os
import struct
import sys
from pathlib import Path


def norm(path: Path) -> list[float]:
    data = (path / "model.safetensors" if path.is_dir() else path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    start, end = json.loads(data[8 : 8 + length])["model.norm.weight"]["data_offsets"]
    body = data[8 + length :]
    return list(struct.unpack(f"<{(end - start) // 4}f", body[start:end]))


def main() -> None:
    arguments = sys.argv[1:]
    candidate = Path(arguments[-1])
    if f"--fail-at={os.environ['DFMERGE_TRIAL']}" in arguments:
        sys.exit("no luck")
    base, maths, code = (norm(Path(name)) for name in ("base", "maths", "code"))
    found = norm(candidate)
    errors = [
        x - (b + 0.3 * (m - b) + 0.6 * (c - b))
        for x, b, m, c in zip(found, base, maths, code, strict=True)
    ]
    score = -sum(error * error for error in errors)
    print("loading ... done")
    if "--tasks" in arguments:
        print(json.dumps({"scores": {"low": score, "high": score + 1}}))
    else:
        print(json.dumps({"score": score}))


if __name__ == "__main__":
    main()
