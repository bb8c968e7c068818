"""docs/methods is what the methods say, and its examples run as printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "Scripts/method-pages.py"
PAGES = ROOT / "docs/methods"
LIBRARY = Path(os.environ.get("DFMERGE_LIBRARY", ROOT / "build/lib/libdfmerge.so"))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
sys.path[:0] = [str(ROOT / "Scripts"), str(ROOT / "bindings/python/src")]

from method_examples import write_inputs  # noqa: E402

import dfmerge  # noqa: E402

METHODS: list[dict[str, Any]] = dfmerge.methods()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def example(method: str, language: str) -> str:
    """The only block of a language on a page."""
    (found,) = [
        code for name, code in BLOCK.findall((PAGES / f"{method}.md").read_text("utf-8"))
        if name == language
    ]  # fmt: skip
    return str(found)


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    write_inputs(tmp_path)
    return tmp_path


def test_the_pages_are_up_to_date() -> None:
    done = run("--check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_page_that_is_not_as_the_methods_say_is_found_and_mended(tmp_path: Path) -> None:
    where = ("--folder", str(tmp_path))
    assert run(*where).returncode == 0
    assert run(*where, "--check").returncode == 0
    (tmp_path / "ties.md").write_text("TIES\n")
    (tmp_path / "average.md").unlink()
    (tmp_path / "gone.md").write_text("A method that is no more.\n")
    done = run(*where, "--check")
    assert done.returncode == 1
    assert [Path(line.split()[0]).name for line in done.stdout.splitlines()] == [
        "average.md", "gone.md", "ties.md",
    ]  # fmt: skip
    assert run(*where).returncode == 0
    assert run(*where, "--check").returncode == 0
    assert not (tmp_path / "gone.md").exists()


def test_every_method_is_named() -> None:
    """In the list of all; the README points there."""
    text = (PAGES / "README.md").read_text("utf-8")
    assert [method["id"] for method in METHODS] == re.findall(
        r"^\| \[`(\w+)`\]\(\1\.md\)", text, re.M
    )
    assert "(docs/methods/README.md)" in (ROOT / "README.md").read_text("utf-8")


def test_lines_are_short_but_for_tables() -> None:
    for path in PAGES.glob("*.md"):
        for line in path.read_text("utf-8").splitlines():
            assert len(line) <= 120 or line.startswith("|"), f"{path.name}: {line}"


def test_python_examples(inputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(inputs)
    for number, method in enumerate(METHODS):
        code = example(method["id"], "python").replace('"merged"', f'"merged-{number}"')
        exec(code, {})
        assert list((inputs / f"merged-{number}").glob("*model.safetensors"))


def test_c_examples(inputs: Path) -> None:
    """All in one program, a function each."""
    functions, calls = [], []
    for number, method in enumerate(METHODS):
        code = example(method["id"], "c").replace('"merged"', f'"merged-{number}"')
        functions.append(f"static void f{number}(void) {{\n{code}}}\n")
        calls.append(f"    f{number}();\n")
    source = inputs / "examples.c"
    source.write_text(
        "#include <dfmerge.h>\n#include <stdio.h>\n" + "".join(functions)
        + "int main(void) {\n" + "".join(calls) + "    return 0;\n}\n"
    )  # fmt: skip
    program = inputs / "examples"
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'include'}"]
    subprocess.run(["gcc", *flags, str(source), str(LIBRARY), "-o", str(program)], check=True)
    done = subprocess.run(
        [str(program)], cwd=inputs, capture_output=True, text=True, check=False,
        env={**os.environ, "LD_LIBRARY_PATH": str(LIBRARY.parent)},
    )  # fmt: skip
    assert done.returncode == 0 and done.stderr == ""
    for number, _ in enumerate(METHODS):
        assert list((inputs / f"merged-{number}").glob("*model.safetensors"))
