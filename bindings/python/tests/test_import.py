"""Importing, loading and the package's promises about both."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import dfmerge
from dfmerge import _ffi, _loader


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )


def test_import_needs_the_standard_library_alone() -> None:
    code = (
        "import sys; import dfmerge; "
        "print([m for m in ('torch', 'numpy', 'tqdm', 'matplotlib') if m in sys.modules])"
    )
    assert run(code).stdout.strip() == "[]"


def test_a_wrong_library_is_refused_by_name(tmp_path: Path) -> None:
    found = run("import dfmerge", DFMERGE_LIBRARY=str(tmp_path / "none.so"))
    assert "none.so (not there)" in found.stderr and "DFMERGE_LIBRARY" in found.stderr


def test_another_abi_is_refused_with_both_numbers(tmp_path: Path) -> None:
    source = tmp_path / "fake.c"
    source.write_text("int dfm_abi_version(void) { return 99; }\n")
    library = tmp_path / "fake.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source], check=True)
    found = run("import dfmerge", DFMERGE_LIBRARY=str(library))
    assert "ABI version 99" in found.stderr and f"needs {_ffi.DFM_ABI_VERSION}" in found.stderr


def test_versions_agree() -> None:
    assert dfmerge.__version__ == _ffi.DFM_VERSION
    assert _loader.lib.dfm_abi_version() == _ffi.DFM_ABI_VERSION


def test_every_error_code_has_its_class() -> None:
    from dfmerge._errors import from_status

    for name, value in vars(_ffi).items():
        if name.startswith("DFM_ERROR_"):
            error = from_status(value, "text")
            assert type(error) is not dfmerge.Error and str(error) == "text" and error.code == value
    # A number of a later library falls back to its hundred.
    assert isinstance(from_status(299, "x"), dfmerge.InputOutputError)
