"""The steps of the tutorial are the example's files, growing."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = Path("examples/swift/Sources/Specialists")


def make(folder: Path, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "Scripts/tutorial_steps.py"), str(folder), str(root)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_last_step_is_the_file_and_each_has_more_than_the_one_before(tmp_path: Path) -> None:
    assert make(tmp_path).returncode == 0
    files: dict[str, list[Path]] = {}
    for path in sorted(tmp_path.iterdir()):
        files.setdefault(path.stem[:-3] + path.suffix, []).append(path)
    assert len(files) == 3
    for name, paths in files.items():
        whole = (ROOT / SOURCES / name).read_text()
        assert paths[-1].read_text() == whole
        before = 0
        for path in paths:
            lines = path.read_text().splitlines()
            rest = iter(whole.splitlines())
            assert all(line in rest for line in lines), path
            assert before < len(lines)
            before = len(lines)


def test_the_tutorial_shows_every_step_and_no_other(tmp_path: Path) -> None:
    assert make(tmp_path).returncode == 0
    catalogue = ROOT / "Sources/DFMerge/DFMerge.docc/Tutorials"
    shown = "".join(path.read_text() for path in catalogue.glob("*.tutorial"))
    named = set(re.findall(r"[A-Za-z]+-[0-9]+\.swift", shown))
    assert named == {path.name for path in tmp_path.iterdir()}


def test_an_example_that_has_moved_on_is_named(tmp_path: Path) -> None:
    shutil.copytree(ROOT / SOURCES, tmp_path / SOURCES)
    network = tmp_path / SOURCES / "Network.swift"
    network.write_text(network.read_text().replace("func probabilities(", "func likelihoods("))
    found = make(tmp_path / "steps", tmp_path)
    assert found.returncode == 1
    assert "Network.swift: 0 lines begin with '  func probabilities('" in found.stderr
    assert not (tmp_path / "steps").exists()
