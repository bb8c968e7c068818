"""Installing and uninstalling: what is put where, and what is left after each way to fail."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
MANIFEST = "share/doc/dfmerge/install_manifest.txt"


class Checkout:
    """A checkout whose library and program are only files: any version, without a build."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("Scripts/install", "include", "bindings/cpp"):
            shutil.copytree(ROOT / name, folder / name)
        for name in ("Scripts/install.sh", "LICENSE", "NOTICE"):
            shutil.copy(ROOT / name, folder / name)
        self.release("0.1.0", 1)

    def release(self, version: str, abi: int) -> None:
        numbers = self.folder / "Sources/DFMergeCore/DFMergeVersion.swift"
        numbers.parent.mkdir(parents=True, exist_ok=True)
        numbers.write_text(
            f'public static let string = "{version}"\npublic static let abi: Int32 = {abi}\n'
        )
        library = self.folder / f"build/lib/libdfmerge.so.{version}"
        library.parent.mkdir(parents=True, exist_ok=True)
        library.write_bytes(b"library" * 20000)
        program = self.folder / "build/bin/dfmerge"
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f"#!/bin/sh\necho {version}\n")

    def run(
        self, *arguments: str, limit: str = "", **variables: str
    ) -> subprocess.CompletedProcess[str]:
        command = ["bash", "-c", f'{limit} exec "$0" "$@"', str(self.folder / "Scripts/install.sh")]
        environment = {"PATH": os.environ["PATH"], **variables}
        return subprocess.run(
            [*command, *arguments], capture_output=True, text=True, check=False, env=environment
        )


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "checkout")


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


def test_installs_and_removes_everything(checkout: Checkout, tmp_path: Path) -> None:
    prefix = tmp_path / "a folder/pre fix"
    run = checkout.run(PREFIX=f"{prefix}/")
    assert run.returncode == 0, run.stderr
    assert (prefix / "lib/libdfmerge.so").readlink() == Path("libdfmerge.so.1")
    assert (prefix / "lib/libdfmerge.so.1").readlink() == Path("libdfmerge.so.0.1.0")
    for name in (
        "include/dfmerge.h",
        "include/dfmerge.hpp",
        "include/dfmerge/search.hpp",
        "share/doc/dfmerge/LICENSE",
        "share/doc/dfmerge/NOTICE",
        MANIFEST,
    ):
        assert (prefix / name).is_file()
    run = subprocess.run([prefix / "bin/dfmerge"], check=True, capture_output=True, text=True)
    assert run.stdout == "0.1.0\n"
    assert "bin/dfmerge" in (prefix / MANIFEST).read_text().splitlines()
    before = files(prefix)
    assert checkout.run("install", PREFIX=str(prefix)).returncode == 0
    assert files(prefix) == before
    run = checkout.run("uninstall", PREFIX=str(prefix))
    assert run.returncode == 0, run.stderr
    assert not prefix.exists()


def test_leaves_what_others_have(checkout: Checkout, tmp_path: Path) -> None:
    prefix = tmp_path / "usr"
    (prefix / "lib/pkgconfig").mkdir(parents=True)
    (prefix / "include").mkdir()
    (prefix / "include/other.h").write_text("")
    before = files(prefix)
    assert checkout.run(PREFIX=str(prefix)).returncode == 0
    assert checkout.run("uninstall", PREFIX=str(prefix)).returncode == 0
    assert files(prefix) == before


def test_destdir_and_libdir(checkout: Checkout, tmp_path: Path) -> None:
    stage = tmp_path / "stage area"
    libdir = "lib/x86_64-linux-gnu"
    variables = {"PREFIX": "/usr", "DESTDIR": str(stage), "LIBDIR": f"/usr/{libdir}"}
    run = checkout.run(**variables)
    assert run.returncode == 0, run.stderr
    assert (stage / "usr" / libdir / "libdfmerge.so.0.1.0").is_file()
    flags = subprocess.run(
        ["pkg-config", "--variable=includedir", "dfmerge"],
        check=True,
        capture_output=True,
        text=True,
        env={
            "PATH": os.environ["PATH"],
            "PKG_CONFIG_PATH": str(stage / "usr" / libdir / "pkgconfig"),
        },
    )
    include = Path(flags.stdout.strip().replace("\\", ""))
    assert include.resolve() == stage / "usr/include"
    for path in (stage / "usr").rglob("*"):
        if path.suffix in (".pc", ".cmake"):
            assert str(tmp_path) not in path.read_text()
    assert checkout.run("uninstall", **variables).returncode == 0
    assert not (stage / "usr").exists()


def test_an_upgrade_keeps_what_older_programs_need(checkout: Checkout, tmp_path: Path) -> None:
    prefix = tmp_path / "prefix"
    assert checkout.run(PREFIX=str(prefix)).returncode == 0
    checkout.release("1.2.3", 2)
    assert checkout.run(PREFIX=str(prefix)).returncode == 0
    assert (prefix / "lib/libdfmerge.so").readlink() == Path("libdfmerge.so.2")
    assert (prefix / "lib/libdfmerge.so.1").exists()
    assert "Version: 1.2.3" in (prefix / "lib/pkgconfig/dfmerge.pc").read_text()
    assert checkout.run("uninstall", PREFIX=str(prefix)).returncode == 0
    assert not prefix.exists()


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"PREFIX": "build/out"}, "PREFIX is 'build/out', a relative path"),
        ({"PREFIX": "/usr", "DESTDIR": "stage"}, "DESTDIR is 'stage', a relative path"),
        ({"PREFIX": "/opt/a", "LIBDIR": "/opt/b/lib"}, "outside PREFIX '/opt/a'"),
        ({"PREFIX": "/opt/a/../b"}, "contains '..'"),
        ({"PREFIX": "/opt/a", "LIBDIR": "../lib"}, "contains '..'"),
        ({"PREFIX": "/opt/a\nb"}, "a line break"),
        ({"PREFIX": "/proc/dfmerge"}, "cannot make the folder '/proc/dfmerge'"),
    ],
)
def test_refuses(checkout: Checkout, variables: dict[str, str], says: str) -> None:
    run = checkout.run(**variables)
    assert run.returncode == 1
    assert says in run.stderr
    assert run.stderr.startswith("install.sh: error: ")


def test_a_failure_leaves_nothing(checkout: Checkout, tmp_path: Path) -> None:
    prefix = tmp_path / "deep/down/prefix"
    run = checkout.run(limit="trap '' XFSZ; ulimit -f 20;", PREFIX=str(prefix))
    assert run.returncode != 0
    assert not (tmp_path / "deep").exists()
    assert "is the disk full?" in run.stderr


def test_a_failure_keeps_what_was_there(checkout: Checkout, tmp_path: Path) -> None:
    prefix = tmp_path / "prefix"
    assert checkout.run(PREFIX=str(prefix)).returncode == 0
    before = files(prefix)
    checkout.release("0.2.0", 1)
    (checkout.folder / "LICENSE").unlink()
    assert checkout.run(PREFIX=str(prefix)).returncode != 0
    assert files(prefix) == before
    assert "Version: 0.1.0" in (prefix / "lib/pkgconfig/dfmerge.pc").read_text()


def test_a_folder_in_the_way(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "prefix/include/dfmerge.h").mkdir(parents=True)
    run = checkout.run(PREFIX=str(tmp_path / "prefix"))
    assert run.returncode == 1
    assert "is a folder where a file belongs" in run.stderr
    assert files(tmp_path / "prefix") == ["include", "include/dfmerge.h"]


@pytest.mark.parametrize(("part", "remedy"), [("lib", "make lib"), ("bin", "make cli")])
def test_what_is_not_built(checkout: Checkout, tmp_path: Path, part: str, remedy: str) -> None:
    shutil.rmtree(checkout.folder / "build" / part)
    run = checkout.run(PREFIX=str(tmp_path / "prefix"))
    assert run.returncode == 1
    assert f"run '{remedy}' first" in run.stderr
    assert not (tmp_path / "prefix").exists()


def test_uninstall_of_nothing_and_of_a_damaged_manifest(checkout: Checkout, tmp_path: Path) -> None:
    prefix = tmp_path / "prefix"
    run = checkout.run("uninstall", PREFIX=str(prefix))
    assert run.returncode == 1
    assert "nothing is installed in" in run.stderr
    (prefix / MANIFEST).parent.mkdir(parents=True)
    (tmp_path / "precious").write_text("")
    (prefix / MANIFEST).write_text("include/x.h\n../precious\n")
    run = checkout.run("uninstall", PREFIX=str(prefix))
    assert run.returncode == 1
    assert "it is damaged" in run.stderr
    assert (tmp_path / "precious").exists()


@pytest.mark.parametrize(
    ("version", "asked", "met"),
    [
        ("0.1.5", "", True),
        ("0.1.5", "0", True),
        ("0.1.5", "0.1", True),
        ("0.1.5", "0.1.5", True),
        ("0.1.5", "0.1.6", False),
        ("0.1.5", "0.2", False),
        ("0.1.5", "0.0.9", False),
        ("0.1.5", "1", False),
        ("0.2.0", "0.1", False),
        ("1.4.2", "1", True),
        ("1.4.2", "1.2", True),
        ("1.4.2", "1.5", False),
        ("1.4.2", "0.1", False),
        ("2.0.0", "1.4", False),
        ("0.1.5", "0.1...0.3", True),
        ("0.3.0", "0.1...0.3", True),
        ("0.3.0", "0.1...<0.3", False),
    ],
)
def test_cmake_versions(
    checkout: Checkout, tmp_path: Path, version: str, asked: str, met: bool
) -> None:
    checkout.release(version, 1)
    assert checkout.run(PREFIX=str(tmp_path / "prefix")).returncode == 0
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.19)\nproject(ask NONE)\n"
        f"find_package(dfmerge {asked} CONFIG REQUIRED)\n"
        "get_target_property(soname dfmerge::dfmerge IMPORTED_SONAME)\n"
        'message(STATUS "soname ${soname} version ${dfmerge_VERSION}")\n'
    )
    run = subprocess.run(
        [
            "cmake",
            "-S",
            str(tmp_path),
            "-B",
            str(tmp_path / "build"),
            f"-DCMAKE_PREFIX_PATH={tmp_path / 'prefix'}",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode == 0) == met, run.stderr
    if met:
        assert f"soname libdfmerge.so.1 version {version}" in run.stdout
