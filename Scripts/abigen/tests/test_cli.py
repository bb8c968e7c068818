from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from abigen import cli, docs, generate
from abigen.model import AbigenError
from abigen.project import MODULE, Project
from abigen.toolchain import Toolchain


@pytest.fixture
def root(tmp_path: Path, project: Project, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the compiled sample that the command line takes for the repository."""
    copy = tmp_path / "root"
    shutil.copytree(project.root, copy)
    monkeypatch.setattr(cli, "_ROOT", copy)
    monkeypatch.setattr(Project, "build", lambda self, toolchain: None)
    return copy


def run(root: Path, *arguments: str) -> int:
    return cli.main(["--scratch-path", str(root / "scratch"), *arguments])


def test_generate_then_check(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(root) == 0
    assert f"wrote {generate.HEADER}" in capsys.readouterr().out
    assert run(root, "--check") == 1
    assert "no record of a released version" in capsys.readouterr().err
    assert run(root, "--release") == 0
    assert "wrote include/abi/released/1.2.3.json" in capsys.readouterr().out
    assert run(root, "--check") == 0
    assert "all checks passed" in capsys.readouterr().out


def test_check_before_generating_fails(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(root, "--check") == 1
    assert f"{generate.HEADER} is missing" in capsys.readouterr().err


@pytest.mark.parametrize("name", [generate.HEADER, generate.FFI, generate.RECORD, generate.MAP])
def test_check_fails_for_each_edited_file(
    root: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert run(root) == 0
    with (root / name).open("a", encoding="utf-8") as file:
        file.write("\n")
    assert run(root, "--check") == 1
    assert f"error: {name} is not what the sources give" in capsys.readouterr().err


@pytest.mark.parametrize("name", [docs.ERRORS, docs.OWNERSHIP])
def test_check_fails_for_an_edited_table(
    root: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert run(root, "--release") == 0
    path = root / name
    path.write_text(path.read_text().replace("More.", "More words, by hand."), encoding="utf-8")
    assert run(root, "--check") == 0
    path.write_text(path.read_text().replace(" | ", " | edited ", 1), encoding="utf-8")
    capsys.readouterr()
    assert run(root, "--check") == 1
    assert f"error: {name} is not what the sources give" in capsys.readouterr().err


def test_check_fails_for_an_interface_that_shrank(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(root, "--release") == 0
    released = root / "include/abi/released/1.2.3.json"
    released.write_text(released.read_text().replace("dfm_box_free", "dfm_box_open"))
    assert run(root, "--check") == 1
    assert "the function dfm_box_open of version 1.2.3 is gone" in capsys.readouterr().err


def test_check_fails_for_a_bad_library(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(root) == 0
    library = root / "libdfmerge.so"
    (root / "empty.c").write_text("int dfm_stray;\n")
    Toolchain.run(["gcc", "-shared", "-fPIC", "-o", str(library), str(root / "empty.c")])
    assert run(root, "--check", "--library", str(library)) == 1
    assert "does not export dfm_version" in capsys.readouterr().err


def test_an_error_is_one_line(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "Sources/DFMergeCore/DFMergeVersion.swift").write_text("enum DFMergeVersion {}\n")
    assert run(root) == 1
    error = capsys.readouterr().err
    assert error.startswith("abigen: error: ")
    assert error.count("\n") == 1


def test_a_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(AbigenError, match="swiftc is not in PATH"):
        Toolchain()
    with pytest.raises(AbigenError, match="gcc is not installed"):
        Toolchain.run(["gcc"])


def test_two_package_names_are_an_error(root: Path) -> None:
    line = f'"-module-name","{MODULE}","-package-name"'
    (root / "scratch/debug.yaml").write_text(f'{line},"a"\n{line},"b"\n')
    with pytest.raises(AbigenError, match="names 2 packages"):
        Project(root, root / "scratch").package_name()
    assert (root / "Sources" / MODULE).is_dir()
