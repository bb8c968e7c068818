"""Which libdfmerge is loaded, what is said of one that does not fit, and what it brings along."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import dfmerge
from dfmerge import _ffi

LIBRARY = Path(dfmerge.library_path())
PACKAGE = Path(dfmerge.__file__).parent
SAY = "import dfmerge; print(dfmerge.library_path())"
#: What a Swift toolchain has that a program could load.
SWIFT = re.compile(r"lib(swift|_?Foundation|dispatch|BlocksRuntime|_?FoundationICU)\w*\.so")


def run(code: str, **environment: str | None) -> subprocess.CompletedProcess[str]:
    """A Python with these variables changed; None removes one."""
    changed = {**os.environ, "DFMERGE_LIBRARY": None, "LD_LIBRARY_PATH": None, **environment}
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={name: value for name, value in changed.items() if value is not None},
        check=False,
    )


def compiled(path: Path, source: str) -> str:
    """A shared library of C."""
    command = ["gcc", "-shared", "-fPIC", "-x", "c", "-o", str(path), "-"]
    subprocess.run(command, input=source, text=True, check=True)
    return str(path)


def copied_package(checkout: Path) -> str:
    """The package without its library, where a checkout has it; the folder for PYTHONPATH."""
    sources = checkout / "bindings" / "python" / "src"
    shutil.copytree(PACKAGE, sources / "dfmerge", ignore=shutil.ignore_patterns("lib", "*.pyc"))
    return str(sources)


def test_the_variable_comes_before_the_package(tmp_path: Path) -> None:
    copy = shutil.copy(LIBRARY, tmp_path / "mine.so")
    assert run(SAY, DFMERGE_LIBRARY=str(copy)).stdout.strip() == str(copy)
    assert run(SAY, DFMERGE_LIBRARY="").stdout == run(SAY).stdout


def test_a_library_beside_the_working_folder_is_taken_from_there(tmp_path: Path) -> None:
    shutil.copy(LIBRARY, tmp_path / "mine.so")
    code = f"import os; os.chdir({str(tmp_path)!r}); {SAY}"
    assert run(code, DFMERGE_LIBRARY="mine.so").stdout.strip() == str(tmp_path / "mine.so")


def test_package_then_build_tree_then_system(tmp_path: Path) -> None:
    sources = copied_package(tmp_path)
    system, built = tmp_path / "system", tmp_path / "build" / "lib"
    packaged = Path(sources) / "dfmerge" / "lib"
    for folder in (system, built, packaged):
        folder.mkdir(parents=True)

    def found() -> str:
        return run(SAY, PYTHONPATH=sources, LD_LIBRARY_PATH=str(system)).stdout.strip()

    shutil.copy(LIBRARY, system / f"libdfmerge.so.{_ffi.DFM_ABI_VERSION}")
    shutil.copy(LIBRARY, built / "libdfmerge.so")
    # A build folder alone could be anyone's.
    assert found() == str(system / f"libdfmerge.so.{_ffi.DFM_ABI_VERSION}")
    (tmp_path / "Package.swift").touch()
    assert found() == str(built / "libdfmerge.so")
    shutil.copy(LIBRARY, packaged)
    (packaged / LIBRARY.name).rename(packaged / "libdfmerge.so")
    assert found() == str(packaged / "libdfmerge.so")


def test_where_there_is_none_every_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "Package.swift").touch()
    said = run("import dfmerge", PYTHONPATH=copied_package(tmp_path)).stderr
    assert f"{tmp_path}/build/lib/libdfmerge.so (not there)" in said
    assert "src/dfmerge/lib/libdfmerge.so (not there)" in said
    assert f"libdfmerge.so.{_ffi.DFM_ABI_VERSION}: cannot open" in said
    assert "make lib" in said and "DFMERGE_LIBRARY" in said


def test_a_chosen_file_that_is_missing_is_the_variables(tmp_path: Path) -> None:
    said = run("import dfmerge", DFMERGE_LIBRARY=str(tmp_path / "none.so")).stderr
    assert f"{tmp_path}/none.so is not there; the environment variable DFMERGE_LIBRARY" in said
    assert "or unset it" in said


def test_without_torch_the_extra_is_named() -> None:
    code = "import sys; sys.modules['torch'] = None; import dfmerge.torch"
    said = run(code, DFMERGE_LIBRARY=str(LIBRARY)).stderr
    assert "ModuleNotFoundError: dfmerge.torch needs torch" in said
    assert "pip install 'dfmerge[torch]'" in said


def test_a_damaged_library_in_the_package_is_not_passed_over(tmp_path: Path) -> None:
    sources = copied_package(tmp_path)
    (tmp_path / "Package.swift").touch()
    (tmp_path / "build" / "lib").mkdir(parents=True)
    shutil.copy(LIBRARY, tmp_path / "build" / "lib" / "libdfmerge.so")
    (Path(sources) / "dfmerge" / "lib").mkdir()
    (Path(sources) / "dfmerge" / "lib" / "libdfmerge.so").write_text("version 1 of git-lfs")
    said = run("import dfmerge", PYTHONPATH=sources).stderr
    assert "dfmerge/lib/libdfmerge.so is not a shared library" in said and "pip install" in said


@pytest.mark.parametrize(
    ("start", "says"),
    [
        (b"", "is not a shared library of Linux"),
        (b"#!/bin/sh\necho I am no library\n", "is not a shared library of Linux"),
        (b"\x7fELF\x02\x01\x01" + bytes(11) + b"\xf3\x00", "is built for riscv64; this machine is"),
        (b"\x7fELF\x02\x01\x01" + bytes(11) + b"\x99\x00", "is built for machine 153; this"),
    ],
)
def test_what_is_no_library_of_this_machine(tmp_path: Path, start: bytes, says: str) -> None:
    path = tmp_path / "wrong.so"
    path.write_bytes(start)
    said = run("import dfmerge", DFMERGE_LIBRARY=str(path)).stderr
    assert f"ImportError: {path} {says}" in said and "Set DFMERGE_LIBRARY to" in said


@pytest.mark.parametrize("size", [40, 5000, -1])
def test_a_library_that_was_cut_short(tmp_path: Path, size: int) -> None:
    whole = LIBRARY.read_bytes()
    path = tmp_path / "cut.so"
    path.write_bytes(whole[:size])
    said = run("import dfmerge", DFMERGE_LIBRARY=str(path)).stderr
    assert f"{path} is cut short: it has {len(whole[:size]):,} of " in said


def test_a_library_that_the_system_refuses_says_what_it_said(tmp_path: Path) -> None:
    path = compiled(tmp_path / "needs.so", "int missing(void); int f(void) { return missing(); }")
    said = run("import dfmerge", DFMERGE_LIBRARY=path, LD_BIND_NOW="1").stderr
    assert f"{path} does not load: " in said and "undefined symbol: missing" in said


def test_a_library_that_may_not_be_read(tmp_path: Path) -> None:
    said = run("import dfmerge", DFMERGE_LIBRARY=str(tmp_path)).stderr
    assert f"{tmp_path} cannot be read: Is a directory" in said


def test_another_library_lacks_the_first_function(tmp_path: Path) -> None:
    path = compiled(tmp_path / "other.so", "int other(void) { return 1; }")
    said = run("import dfmerge", DFMERGE_LIBRARY=path).stderr
    assert f"{path} is not libdfmerge: it lacks dfm_version" in said


def test_another_abi_is_refused_with_both_versions_of_both(tmp_path: Path) -> None:
    path = compiled(
        tmp_path / "newer.so",
        "int dfm_abi_version(void) { return 99; }\n"
        'const char *dfm_version(void) { return "9.8.7"; }\n',
    )
    said = run("import dfmerge", DFMERGE_LIBRARY=path).stderr
    assert f"{path} is libdfmerge 9.8.7 with ABI version 99" in said
    assert f"dfmerge {_ffi.DFM_VERSION}, needs ABI version {_ffi.DFM_ABI_VERSION}" in said
    assert "DFMERGE_LIBRARY" in said


def test_an_older_library_is_told_what_it_lacks(tmp_path: Path) -> None:
    names = [name for name in _ffi.PROTOTYPES if "version" not in name]
    kept, lacking = names[:-4], names[-4:]
    source = f"int dfm_abi_version(void) {{ return {_ffi.DFM_ABI_VERSION}; }}\n"
    source += 'const char *dfm_version(void) { return "0.0.9"; }\n'
    source += "".join(f"void {name}(void) {{}}\n" for name in kept)
    path = compiled(tmp_path / "older.so", source)
    said = run("import dfmerge", DFMERGE_LIBRARY=path).stderr
    assert f"{path} is libdfmerge 0.0.9" in said and "older than the package" in said
    assert f"lacks {', '.join(lacking[:3])} and 1 more" in said


def test_the_error_is_an_import_error_that_can_be_caught(tmp_path: Path) -> None:
    code = "try:\n  import dfmerge\nexcept ImportError as e:\n  print('caught', e.__cause__)"
    caught = run(code, DFMERGE_LIBRARY=str(tmp_path / "none.so"))
    assert caught.stdout.strip() == "caught None" and caught.returncode == 0


def test_nothing_of_a_swift_toolchain_is_loaded() -> None:
    code = (
        "import dfmerge; dfmerge.methods(); dfmerge.search_options(); "
        "dfmerge.Optimizer({'x': (0, 1)}).ask(); print(open('/proc/self/maps').read())"
    )
    maps = run(code, DFMERGE_LIBRARY=os.environ.get("DFMERGE_LIBRARY")).stdout
    files = {line.split(maxsplit=5)[5] for line in maps.splitlines() if "/" in line}
    assert str(LIBRARY) in files
    assert [path for path in files if SWIFT.match(os.path.basename(path))] == []


def test_nothing_of_a_swift_toolchain_is_named() -> None:
    command = ["readelf", "--dynamic", "--wide", LIBRARY]
    dynamic = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic)
    assert needed and all(re.match(r"lib(c|m|gcc_s)\.so|ld-linux", name) for name in needed)
    assert "RUNPATH" not in dynamic and "RPATH" not in dynamic


def test_names_that_come_when_asked_for() -> None:
    code = (
        "import sys, dfmerge; before = 'dfmerge._optimizer' in sys.modules; "
        "print(before, set(dfmerge.__all__) <= set(dir(dfmerge)), dfmerge.Optimizer.__name__, "
        "dfmerge.optimizer_options.__name__, dfmerge.OptimizerTrial.__name__)"
    )
    library = os.environ.get("DFMERGE_LIBRARY")
    assert run(code, DFMERGE_LIBRARY=library).stdout.split() == [
        "False", "True", "Optimizer", "optimizer_options", "OptimizerTrial",
    ]  # fmt: skip
    with pytest.raises(AttributeError, match="module 'dfmerge' has no attribute 'Optimiser'"):
        dfmerge.Optimiser  # type: ignore[attr-defined]  # noqa: B018
    namespace: dict[str, object] = {}
    exec("from dfmerge import *", namespace)
    assert set(dfmerge.__all__) - {"__version__"} <= namespace.keys()
