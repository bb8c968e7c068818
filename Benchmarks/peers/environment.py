"""The peers' own virtual environment: made on first use, each peer by itself.

mergekit and fusion_bench bring torch and transformers in versions of their choice, so they do not
share ours. A peer that does not install or start leaves its rows empty, with the reason.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
RUNNER = Path(__file__).with_name("peer_run.py")
#: What is imported to see whether a peer starts.
PROBES = {
    "mergekit": "mergekit.scripts.merge_raw_pytorch",
    "peft": "peft",
    "fusion_bench": "fusion_bench.method.ties_merging.ties_merging_utils",
}


class Peers:
    """The environment under `folder`, and what is wrong with each peer (nothing: it runs)."""

    def __init__(self, folder: Path) -> None:
        self.python = folder / "bin" / "python"
        self._pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        if not self.python.is_file():
            print(f"making {folder} with torch; this takes minutes ...", flush=True)
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
            # The CPU build is a tenth of the size; where it cannot be had, peers bring the other.
            self._problem([*self._pip, "torch==2.13.0+cpu"])
        self.problems = {name: self._start(name) for name in PROBES}
        self.versions = self._versions()

    def run(self, jobs: list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
        """Run jobs in one process; each gives {"seconds"} or {"problem"}."""
        folder.mkdir(parents=True, exist_ok=True)
        given, found = folder / "jobs.json", folder / "found.json"
        given.write_text(json.dumps(jobs), encoding="utf-8")
        found.unlink(missing_ok=True)
        problem = self._problem([str(RUNNER), str(given), str(found)])
        if not found.is_file():
            return [{"problem": problem or "no result"} for _ in jobs]
        reports: list[dict[str, Any]] = json.loads(found.read_text(encoding="utf-8"))
        return reports

    def _start(self, name: str) -> str:
        """Install a peer unless it starts already; the reason where it does not start then."""
        probe = ["-c", f"import {PROBES[name]}"]
        if not self._problem(probe):
            return ""
        print(f"installing {name}; this takes minutes ...", flush=True)
        lines = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
        wanted = next(line for line in lines if line.startswith(name))
        found = self._problem([*self._pip, wanted, "ml_dtypes", "safetensors"])
        found = found or self._problem(probe)
        return f"{name} does not install or start here: {found}" if found else ""

    def _problem(self, arguments: list[str]) -> str:
        """Nothing where Python succeeds with these arguments, else the end of what it says."""
        command = [str(self.python), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return ""
        lines = [line for line in done.stderr.strip().splitlines() if line.strip()]
        return lines[-1][:300] if lines else f"status {done.returncode}"

    def _versions(self) -> str:
        code = (
            "import importlib.metadata as m, sys\n"
            "for name in sys.argv[1:]:\n"
            "  try: print(name, m.version(name), end=', ')\n"
            "  except m.PackageNotFoundError: pass\n"
        )
        command = [str(self.python), "-c", code, *PROBES, "torch", "transformers"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout.strip().rstrip(",")
