"""The Swift toolchain and the C compilers, as commands that fail with one clear line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from abigen.model import AbigenError


class Toolchain:
    """The Swift toolchain that `swiftc` in PATH belongs to; its clang and LLVM tools come along."""

    def __init__(self) -> None:
        if shutil.which("swiftc") is None:
            raise AbigenError("swiftc is not in PATH; install Swift 6.3 or later")
        info = json.loads(self.run(["swiftc", "-print-target-info"]))
        self.bin = Path(info["paths"]["runtimeResourcePath"]).parent.parent / "bin"
        self.triple: str = info["target"]["unversionedTriple"]

    @property
    def clang(self) -> str:
        """The toolchain's own clang."""
        return self.tool("clang")

    def tool(self, name: str) -> str:
        """The path of one of the toolchain's programs."""
        path = self.bin / name
        if not path.exists():
            raise AbigenError(f"{name} is missing from the Swift toolchain ({self.bin})")
        return str(path)

    @staticmethod
    def run(command: list[str], cwd: Path | None = None) -> str:
        """The output of a command. Raises AbigenError with what it printed when it fails."""
        result = attempt(command, cwd)
        if result.returncode != 0:
            printed = (result.stdout + result.stderr).strip()
            raise AbigenError(f"`{command[0]}` failed ({result.returncode}):\n{printed}")
        return result.stdout


def attempt(command: list[str], cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs a command without CC and CXX, which Swift's build would take for its own tools."""
    environment = {key: value for key, value in os.environ.items() if key not in ("CC", "CXX")}
    try:
        return subprocess.run(
            command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise AbigenError(f"{command[0]} is not installed or not in PATH") from None
