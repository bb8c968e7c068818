"""The checks of the sources for C and C++ users must find what they are there for."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SEARCH = "bindings/cpp/dfmerge/search.hpp"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("bindings/cpp", "include", "examples", "Tests/cpp"):
        shutil.copytree(ROOT / name, tmp_path / name)
    return tmp_path


def check(tree: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "Scripts/check-cpp.py"), str(tree)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_the_sources_are_in_shape(tree: Path) -> None:
    run = check(tree)
    assert run.returncode == 0, run.stderr
    assert "uses every C function" in run.stdout


def test_a_function_that_only_a_comment_names(tree: Path) -> None:
    replace(tree / SEARCH, "dfm_search_apply(", "dfm_search_run /* dfm_search_apply */ (")
    run = check(tree)
    assert run.returncode == 1
    assert "dfm_search_apply is in" in run.stderr


@pytest.mark.parametrize(
    ("header", "comment", "name"),
    [
        (SEARCH, "    /** The same as try_describe(), throwing. */\n", "search::describe"),
        ("bindings/cpp/dfmerge/callback.hpp", "    /** Its number, from 0. */\n", "trial::number"),
        ("bindings/cpp/dfmerge/span.hpp", "    /** No elements. */\n", "span::span"),
        (
            "bindings/cpp/dfmerge/error.hpp",
            "/** The hundreds of a status number. */\n",
            "error_kind",
        ),
    ],
)
def test_a_name_without_a_comment(tree: Path, header: str, comment: str, name: str) -> None:
    replace(tree / header, comment, "")
    run = check(tree)
    assert run.returncode == 1
    assert f"{name}" in run.stderr and "has no doc comment" in run.stderr


def test_long_examples_lines_and_broken_headers(tree: Path) -> None:
    example = tree / "examples/c/merge.c"
    example.write_text(example.read_text() + "\n" * 60)
    wide = tree / "examples/cpp/search.cpp"
    wide.write_text(wide.read_text() + "// " + "x" * 100 + "\n")
    run = check(tree)
    assert run.returncode == 1
    assert "the most is 120: split it" in run.stderr
    assert "103 columns" in run.stderr


def test_a_header_that_does_not_compile(tree: Path) -> None:
    replace(tree / SEARCH, "class search {", "class search ;")
    run = check(tree)
    assert run.returncode == 1
    assert "the wrapper does not compile" in run.stderr
