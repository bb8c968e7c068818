"""Importing, loading and the package's promises about both."""

from __future__ import annotations

import json
import os
import subprocess
import sys

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
        "top = {name.split('.')[0] for name in sys.modules} - set(sys.stdlib_module_names); "
        "print([name for name in top if hasattr(sys.modules.get(name), '__file__')])"
    )
    found = json.loads(run(code).stdout.replace("'", '"'))
    assert "dfmerge" in found
    assert {"torch", "numpy", "tqdm", "matplotlib", "huggingface_hub"} & set(found) == set()


def test_versions_agree() -> None:
    assert dfmerge.__version__ == _ffi.DFM_VERSION == _loader.lib.dfm_version().decode()
    assert _loader.lib.dfm_abi_version() == _ffi.DFM_ABI_VERSION


def test_every_error_code_has_its_class() -> None:
    from dfmerge._errors import from_status

    for name, value in vars(_ffi).items():
        if name.startswith("DFM_ERROR_"):
            error = from_status(value, "text")
            assert type(error) is not dfmerge.Error and str(error) == "text" and error.code == value
    # A number of a later library falls back to its hundred.
    assert isinstance(from_status(299, "x"), dfmerge.InputOutputError)
