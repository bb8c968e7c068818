"""The shell examples of docs/methods run as they are printed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PROGRAM, ROOT

sys.path[:0] = [str(ROOT / "Scripts"), str(ROOT / "bindings/python/src")]

from method_examples import write_inputs  # noqa: E402

PAGES = sorted(path for path in (ROOT / "docs/methods").glob("*.md") if path.stem != "README")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    write_inputs(folder)
    (folder / "bin").mkdir()
    shutil.copy(PROGRAM, folder / "bin/dfmerge")
    return folder


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.stem))
def test_shell_example(inputs: Path, page: Path) -> None:
    (code,) = re.findall(r"^```sh\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    shutil.rmtree(inputs / "merged", ignore_errors=True)
    done = subprocess.run(
        ["bash", "-euc", code], cwd=inputs, capture_output=True, text=True, check=False,
        env={**os.environ, "PATH": f"{inputs / 'bin'}:{os.environ['PATH']}"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert list((inputs / "merged").glob("*model.safetensors"))
