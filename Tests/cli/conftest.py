"""Runs the built program in a folder with small checkpoints."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from checkpoints import State, write_models

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("DFMERGE_PROGRAM", ROOT / "build/bin/dfmerge")).absolute()


def pytest_configure() -> None:
    if not PROGRAM.is_file():
        raise pytest.UsageError(f"{PROGRAM} is not there; run 'make cli' or set DFMERGE_PROGRAM")


@pytest.fixture(scope="session", autouse=True)
def _takes_interrupts() -> Iterator[None]:
    """A shell lets its background jobs ignore Ctrl-C, and programs started here would as well."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Workplace:
    """A folder with `base`, `maths` and `code`, and the program to run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.states: dict[str, State] = write_models(folder)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("HF_")},
            "HOME": str(folder),
        }

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(PROGRAM), *arguments],
            cwd=self.folder,
            env=self.environment,
            text=True,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
        )

    def run(self, *arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        """Runs the program to its end, which is to have the status."""
        with self.start(*arguments) as process:
            out, error = process.communicate(timeout=60)
        assert process.returncode == status, f"{process.returncode}: {out}{error}"
        return subprocess.CompletedProcess(arguments, status, out, error)

    def json(self, *arguments: str, status: int = 0) -> Any:
        """Runs it with --json; standard output is one document and nothing else."""
        # Behind the subcommand: what follows '--' is another program's.
        out = self.run(arguments[0], "--json", *arguments[1:], status=status).stdout
        assert out.endswith("\n") and out.count("\n") == 1
        return json.loads(out, parse_constant=lambda name: pytest.fail(f"JSON has {name}"))

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        return path

    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*"))


@pytest.fixture
def work(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path)
