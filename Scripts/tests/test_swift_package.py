"""The test of the Swift package must fail where a user would."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_a_version_that_is_not_there_fails() -> None:
    command = [str(ROOT / "Scripts/test-swift-package.sh"), "v0.0.1"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode != 0
    assert "no versions of 'dfmerge' match" in found.stdout + found.stderr
