"""What `make wheel` and `make sdist` left, built again and installed; and what cannot be built.

Runs in the environment of the packaging tools, after both targets.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
PROJECT = CHECKOUT / "bindings" / "python"
LIBRARY = (CHECKOUT / "build" / "lib" / "libdfmerge.so").resolve()
FFI = PROJECT / "src" / "dfmerge" / "_ffi.py"
ALONE = PROJECT / "tests" / "standard_library.py"
(WHEEL,) = (CHECKOUT / "build" / "wheel").glob("*.whl")
(SDIST,) = (CHECKOUT / "build" / "sdist").glob("*.tar.gz")
NO_SWIFT = ":".join(
    folder
    for folder in os.environ["PATH"].split(":")
    if not os.path.exists(os.path.join(folder, "swift"))
)


def run(*command: str | Path, **environment: str | None) -> subprocess.CompletedProcess[str]:
    """Run a command with these variables changed; None removes one."""
    changed = {**os.environ, "DFMERGE_LIBRARY": None, **environment}
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd="/",
        env={name: value for name, value in changed.items() if value is not None},
        check=False,
    )


def pip_wheel(project: Path, out: Path, **environment: str | None) -> str:
    """What pip says when it makes a wheel; it must not succeed."""
    made = run(
        sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", out,
        project, **environment,
    )  # fmt: skip
    assert made.returncode != 0 and not list(out.glob("*.whl"))
    return made.stdout + made.stderr


def hook_module() -> Any:
    spec = importlib.util.spec_from_file_location("hatch_build", PROJECT / "hatch_build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def compiled(path: Path, source: str, *options: str) -> Path:
    command = ["gcc", "-shared", "-fPIC", "-o", str(path), "-x", "c", "-", "-x", "none", *options]
    subprocess.run(command, input=source, text=True, check=True)
    return path


def copied_project(checkout: Path) -> Path:
    """The Python project in a checkout that has nothing else."""
    project = checkout / "bindings" / "python"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("tests", "__pycache__"))
    return project


def test_the_same_sources_give_the_same_bytes(tmp_path: Path) -> None:
    venv = Path(sys.prefix)
    (tmp_path / "wheel").mkdir()
    (tmp_path / "wheel" / "dfmerge-0.0.1-py3-none-manylinux_2_34_x86_64.whl").touch()
    for kind, made in (("wheel", WHEEL), ("sdist", SDIST)):
        script = CHECKOUT / "Scripts" / f"build-{kind}.sh"
        again = run(
            "bash", "-c", 'umask 077; exec "$@"', "bash", script, venv, tmp_path / kind,
            DFMERGE_LIBRARY=str(LIBRARY), TZ="Asia/Tokyo", PYTHONHASHSEED="7",
        )  # fmt: skip
        assert again.returncode == 0, again.stderr
        # Of what lay there before, nothing is left.
        (found,) = (tmp_path / kind).iterdir()
        assert found.name == made.name and found.read_bytes() == made.read_bytes()


def test_an_editable_install_uses_the_sources_and_the_build_tree(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    # The build backend comes from the environment of the packaging tools.
    made = run(
        python, "-m", "pip", "install", "-v", "--no-deps", "--no-build-isolation", "-e", PROJECT,
        PYTHONPATH=sysconfig.get_paths()["purelib"], CC="gcc", CXX="g++",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    assert f"sources {PROJECT}/src, library {LIBRARY}" in made.stdout + made.stderr
    found = run(python, "-I", "-c", "import dfmerge as d; print(d.__file__, d.library_path())")
    assert found.stdout.split() == [str(PROJECT / "src/dfmerge/__init__.py"), str(LIBRARY)]


def test_the_sdist_without_swift_says_what_is_missing(tmp_path: Path) -> None:
    said = pip_wheel(SDIST, tmp_path, PATH=NO_SWIFT)
    assert "RuntimeError: libdfmerge.so is built from Swift sources, and swift is not in" in said
    assert "Install Swift 6.3 or later" in said and "set DFMERGE_LIBRARY" in said


def test_the_sdist_with_a_given_library_needs_no_swift(tmp_path: Path) -> None:
    made = run(
        sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", tmp_path,
        SDIST, PATH=NO_SWIFT, DFMERGE_LIBRARY=str(LIBRARY),
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    assert [path.name for path in tmp_path.iterdir()] == [WHEEL.name]


def test_the_package_of_the_sdist_is_the_package_of_the_checkout(tmp_path: Path) -> None:
    with tarfile.open(SDIST) as archive:
        archive.extractall(tmp_path)
    root = tmp_path / SDIST.name.removesuffix(".tar.gz")

    def described(folder: Path) -> dict[str, Any]:
        scratch = str(tmp_path / "scratch")
        command = ["swift", "package", "--package-path", str(folder), "--scratch-path", scratch]
        said = run(*command, "describe", "--type", "json", CC=None, CXX=None)
        assert said.returncode == 0, said.stderr
        package: dict[str, Any] = json.loads(said.stdout)
        return {
            target["name"]: (target["path"], target["sources"]) for target in package["targets"]
        }

    assert described(root) == described(CHECKOUT)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (None, "libother.so is not there; set it to the full path"),
        ("", "cannot be loaded: OSError:"),
        ("int other;", "lacks dfm_version, dfm_abi_version, dfm_last_error_message, which dfmerge"),
    ],
)
def test_a_given_library_that_does_not_fit(tmp_path: Path, source: str | None, says: str) -> None:
    path = tmp_path / "libother.so"
    if source:
        compiled(path, source)
    elif source is not None:
        path.write_text("no library")
    assert says in pip_wheel(PROJECT, tmp_path, DFMERGE_LIBRARY=str(path))


def test_a_given_library_of_another_version(tmp_path: Path) -> None:
    table = run(
        sys.executable, "-c", f"import runpy; print(*runpy.run_path({str(FFI)!r})['PROTOTYPES'])"
    )
    names = [name for name in table.stdout.split() if "version" not in name]
    source = 'const char *dfm_version(void) { return "0.0.9"; }\n'
    source += "int dfm_abi_version(void) { return 7; }\n"
    source += "".join(f"void {name}(void) {{}}\n" for name in names)
    path = compiled(tmp_path / "old.so", source)
    said = pip_wheel(PROJECT, tmp_path, DFMERGE_LIBRARY=str(path))
    assert "old.so is libdfmerge 0.0.9 with ABI version 7; this package is dfmerge" in said


def test_a_project_without_its_sources_says_so(tmp_path: Path) -> None:
    said = pip_wheel(copied_project(tmp_path), tmp_path)
    assert f"built from Swift sources, and {tmp_path} does not have them" in said


def test_the_library_is_built_even_where_there_is_one(tmp_path: Path) -> None:
    project = copied_project(tmp_path)
    (tmp_path / "Scripts").mkdir()
    (tmp_path / "build" / "lib").mkdir(parents=True)
    shutil.copy(LIBRARY, tmp_path / "build" / "lib" / "libdfmerge.so")
    script = tmp_path / "Scripts" / "build-lib.sh"
    script.write_text('echo "CC is ${CC-not set}, CXX is ${CXX-not set}"; exit 3\n')
    said = pip_wheel(project, tmp_path, CC="gcc", CXX="g++")
    assert "CC is not set, CXX is not set" in said
    assert "build-lib.sh failed with status 3; what it said stands above" in said


def test_other_systems_are_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    module = hook_module()
    hook = module.LibraryHook(
        str(PROJECT), {}, None, None, str(PROJECT), "wheel", SimpleNamespace()
    )
    for system in ("darwin", "win32"):
        monkeypatch.setattr(module.sys, "platform", system)
        with pytest.raises(RuntimeError, match=f"cannot be built on {system}: .* Linux's own"):
            hook.initialize("standard", {})


def test_the_tag_follows_from_what_the_library_needs(tmp_path: Path) -> None:
    module = hook_module()
    assert f"py3-none-{module.platform_tag(LIBRARY)}.whl" in WHEEL.name
    stranger = compiled(tmp_path / "libstranger.so", "int a;", "-Wl,-soname,libstranger.so.1")
    path = compiled(tmp_path / "user.so", "int b;", "-Wl,--no-as-needed", str(stranger))
    needed, _ = module.dynamic_needs(path.read_bytes())
    assert "libstranger.so.1" in needed
    assert module.platform_tag(path) == f"linux_{os.uname().machine}"
    with pytest.raises(RuntimeError, match="not a 64-bit ELF file"):
        module.dynamic_needs(b"MZ")


def test_the_sdist_builds_in_full_where_swift_is(tmp_path: Path, long: bool) -> None:
    """Minutes: in `make test-long` only. Otherwise the fast half: pip gets as far as building."""
    if not long:
        broken = tmp_path / "bin"
        broken.mkdir()
        (broken / "swift").write_text("#!/bin/sh\necho no toolchain here >&2; exit 1\n")
        shutil.copy(broken / "swift", broken / "swiftc")
        for name in ("swift", "swiftc"):
            (broken / name).chmod(0o755)
        said = pip_wheel(SDIST, tmp_path, PATH=f"{broken}:{NO_SWIFT}")
        assert "build-lib.sh failed with status" in said
        return
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    made = run(python, "-m", "pip", "install", SDIST, CC="gcc", CXX="g++")
    assert made.returncode == 0, made.stdout + made.stderr
    alone = run(python, "-I", ALONE)
    assert alone.returncode == 0 and str(tmp_path / "venv") in alone.stdout, alone.stderr
