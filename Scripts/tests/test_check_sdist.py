"""The check of sdists must find what it is there for, in sdists made for the purpose."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "check-sdist.py"
ROOT = "dfmerge-1.2/"
FILES = {
    "Package.swift": "package",
    "Scripts/build-lib.sh": "#!/bin/sh\n",
    "Scripts/other.sh": "not packed",
    "Sources/A/A.swift": "a",
    "Tests/T/T.swift": "t",
    "include/dfmerge.h": "h",
    "bindings/python/pyproject.toml": "toml",
    "bindings/python/src/dfmerge/__init__.py": "",
    "bindings/python/tests/test_x.py": "not packed",
}


class Sample:
    """A checkout with git, and the members of an sdist of it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / f"{ROOT[:-1]}.tar.gz"
        self.checkout = folder / "checkout"
        for name, text in FILES.items():
            path = self.checkout / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (self.checkout / "Scripts" / "build-lib.sh").chmod(0o755)
        (self.checkout / "Sources" / "B").mkdir()
        (self.checkout / "Sources" / "B" / "A.swift").symlink_to("../A/A.swift")
        for command in (["init", "-q"], ["add", "."]):
            subprocess.run(["git", "-C", str(self.checkout), *command], check=True)
        self.members = {
            name.removeprefix("bindings/python/"): text.encode()
            for name, text in FILES.items()
            if text != "not packed"
        }
        self.members["PKG-INFO"] = b"made"
        self.modes = {"Scripts/build-lib.sh": 0o755}
        self.links = {"Sources/B/A.swift": "../A/A.swift"}
        self.root = ROOT

    def check(self) -> subprocess.CompletedProcess[str]:
        with tarfile.open(self.path, "w:gz") as archive:
            for name, content in self.members.items():
                member = tarfile.TarInfo(self.root + name)
                member.size, member.mode = len(content), self.modes.get(name, 0o644)
                archive.addfile(member, io.BytesIO(content))
            for name, target in self.links.items():
                member = tarfile.TarInfo(self.root + name)
                member.type, member.linkname = tarfile.SYMTYPE, target
                archive.addfile(member)
        command = [sys.executable, str(SCRIPT), str(self.path), "--checkout", str(self.checkout)]
        return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return Sample(tmp_path)


def test_a_complete_sdist_passes(sample: Sample) -> None:
    run = sample.check()
    assert run.returncode == 0 and run.stderr == "" and "9 files" in run.stdout


def copied_instead_of_linked(sample: Sample) -> None:
    sample.links.clear()
    sample.members["Sources/B/A.swift"] = b"a"


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (lambda s: s.members.pop("Tests/T/T.swift"), "lacks Tests/T/T.swift"),
        (lambda s: s.links.clear(), "lacks Sources/B/A.swift"),
        (copied_instead_of_linked, "Sources/B/A.swift not as a link to ../A/A.swift"),
        (lambda s: s.links.update({"Sources/B/A.swift": "/etc/x"}), "not as a link to ../A/"),
        (lambda s: s.members.update({"Sources/A/A.swift": b"b"}), "another content in Sources/A"),
        (lambda s: s.members.update({"Sources/draft": b""}), "Sources/draft, which git does not"),
        (lambda s: s.members.update({"tests/test_x.py": b""}), "tests/test_x.py, which git does"),
        (lambda s: s.modes.clear(), "Scripts/build-lib.sh without the right to run it"),
        (lambda s: setattr(s, "root", "other/"), "outside of dfmerge-1.2/"),
    ],
)
def test_a_fault_is_found(sample: Sample, fault: Callable[[Sample], Any], says: str) -> None:
    fault(sample)
    run = sample.check()
    assert run.returncode == 1 and says in run.stderr
