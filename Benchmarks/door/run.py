"""What the doors of the library cost: callbacks, calls, handles, importing, loading.

    python Benchmarks/door/run.py [--out FILE]

A callback's round trip is what the search itself measures around an evaluation that does nothing
(`seconds.evaluate` of each trial): from the library into the host and back, with the conversions on
both sides and one reading of the clock, which is not taken off; the mean of the middle half of the
trials of a search. Each figure is the median of seven processes;
importing is a whole Python process minus one that does nothing, in turns. Writes a list of {"name",
"value", "unit", "goal", "meets"}.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent / "merge"))

# Not at the top: the line above is what makes it importable.
from results import REPEATS, Results, alternated, machine, median  # noqa: E402

OPENED, IMPORTED = 30, 31


def main() -> int:
    """Print the table and write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("build/bench/door.json"))
    given = parser.parse_args()
    library = ROOT / "build/lib/libdfmerge.so"
    results = Results(given.out)
    results.heading(f"The cost of the doors, {machine()}")
    results.load("before")
    with tempfile.TemporaryDirectory() as folder:
        from_c(results, library, Path(folder))
        opening(results, library, Path(folder))
    from_python(results)
    importing(results)
    results.load("after")
    return results.finish()


def from_c(results: Results, library: Path, folder: Path) -> None:
    """Calls and callbacks of a C program."""
    flags = [f"-I{ROOT / 'include'}", str(library), f"-Wl,-rpath,{library.parent}"]
    program = compiled(HERE / "door.c", folder, *flags)
    runs = [report(str(program)) for _ in range(REPEATS)]
    trips = [
        round_trip([trial["seconds"]["evaluate"] for trial in run["search"]["trials"]])
        for run in runs
    ]
    results.add("C: round trip of an empty callback", median(trips) * 1e9, "ns", at_most=100)
    for key, name in [
        ("bare", "C: call without arguments (dfm_abi_version)"),
        ("checked", "C: call that checks a handle (dfm_cancel_reset)"),
        ("handle", "C: handle made and freed (dfm_cancel)"),
        ("error", "C: call that fails, and its message"),
        ("clock", "C: one reading of the clock, for comparison"),
    ]:
        results.add(name, median(run[key] for run in runs), "ns")


def opening(results: Results, library: Path, folder: Path) -> None:
    """Loading, each time in a process that has done nothing else, with a warm page cache."""
    program = compiled(HERE / "open.c", folder, "-ldl")
    times = [report(str(program), str(library))["milliseconds"] for _ in range(1 + OPENED)][1:]
    results.add("C: dlopen, page cache warm", median(times), "ms", at_most=20)


def from_python(results: Results) -> None:
    """The same calls by way of the Python package."""
    runs = [report(sys.executable, str(HERE / "from_python.py")) for _ in range(REPEATS)]
    trips = [round_trip(run["evaluations"]) for run in runs]
    name = "Python: round trip of an empty callback"
    results.add(name, median(trips) * 1e6, "us", at_most=5)
    for key, name in [
        ("bare", "Python: call without arguments"),
        ("handle", "Python: handle made and freed, two calls"),
        ("error", "Python: call that fails, and its message, two calls"),
    ]:
        results.add(name, median(run[key] for run in runs) * 1e-3, "us")


def importing(results: Results) -> None:
    """`import dfmerge` over an interpreter that does nothing."""

    processor: dict[str, list[float]] = {"pass": [], "import dfmerge": []}

    def seconds(code: str) -> float:
        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", code], check=True)
        took, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        processor[code].append(used)
        return took

    # With its bytecode in place, as an installed package has it.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([sys.executable, "-c", "import dfmerge"], check=True, env=environment)
    sides = {"bare": lambda: seconds("pass"), "import": lambda: seconds("import dfmerge")}
    found = alternated(sides, IMPORTED, patience=1)
    took = median(found["import"]) - median(found["bare"])
    note = f"of {median(found['import']) * 1e3:.0f} ms"
    results.add("Python: import dfmerge", took * 1e3, "ms", at_most=50, note=note)
    used = median(processor["import dfmerge"]) - median(processor["pass"])
    results.add("Python: import dfmerge, processor time", used * 1e3, "ms")


def round_trip(seconds: list[float]) -> float:
    """The mean of the middle half: the clock's steps are nearly as long as what is measured."""
    ordered, quarter = sorted(seconds), len(seconds) // 4
    return statistics.fmean(ordered[quarter : len(ordered) - quarter])


def compiled(source: Path, folder: Path, *flags: str) -> Path:
    """A C program, optimised."""
    program = folder / source.stem
    command = ["gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", str(source), *flags]
    subprocess.run([*command, "-o", str(program)], check=True)
    return program


def report(*command: str) -> dict[str, Any]:
    """What a program prints, read as JSON."""
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise RuntimeError(f"{command[0]} failed ({result.returncode}): {result.stderr.strip()}")
    return dict(json.loads(result.stdout))


if __name__ == "__main__":
    raise SystemExit(main())
