#!/usr/bin/env python3
"""Tests the wheel on every CPython 3.10 to 3.13 of this machine, without torch.

    test-pythons.py [--whole] WHEELS ENVIRONMENTS

WHEELS is the folder with the wheel; ENVIRONMENTS is where the virtual environments are kept. Each
Python runs the wheel by itself with nothing but the standard library; then, with numpy and the
other packages of the tests, tests that need no torch: those of what Pythons differ in, and with
--whole all of them. Pythons are looked for in PATH and among pyenv's versions.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
TESTS = CHECKOUT / "bindings" / "python" / "tests"
MINORS = range(10, 14)
PACKAGES = (
    "numpy", "ml_dtypes", "safetensors", "pytest", "hypothesis", "matplotlib", "tqdm", "optuna",
    "mypy",
)  # fmt: skip
# What a Python can differ in: importing, ctypes, arrays, buffers, files, threads, forks, its end.
DIFFERING = (
    "test_c_interface.py", "test_dlpack_in.py", "test_dlpack_out.py", "test_import.py",
    "test_interpreter_exit.py", "test_library.py", "test_merge.py", "test_merge_arguments.py",
    "test_processes.py", "test_search.py", "test_threads.py",
)  # fmt: skip

_ASK = """
import ensurepip, sys, sysconfig, venv
free = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
print(sys.implementation.name, *sys.version_info[:2], sys.maxsize > 2**32 and not free)
"""


def candidates() -> list[Path]:
    """Programs that may be Pythons, those of PATH first."""
    found = []
    for minor in MINORS:
        if path := shutil.which(f"python3.{minor}"):
            found.append(Path(path))
    if path := shutil.which("python3"):
        found.append(Path(path))
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    return found + sorted(pyenv.glob("3.*/bin/python3"), reverse=True)


def pythons() -> dict[int, Path]:
    """One working CPython per minor version, with venv, 64-bit and with a GIL."""
    found: dict[int, Path] = {}
    for path in candidates():
        command = [path, "-I", "-c", _ASK]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        words = answer.stdout.split()
        if answer.returncode == 0 and words[:2] == ["cpython", "3"] and words[3] == "True":
            minor = int(words[2])
            if minor in MINORS:
                found.setdefault(minor, path)
    return dict(sorted(found.items()))


def pip(python: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [python, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def environment(base: Path, folder: Path, wheel: Path, packages: tuple[str, ...]) -> Path:
    """The Python of a virtual environment with this wheel; made once for a list of packages."""
    stamp = folder / "packages"
    wanted = " ".join([str(base.resolve()), *packages])
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([base, "-m", "venv", folder], check=True)
        install = [folder / "bin" / "python", "install", "--only-binary", ":all:"]
        if packages and pip(*install, *packages).returncode != 0:
            # One by one: one that has no wheel for this Python must not take the others along.
            for package in packages:
                if (done := pip(*install, package)).returncode != 0:
                    said = (done.stderr.strip().splitlines() or ["pip failed"])[-1]
                    print(f"{folder.name}: {package} is not to be had: {said}", flush=True)
        stamp.write_text(wanted)
    python = folder / "bin" / "python"
    done = pip(python, "install", "--no-deps", "--no-index", "--force-reinstall", wheel)
    if done.returncode != 0:
        sys.exit(f"the wheel cannot be installed into {folder}:\n{done.stderr}")
    return python


def passes(python: Path, folder: Path, *arguments: str) -> bool:
    """Run tests; one that is skipped fails, since nobody would ever see it."""
    command = [python, "-m", "pytest", "-rs", "-p", "no:cacheprovider", *arguments]
    outcome = subprocess.run(
        command, cwd=TESTS.parent, capture_output=True, text=True, check=False,
        env={**os.environ, "HYPOTHESIS_STORAGE_DIRECTORY": str(folder / "hypothesis")},
    )  # fmt: skip
    lines = outcome.stdout.strip().splitlines() or ["pytest said nothing"]
    print(f"{folder.name}: {lines[-1].strip('= ')}", flush=True)
    if outcome.returncode != 0 or " skipped" in lines[-1]:
        print(outcome.stdout, outcome.stderr, sep="\n", flush=True)
        return False
    return True


def tested(minor: int, base: Path, whole: bool, wheel: Path, environments: Path) -> bool:
    """Whether the wheel works on one Python: by itself, and with the packages of the tests."""
    bare = environment(base, environments / f"3.{minor}-bare", wheel, ())
    alone = subprocess.run(
        [bare, "-I", TESTS / "standard_library.py"], capture_output=True, text=True, check=False
    )
    print(f"3.{minor}: {alone.stdout.strip()}{alone.stderr}", flush=True)
    folder = environments / f"3.{minor}"
    python = environment(base, folder, wheel, PACKAGES)
    files = [] if whole else [str(TESTS / name) for name in DIFFERING]
    return passes(python, folder, "-m", "not torch", *files) and alone.returncode == 0


def main() -> int:
    arguments = sys.argv[1:]
    whole = "--whole" in arguments
    wheels, environments = (Path(name).resolve() for name in arguments if name != "--whole")
    (wheel,) = wheels.glob("*.whl")
    found = pythons()
    for minor in MINORS:
        print(f"Python 3.{minor}: {found.get(minor, 'not found')}")
    if not found:
        print("test-pythons.py: no CPython 3.10 to 3.13 was found; install one", file=sys.stderr)
        return 1
    start = time.monotonic()
    # Two at a time: a test of a search keeps one core busy.
    with ThreadPoolExecutor(2) as pool:
        outcomes = pool.map(
            lambda minor: tested(minor, found[minor], whole, wheel, environments), found
        )
        failed = [f"3.{minor}" for minor, good in zip(found, outcomes, strict=True) if not good]
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = used.ru_utime + used.ru_stime
    print(f"{time.monotonic() - start:.0f} s, {spent:.0f} s of CPU time", flush=True)
    if failed:
        print(f"test-pythons.py: failed on Python {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
