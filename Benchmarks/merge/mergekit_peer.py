"""mergekit 0.1.5 beside us: its environment, its configurations, and its figures, kept on disk.

Its runs take minutes, so those that other programs did not disturb are kept in one JSON file under
the machine's name and the versions, and repeated only with `fresh`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from process import Measured, RunError, run
from results import machine
from settings import mergekit_config

VERSION = "0.1.5"
RUNNER = Path(__file__).with_name("mergekit_run.py")


class Mergekit:
    """mergekit in an environment of its own, which is made on first use."""

    def __init__(self, folder: Path, fresh: bool) -> None:
        self.folder = folder
        self.python = folder / "mergekit-venv" / "bin" / "python"
        #: Why it cannot be run; empty where it can.
        self.problem = self._install()
        self._cache = folder / "mergekit.json"
        self._known: dict[str, Any] = {}
        if not fresh and self._cache.is_file():
            self._known = json.loads(self._cache.read_text(encoding="utf-8"))
        self.versions = "" if self.problem else self._versions()

    def known(self, method: str, model: str) -> list[Measured]:
        """The runs that are kept."""
        runs = self._known.get(self._key(method, model), [])
        return [Measured(**entry) for entry in runs]

    def measure(self, method: str, model: str, folders: list[Path], out: Path) -> Measured:
        """Run one merge; its figures are kept if other programs left the machine alone."""
        file = self.folder / f"mergekit-{method}.yml"
        # JSON is YAML too.
        file.write_text(json.dumps(mergekit_config(method, folders)), encoding="utf-8")
        measured = run([self.python, RUNNER, file, out])
        if not measured.calm:
            return measured
        self._known.setdefault(self._key(method, model), []).append(asdict(measured))
        self._cache.write_text(json.dumps(self._known, indent=1) + "\n", encoding="utf-8")
        return measured

    def _key(self, method: str, model: str) -> str:
        return f"{method} of {model}, {self.versions}, {machine()}"

    def _install(self) -> str:
        if self.python.is_file() and self._runs(["-c", "import mergekit.merge"]) == "":
            return ""
        print(f"installing mergekit {VERSION} with torch; this takes minutes ...", flush=True)
        if problem := self._runs(["-m", "venv", str(self.python.parents[1])], sys.executable):
            return problem
        pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        # The CPU build of torch is a tenth of the size; where it cannot be had, mergekit brings
        # the plain one.
        self._runs([*pip, "torch==2.13.0+cpu"])
        return self._runs([*pip, f"mergekit=={VERSION}"]) or self._runs(
            ["-c", "import mergekit.merge"]
        )

    def _runs(self, arguments: list[str], python: str | None = None) -> str:
        """Nothing where Python succeeds with these arguments, else the end of what it says."""
        command = [python or str(self.python), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return ""
        lines = [line for line in done.stderr.strip().splitlines() if line] or ["no message"]
        return f"mergekit {VERSION} does not install or start here: {lines[-1]}"

    def _versions(self) -> str:
        code = (
            "import importlib.metadata as m, sys;"
            "print(*(name + ' ' + m.version(name) for name in sys.argv[1:]), sep=', ')"
        )
        packages = ["mergekit", "torch", "transformers"]
        done = subprocess.run(
            [str(self.python), "-c", code, *packages], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise RunError(f"mergekit's environment is broken: {done.stderr.strip()[-500:]}")
        return done.stdout.strip()
