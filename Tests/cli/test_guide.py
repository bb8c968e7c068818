"""The examples of docs/cli.md run as they are printed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from conftest import PROGRAM, ROOT, Workplace

GUIDE = ROOT / "docs/cli.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def plain(text: str) -> str:
    """A text without what differs from run to run: times, threads and memory for each of them."""
    text = re.sub(r"[\d.e-]+ s\b", "N s", text)
    text = re.sub(r"\d+ threads?", "N threads", text)
    return re.sub(r"takes [\d.]+ [KMG]B", "takes N MB", text)


def matches(found: list[str], expected: list[str]) -> bool:
    """Whether the lines are those printed, `...` standing for any number of them."""
    if "..." in expected:
        head = expected[: expected.index("...")]
        tail = expected[expected.index("...") + 1 :]
        if len(found) < len(head) + len(tail):
            return False
        return found[: len(head)] == head and found[len(found) - len(tail) :] == tail
    return found == expected


def test_the_examples_run_as_printed(work: Workplace, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    shutil.copy(PROGRAM, programs / "dfmerge")
    (programs / "python3").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (programs / "python3").chmod(0o755)
    work.environment["PATH"] = f"{programs}:{work.environment['PATH']}"
    ran = 0
    for language, body in BLOCK.findall(GUIDE.read_text("utf-8")):
        if language == "yaml":
            work.write("config.yml", body)
        if language == "python":
            work.write("score.py", body)
        if language != "console":
            continue
        for example in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
            command, _, printed = example.partition("\n")
            run = subprocess.run(
                ["bash", "-c", command],
                cwd=work.folder,
                env=work.environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            found = plain(run.stdout).rstrip("\n").split("\n")
            expected = plain(printed).rstrip("\n").split("\n")
            assert matches(found, expected), f"{command}\n{run.stdout}"
            ran += 1
    assert ran == len(re.findall(r"^\$ ", GUIDE.read_text("utf-8"), re.MULTILINE)) >= 8
