"""What `make test-install` must not let pass: examples, guides and tests that do not work."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    names = ["Scripts", "include", "bindings/cpp", "examples", "Tests/cpp", "build/lib", "docs"]
    for name in names:
        shutil.copytree(ROOT / name, tmp_path / name, symlinks=True)
    for name in ["LICENSE", "NOTICE", "Sources/DFMergeCore/DFMergeVersion.swift"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    numbers = (tmp_path / "Sources/DFMergeCore/DFMergeVersion.swift").read_text()
    (version,) = re.findall(r'let string = "(.*)"', numbers)
    program = tmp_path / "build/bin/dfmerge"
    program.parent.mkdir(parents=True)
    # What the program does is tested elsewhere.
    program.write_text(f"#!/bin/sh\necho {version}\n")
    return tmp_path


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    free(out);\n    return 0;", "    free(out);\n    return 3;"),
        (" $(pkg-config --cflags --libs dfmerge)", ""),
        (" *     ", " * "),
    ],
    ids=["fails when run", "command that does not build", "no command"],
)
def test_an_example_that_does_not_work(tree: Path, old: str, new: str) -> None:
    change(tree / "examples/c/merge.c", old, new)
    assert run(tree / "Scripts/test-install.sh").returncode != 0


def test_an_installed_file_that_names_the_machine(tree: Path) -> None:
    config = tree / "Scripts/install/dfmergeConfig.cmake"
    config.write_text(config.read_text() + f"# {tree}\n")
    told = run(tree / "Scripts/test-install.sh")
    assert told.returncode == 1
    assert "names a path of this machine" in told.stderr


class Wrapper:
    """The wrapper's tests with nothing in them, so that one at a time can be wrong."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("prefix/include", "prefix/lib", "tests", "guide", "objects"):
            (folder / name).mkdir(parents=True)
        shutil.copy(ROOT / "include/dfmerge.h", folder / "prefix/include")
        shutil.copytree(ROOT / "bindings/cpp", folder / "prefix/include", dirs_exist_ok=True)
        shutil.copytree(
            ROOT / "build/lib", folder / "prefix/lib", symlinks=True, dirs_exist_ok=True
        )
        for unit in ("search", "weights", "merge", "json", "error", "optimizer"):
            (folder / f"tests/{unit}_test.cpp").write_text(f"extern int {unit};\nint {unit};\n")
        (folder / "tests/second_unit.cpp").write_text("extern int second;\nint second;\n")
        (folder / "tests/no_exceptions.cpp").write_text(
            "#ifdef DFMERGE_TESTS_OWN_MAIN\nint main() {}\n#endif\nextern int no;\nint no;\n"
        )
        (folder / "tests/main.cpp").write_text("int main() {}\n")
        (folder / "tests/wrong_library.cpp").write_text("int main() {}\n")
        (folder / "guide/blocks.cpp").write_text("int main() {}\n")
        (folder / "guide/plain-1.cpp").write_text("int main() {}\n")

    def run(self) -> subprocess.CompletedProcess[str]:
        folders = [self.folder / name for name in ("prefix", "tests", "guide", "objects")]
        return run(ROOT / "Scripts/test-cpp.sh", *folders)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("tests/json_test.cpp", "#error broken\n", "does not compile"),
        ("tests/main.cpp", "int main() { return 1; }\n", "the wrapper's tests fail"),
        ("tests/main.cpp", "int main() { return *new int[2] * 0; }\n", "the wrapper's tests fail"),
        ("tests/wrong_library.cpp", "int main() { return 1; }\n", ""),
        ("guide/blocks.cpp", "int main() { return 1; }\n", "does not run as printed"),
        ("prefix/include/dfmerge/weights.hpp", "", "should not compile"),
    ],
    ids=["build", "test", "leak", "library", "guide", "refusals"],
)
def test_a_wrapper_that_does_not_work(tmp_path: Path, name: str, text: str, says: str) -> None:
    wrapper = Wrapper(tmp_path)
    if text:
        (tmp_path / name).write_text(text)
    else:
        change(tmp_path / name, "static_assert(detail::is_lendable_v<C &&>", "static_assert(true")
    told = wrapper.run()
    assert told.returncode != 0
    assert says in told.stderr
