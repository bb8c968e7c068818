"""Merges four specialists into one network and shows what each method makes of them.

`make demo` runs this. A second run uses the trained networks again and continues the searches from
their journals; `--fresh` starts over.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

from methods import PAPER_SAMPLES, SAMPLES, TRIALS, Comparison, Row
from problem import DOMAINS, prepare

import dfmerge

START = time.monotonic()
MADE = ["networks", "paper", "journal.jsonl", "merged.safetensors", "report.html"]


def say(text: str) -> None:
    print(f"[{time.monotonic() - START:5.1f} s] {text}", flush=True)


def table(rows: list[Row]) -> str:
    heads = [*DOMAINS, "mean"]
    lines = ["Test accuracy, %".ljust(30) + "".join(head.rjust(10) for head in heads)]
    for row in rows:
        values = [*row.test.values(), row.mean_test]
        line = row.name.ljust(30) + "".join(f"{100 * value:10.1f}" for value in values)
        lines.append(f"{line}  {row.note}".rstrip())
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=Path("build/demo"), help="work folder")
    parser.add_argument("--seed", type=int, default=0, help="seed of data, training and search")
    parser.add_argument("--fresh", action="store_true", help="start over")
    arguments = parser.parse_args()
    # One folder per seed but the first, so that no journal meets another seed's networks.
    seed = arguments.seed
    out: Path = arguments.out / f"seed-{seed}" if seed else arguments.out
    if arguments.fresh:
        say(f"Starting over: removing what an earlier run left in {out}")
        for name in MADE:
            path = out / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    comparison = Comparison(prepare(out / "networks", seed, say), seed)
    say("Scoring the networks alone, the average, task arithmetic and Fisher merging")
    rows = [*comparison.alone(), comparison.average(), comparison.task_arithmetic()]
    rows.append(comparison.fisher_merging())
    for name, preset, folder, samples in (
        ("DF-Merge, paper's settings", "paper", out / "paper", PAPER_SAMPLES),
        ("DF-Merge, our default", "default", out, SAMPLES),
    ):
        journal = folder / "journal.jsonl"
        verb = "Continuing" if journal.exists() else "Searching"
        say(f"{verb}: {name}, {TRIALS} evaluations on validation pictures, journal {journal}")
        begun = time.monotonic()
        try:
            row, result = comparison.search(name, folder, samples, preset=preset)
        except dfmerge.Error as error:  # such as a journal of an older version's defaults
            raise SystemExit(f"{error}\nTo start over: run this again with --fresh.") from error
        result.report(folder / "report.html")
        say(f"  best on validation {100 * result.value:.1f} % ({time.monotonic() - begun:.1f} s)")
        rows.append(row)

    print(f"\n{table(rows)}\n", flush=True)
    say(f"The merged network: {out / 'merged.safetensors'}")
    say(f"Every trial: {out / 'journal.jsonl'}; in pictures: {out / 'report.html'}")
    say("Run it again to continue from the journals, or with --fresh to start over.")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        say("Stopped. Finished trials are in the journals: run it again to continue.")
        sys.exit(130)
