"""The library build must say in one line what the machine lacks."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent.parent / "build-lib.sh"


def run(path: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", str(SCRIPT)],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A PATH folder with the basic programs and a Swift that knows only where it lives."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name in ("bash", "dirname", "sed", "mkdir", "ln", "realpath"):
        (folder / name).symlink_to(f"/usr/bin/{name}")
    return folder


def fake_swift(folder: Path, toolchain: Path) -> None:
    info = f'echo \'    "runtimeResourcePath": "{toolchain}/lib/swift"\'\n'
    for name in ("swift", "swiftc"):
        (folder / name).write_text("#!/bin/sh\n" + info)
        (folder / name).chmod(0o755)


def expect(result: subprocess.CompletedProcess[str], text: str) -> None:
    assert result.returncode == 1
    assert text in result.stderr
    assert result.stderr.startswith("build-lib.sh: error: ")
    assert result.stderr.count("\n") == 1


def test_swift_is_missing(tools: Path) -> None:
    expect(run(str(tools)), "swift is not in PATH")


def test_lld_is_missing(tools: Path, tmp_path: Path) -> None:
    fake_swift(tools, tmp_path / "usr")
    expect(run(str(tools)), "ld.lld is neither")


def test_static_runtime_is_missing(tools: Path, tmp_path: Path) -> None:
    linker = tmp_path / "usr/bin/ld.lld"
    linker.parent.mkdir(parents=True)
    linker.write_text("#!/bin/sh\n")
    linker.chmod(0o755)
    fake_swift(tools, tmp_path / "usr")
    expect(run(str(tools)), "no static runtime")
