from __future__ import annotations

from pathlib import Path

import pytest
from abigen import check_library, generate
from abigen.model import Interface
from abigen.toolchain import Toolchain

GOOD = ["-Wl,-soname,libdfmerge.so.4", "-Wl,-z,nodelete"]


def build(
    folder: Path,
    interface: Interface,
    script: str,
    flags: list[str],
    extra: str = "",
) -> Path:
    """A library of empty functions, linked with the given version script and flags."""
    source, library, version = folder / "stub.c", folder / "libdfmerge.so", folder / "stub.map"
    names = [function.name for function in interface.functions]
    source.write_text("".join(f"void {name}(void) {{}}\n" for name in names) + extra)
    version.write_text(script, encoding="utf-8")
    command = ["gcc", "-shared", "-fPIC", "-o", str(library), str(source)]
    Toolchain.run([*command, f"-Wl,--version-script={version}", "-Wl,--no-as-needed", *flags])
    return library


def test_a_good_library_passes(
    tmp_path: Path, interface: Interface, generated: dict[str, str], toolchain: Toolchain
) -> None:
    library = build(tmp_path, interface, generated[generate.MAP], GOOD)
    assert check_library.check(library, interface, toolchain) == []
    assert "libc.so.6" in check_library.needed(library, toolchain)


def test_symbols_that_differ_from_the_header(
    tmp_path: Path, interface: Interface, generated: dict[str, str], toolchain: Toolchain
) -> None:
    script = generated[generate.MAP].replace("dfm_version;", "dfm_stray; _stray;")
    extra = "void dfm_stray(void) {}\nint _stray;\n"
    library = build(tmp_path, interface, script, GOOD, extra)
    assert check_library.check(library, interface, toolchain) == [
        "libdfmerge.so does not export dfm_version@@DFMERGE_4.0",
        "libdfmerge.so exports _stray@@DFMERGE_4.0, which the header does not declare",
        "libdfmerge.so exports dfm_stray@@DFMERGE_4.0, which the header does not declare",
    ]


def test_symbols_of_another_version(
    tmp_path: Path, interface: Interface, generated: dict[str, str], toolchain: Toolchain
) -> None:
    script = generated[generate.MAP].replace("DFMERGE_4.0", "DFMERGE_3.0")
    library = build(tmp_path, interface, script, GOOD)
    assert len(check_library.check(library, interface, toolchain)) >= len(interface.functions)


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (["-Wl,-z,nodelete"], "has SONAME [], not libdfmerge.so.4"),
        (["-Wl,-soname,libdfmerge.so.3", "-Wl,-z,nodelete"], "has SONAME ['libdfmerge.so.3']"),
        (["-Wl,-soname,libdfmerge.so.4"], "`-z nodelete`"),
        ([*GOOD, "-Wl,-rpath,/build/machine"], "records the RUNPATH /build/machine"),
        ([*GOOD, "-Wl,--disable-new-dtags,-rpath,/x"], "records the RPATH /x"),
    ],
)
def test_dynamic_section_problems(
    tmp_path: Path,
    interface: Interface,
    generated: dict[str, str],
    toolchain: Toolchain,
    flags: list[str],
    problem: str,
) -> None:
    library = build(tmp_path, interface, generated[generate.MAP], flags)
    problems = check_library.check(library, interface, toolchain)
    assert any(problem in found for found in problems), problems


def test_a_library_that_a_host_lacks(
    tmp_path: Path, interface: Interface, generated: dict[str, str], toolchain: Toolchain
) -> None:
    foundation = tmp_path / "libFoundation.so"
    command = ["gcc", "-shared", "-fPIC", "-x", "c", "/dev/null", "-Wl,-soname,libFoundation.so"]
    toolchain.run([*command, "-o", str(foundation)])
    library = build(tmp_path, interface, generated[generate.MAP], [*GOOD, str(foundation)])
    assert check_library.check(library, interface, toolchain) == [
        "libdfmerge.so needs libFoundation.so, which a host need not have"
    ]


@pytest.mark.parametrize("name", ["libswiftCore.so", "libFoundation.so", "lib_Foundation.so.1"])
def test_swift_libraries_are_not_allowed(name: str) -> None:
    assert check_library.ALLOWED.fullmatch(name) is None


@pytest.mark.parametrize(
    "name",
    ["libc.so.6", "libm.so.6", "libstdc++.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2"],
)
def test_the_c_runtime_is_allowed(name: str) -> None:
    assert check_library.ALLOWED.fullmatch(name) is not None
