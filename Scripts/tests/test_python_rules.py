"""The rules of the Python tests' conftest.py: what needs torch is known, no skip goes unseen."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).resolve().parents[2] / "bindings" / "python" / "tests" / "conftest.py"


def run(folder: Path, *options: str, **files: str) -> subprocess.CompletedProcess[str]:
    shutil.copy(CONFTEST, folder)
    # In place of the real one, which takes seconds to import.
    (folder / "torch.py").write_text("def ones(n): return n\n")
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("body", ["pytest.skip('why')", "pytest.importorskip('no_such_module')"])
@pytest.mark.parametrize("inside", [True, False])
def test_a_skip_fails_where_none_may_be(tmp_path: Path, body: str, inside: bool) -> None:
    text = f"def test_it():\n    {body}\n" if inside else f"{body}\ndef test_it(): pass\n"
    if not inside:
        text = text.replace("'why'", "'why', allow_module_level=True")
    files = {"test_one": "def test_it(): pass\n", "test_two": "import pytest\n" + text}
    assert run(tmp_path, **files).returncode == 0
    assert run(tmp_path, "--no-skips", **files).returncode == 1


def test_nothing_fails_where_nothing_is_skipped(tmp_path: Path) -> None:
    assert run(tmp_path, "--no-skips", test_one="def test_it(): pass\n").returncode == 0


def test_what_needs_torch_is_known_by_its_name(tmp_path: Path) -> None:
    files = {
        "test_file": "import torch\ndef test_in_file(): pass\n",
        "test_program": "import torch_models\ndef test_in_program(): pass\n",
        "test_binding": "import dfmerge.torch\ndef test_in_binding(): pass\n",
        "test_mixed": "from conftest import torch\n"
        "def test_plain(): pass\n"
        "def test_direct(): torch.ones(1)\n"
        "def test_nested():\n    def inner(): return torch.ones(1)\n    inner()\n",
    }
    without = run(tmp_path, "-v", "-m", "not torch", **files)
    assert "test_plain PASSED" in without.stdout and "1 passed, 2 deselected" in without.stdout
    only = run(tmp_path, "--collect-only", "-q", "-m", "torch", "test_mixed.py", **files)
    assert "test_direct" in only.stdout and "test_nested" in only.stdout
    assert "test_plain" not in only.stdout
