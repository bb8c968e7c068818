"""The check of wheels must find what it is there for, in wheels made for the purpose."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "check-wheel.py"
TAG = "py3-none-manylinux_2_34_x86_64"
INFO = "dfmerge-1.2.dist-info"


def script() -> Any:
    """The script as a module, so that its limits can be changed."""
    spec = importlib.util.spec_from_file_location("check_wheel", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Sample:
    """A checkout and a wheel of it, without a fault until one is put in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checkout = folder / "checkout"
        package = self.checkout / "bindings" / "python" / "src" / "dfmerge"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("")
        self.readme = "For glibc 2.34 or later; a wheel of {size} MB."
        self.tag = self.metadata_tag = TAG
        self.source = "#include <string.h>\nint dfm_version(char *a) { return strlen(a); }\n"
        self.source += "int stranger(void) { return 1; }\n"
        self.options = ["-Wl,-soname,libdfmerge.so.1"]
        self.exported = "dfm_*"
        self.files = {
            "dfmerge/__init__.py": b"",
            f"{INFO}/METADATA": b"Name: dfmerge\n",
            f"{INFO}/licenses/LICENSE": b"",
            f"{INFO}/licenses/NOTICE": b"",
        }

    def library(self) -> bytes:
        versions, path = self.folder / "versions", self.folder / "sample.so"
        versions.write_text(f"DFMERGE_1.0 {{ global: {self.exported}; local: *; }};")
        command = ["gcc", "-shared", "-fPIC", "-fno-builtin", f"-Wl,--version-script={versions}"]
        command += ["-o", str(path), "-x", "c", "-", "-x", "none", *self.options]
        subprocess.run(command, input=self.source, text=True, check=True)
        return path.read_bytes()

    def wheel(self) -> Path:
        path = self.folder / f"dfmerge-1.2-{self.tag}.whl"
        files = {"dfmerge/lib/libdfmerge.so": self.library(), **self.files}
        files[f"{INFO}/WHEEL"] = f"Wheel-Version: 1.0\nTag: {self.metadata_tag}\n".encode()
        record = ""
        for name, content in files.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode()
            record += f"{name},sha256={digest.rstrip('=')},{len(content)}\n"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
            archive.writestr(f"{INFO}/RECORD", f"{record}{INFO}/RECORD,,\n")
        text = self.readme.replace("{size}", f"{path.stat().st_size / 1e6:.4f}")
        (self.checkout / "bindings" / "python" / "README.md").write_text(text)
        return path

    def findings(self) -> list[str]:
        found: list[str] = script().findings(self.wheel(), self.checkout)
        return found


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return Sample(tmp_path)


def test_a_good_wheel_passes_and_its_sizes_are_printed(sample: Sample) -> None:
    command = [sys.executable, str(SCRIPT), str(sample.wheel()), "--checkout", str(sample.checkout)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0 and run.stderr == ""
    assert "bytes (limit 7,500,000), library" in run.stdout


def test_a_finding_is_printed_and_fails(sample: Sample) -> None:
    sample.files["dfmerge/notes.txt"] = b""
    command = [sys.executable, str(SCRIPT), str(sample.wheel()), "--checkout", str(sample.checkout)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "has the unexpected file dfmerge/notes.txt" in run.stderr


def needs_a_stranger(sample: Sample) -> None:
    stranger = sample.folder / "libstranger.so"
    command = ["gcc", "-shared", "-fPIC", "-Wl,-soname,libstranger.so.3", "-o", str(stranger)]
    subprocess.run([*command, "-x", "c", "-"], input="int s;", text=True, check=True)
    sample.options += ["-Wl,--no-as-needed", str(stranger)]


FAULTS: list[tuple[Callable[[Sample], Any], str]] = [
    (lambda s: setattr(s, "tag", "py3-none-linux_x86_64"), "is not called"),
    (lambda s: setattr(s, "tag", "cp311-cp311-manylinux_2_34_x86_64"), "is not called"),
    (lambda s: setattr(s, "metadata_tag", "py3-none-any"), f"has not exactly the tag {TAG}"),
    (lambda s: s.files.pop(f"{INFO}/licenses/LICENSE"), "lacks the file dfmerge-1.2.dist-info/lic"),
    (lambda s: s.files.pop(f"{INFO}/licenses/NOTICE"), "lacks the file dfmerge-1.2.dist-info/lic"),
    (lambda s: s.files.pop("dfmerge/__init__.py"), "lacks the file dfmerge/__init__.py"),
    (lambda s: s.files.update({"dfmerge/lib/libswiftCore.so": b""}), "unexpected file dfmerge/l"),
    (needs_a_stranger, "needs libstranger.so.3, which not every Linux has"),
    (lambda s: s.options.append("-Wl,-rpath,/toolchain"), "searches libraries in /toolchain"),
    (lambda s: s.options.append("-Wl,-soname,libother.so"), "has no SONAME libdfmerge.so.N"),
    (lambda s: setattr(s, "exported", "*"), "exports stranger beside"),
    (lambda s: setattr(s, "tag", "py3-none-manylinux_2_1_x86_64"), "needs glibc 2.2, its tag"),
    (lambda s: setattr(s, "readme", "glibc 2.17 or later, wheel of {size} MB"), "says 2.17"),
    (lambda s: setattr(s, "readme", "wheel of {size} MB"), "does not say 'glibc X.Y or later'"),
    (lambda s: setattr(s, "readme", "glibc 2.34 or later, wheel of 3 MB"), "README.md says 3 MB"),
    (lambda s: setattr(s, "readme", "glibc 2.34 or later"), "does not say 'wheel of N MB'"),
]


@pytest.mark.parametrize(("fault", "says"), FAULTS)
def test_a_fault_is_found(sample: Sample, fault: Callable[[Sample], Any], says: str) -> None:
    assert sample.findings() == []
    fault(sample)
    assert [finding for finding in sample.findings() if says in finding], sample.findings()


def test_a_changed_file_is_found(sample: Sample) -> None:
    path = sample.wheel()
    changed = path.parent / "changed" / path.name
    changed.parent.mkdir()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            new.writestr(name, b"other" if name == "dfmerge/__init__.py" else old.read(name))
    text = sample.readme.replace("{size}", f"{changed.stat().st_size / 1e6:.4f}")
    (sample.checkout / "bindings" / "python" / "README.md").write_text(text)
    found = script().findings(changed, sample.checkout)
    assert found == ["records another content for dfmerge/__init__.py"]


@pytest.mark.parametrize("limit", ["WHEEL_LIMIT", "LIBRARY_LIMIT"])
def test_what_has_grown_over_its_limit_is_found(sample: Sample, limit: str) -> None:
    module = script()
    setattr(module, limit, 1000)
    (found,) = module.findings(sample.wheel(), sample.checkout)
    assert "limit" in found and "1,000" in found


def test_only_what_git_knows_may_be_packed(sample: Sample) -> None:
    source = sample.checkout / "bindings" / "python" / "src" / "dfmerge"
    for command in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", "-C", str(sample.checkout), *command], check=True)
    assert sample.findings() == []
    (source / "draft.py").write_text("")
    sample.files["dfmerge/draft.py"] = b""
    assert sample.findings() == ["has the unexpected file dfmerge/draft.py"]
