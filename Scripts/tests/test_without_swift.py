"""What runs in without-swift.sh must not find Swift, and the script must not pass where it does."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "without-swift.sh"


@pytest.fixture
def toolchain(tmp_path: Path) -> Path:
    """A toolchain that has nothing but what the script asks it."""
    root = tmp_path / "toolchain"
    (root / "bin").mkdir(parents=True)
    (root / "lib" / "swift").mkdir(parents=True)
    (root / "lib" / "swift" / "libswiftCore.so").touch()
    program = root / "bin" / "swiftc"
    program.write_text(f'#!/bin/sh\necho \'"runtimeResourcePath": "{root}/lib/swift"\'\n')
    program.chmod(0o755)
    shutil.copy(program, root / "bin" / "swift")
    return root


def run(
    toolchain: Path, command: str, root: bool = True, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a shell command behind the script; without `root`, as if nothing could be mounted."""
    path = f"{toolchain}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    if not root:
        fake = toolchain.parent / "fake"
        fake.mkdir(exist_ok=True)
        (fake / "unshare").write_text("#!/bin/sh\nexit 1\n")
        (fake / "unshare").chmod(0o755)
        path = f"{fake}:{path}"
    return subprocess.run(
        [str(SCRIPT), "bash", "-c", command],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": path, **environment},
        check=False,
    )


def test_neither_programs_nor_variables_lead_to_swift(toolchain: Path) -> None:
    command = "command -v swift swiftc; echo ${LD_LIBRARY_PATH-none} ${DFMERGE_LIBRARY-none}"
    for root in (True, False):
        found = run(toolchain, command, root, LD_LIBRARY_PATH="/x", DFMERGE_LIBRARY="/x")
        assert found.stdout.splitlines()[-1] == "none none" and found.returncode == 0
        assert "/bin/swift" not in found.stdout


def test_it_says_which_of_the_two_it_was(toolchain: Path) -> None:
    assert "its folders stay" in run(toolchain, "true", root=False).stdout
    probe = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False)
    said = run(toolchain, f"ls -A {toolchain}").stdout.splitlines()
    if os.getuid() == 0 and probe.returncode == 0:
        assert f"empty folders cover {toolchain}" in said[0] and said[1:] == []
    else:
        assert "its folders stay" in said[0] and said[1:] == ["bin", "lib"]
    assert (toolchain / "lib" / "swift" / "libswiftCore.so").exists()


def test_the_commands_status_is_handed_on(toolchain: Path) -> None:
    assert run(toolchain, "exit 7").returncode == 7
    assert run(toolchain, "exit 7", root=False).returncode == 7


def test_swift_among_the_systems_programs_is_an_error_where_it_cannot_be_covered(
    toolchain: Path,
) -> None:
    (toolchain / "bin" / "sh").symlink_to("/bin/sh")
    found = run(toolchain, "echo ran", root=False)
    assert found.returncode == 1 and "ran" not in found.stdout
    assert f"{toolchain}/bin/swift lies among the system's programs" in found.stderr


def test_swift_among_the_systems_programs_is_covered_as_root(toolchain: Path) -> None:
    (toolchain / "bin" / "sh").symlink_to("/bin/sh")
    found = run(toolchain, f"swift || echo $?; ls {toolchain}/bin {toolchain}/lib/swift; echo ran")
    if "its folders stay" in found.stdout or found.returncode == 1:
        assert "lies among the system's programs" in found.stderr
    else:
        assert found.stdout.splitlines()[1:] == [
            "126", f"{toolchain}/bin:", "sh", "swift", "swiftc", "",
            f"{toolchain}/lib/swift:", "ran",
        ]  # fmt: skip


def test_without_a_command_it_fails() -> None:
    found = subprocess.run([str(SCRIPT)], capture_output=True, text=True, check=False)
    assert found.returncode == 1 and "usage:" in found.stderr
