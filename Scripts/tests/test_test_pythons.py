"""The tests on several Pythons must fail where they would test nothing."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "test-pythons.py"


@pytest.fixture
def script() -> Any:
    spec = importlib.util.spec_from_file_location("test_pythons_script", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def fake_python(path: Path, answer: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{answer}\n")
    path.chmod(0o755)


def test_no_python_is_a_failure(
    script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    (tmp_path / "dfmerge.whl").touch()
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), str(tmp_path), str(tmp_path / "environments")])
    assert script.main() == 1
    said = capsys.readouterr()
    assert "Python 3.13: not found" in said.out and "install one" in said.err


def test_pythons_are_asked_what_they_are(
    script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = tmp_path / "pyenv" / "versions"
    fake_python(tmp_path / "python3.10", "exit 127")  # a shim that leads nowhere
    fake_python(tmp_path / "python3.11", "echo pypy 3 11 True")
    fake_python(tmp_path / "python3.13", "echo cpython 3 13 False")
    fake_python(versions / "3.9.1" / "bin" / "python3", "echo cpython 3 9 True")
    fake_python(versions / "3.10.2" / "bin" / "python3", "echo cpython 3 10 True")
    fake_python(versions / "3.12.1" / "bin" / "python3", "echo cpython 3 12 True")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    assert script.pythons() == {
        10: versions / "3.10.2" / "bin" / "python3", 12: versions / "3.12.1" / "bin" / "python3",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "passed"),
    [
        ("assert True", True),
        ("assert False", False),
        ("import pytest; pytest.skip('why')", False),
        ("import pytest; pytest.importorskip('no_such_module')", False),
    ],
)
def test_a_skipped_test_is_a_failed_one(
    script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, passed: bool
) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "pyproject.toml").write_text('[tool.pytest.ini_options]\naddopts = "-q"\n')
    (tmp_path / "tests" / "test_it.py").write_text(f"def test_it():\n    {body}\n")
    monkeypatch.setattr(script, "TESTS", tmp_path / "tests")
    assert script.passes(Path(sys.executable), tmp_path) is passed
