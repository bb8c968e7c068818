"""The conformance program fails for a library that breaks a promise: each check fails once.

A function that the program defines itself takes the place of the library's; the rest is the built
library in build/lib.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent.parent
RUNTIME = ROOT / "Scripts/conformance/runtime"
LIBRARY = ROOT / "build/lib"
INCLUDES = ["-I", str(ROOT / "include"), "-I", str(RUNTIME)]
Runner = Callable[..., "subprocess.CompletedProcess[str]"]

#: The library's own function of this name.
REAL = """
#define _GNU_SOURCE
#include "dfmerge.h"
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }
"""


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The program's parts, compiled once."""
    folder = tmp_path_factory.mktemp("objects")
    subprocess.run(
        ["python3", str(ROOT / "Scripts/conformance"), "--record",
         str(ROOT / "include/abi/dfmerge.json"), "--out", str(folder / "tables.c")], check=True
    )  # fmt: skip
    sources = [*sorted(RUNTIME.glob("*.c")), folder / "tables.c"]
    command = ["gcc", "-std=c11", "-D_GNU_SOURCE", "-O1", "-c", *INCLUDES, *map(str, sources)]
    subprocess.run(command, cwd=folder, check=True)
    return [str(path) for path in sorted(folder.glob("*.o"))]


@pytest.fixture
def run(tmp_path: Path, objects: list[str]) -> Runner:
    def build_and_run(defect: str, *options: str) -> subprocess.CompletedProcess[str]:
        source, program, folder = tmp_path / "defect.c", tmp_path / "program", tmp_path / "run"
        source.write_text(REAL + defect, encoding="utf-8")
        folder.mkdir()
        subprocess.run(
            ["gcc", "-w", *INCLUDES, *objects, str(source), "-o", str(program), f"-L{LIBRARY}",
             "-ldfmerge", "-lm", "-lpthread", "-ldl", f"-Wl,-rpath,{LIBRARY}"], check=True
        )  # fmt: skip
        return subprocess.run(
            [str(program), str(folder), *options], capture_output=True, text=True, check=False,
            env={key: value for key, value in os.environ.items() if key != "LD_LIBRARY_PATH"},
        )  # fmt: skip

    return build_and_run


CANCEL = "dfm_status dfm_cancel_request(dfm_cancel *cancel) "
DEFECTS = {
    "takes NULL": (CANCEL + "{ return 0; }", "is ok, should be null_pointer"),
    "no message": (
        CANCEL + '{ dfm_status (*f)() = real("dfm_cancel_request"); dfm_status s = f(cancel);'
        ' dfm_status (*g)() = real("dfm_cancel_reset"), (*h)() = real("dfm_cancel_create");'
        " dfm_cancel *c; h(&c); dfm_cancel_free(c); return s; }",
        "status 101 with the message ''",
    ),
    "message after success": (
        CANCEL + '{ dfm_status (*f)() = real("dfm_cancel_request"); dfm_status s = f(cancel);'
        " if (s == 0) f(NULL); return s; }",
        "status 0 with the message ''cancel' is NULL",
    ),
    "unpinned status": (CANCEL + "{ return 999; }", "the status 999 is not pinned"),
    "undocumented status": (
        CANCEL + '{ dfm_status (*f)() = real("dfm_cancel_request");'
        " return f(cancel) == 0 ? 0 : 400; }",
        "the status non_finite is not documented",
    ),
    "another name": (
        "const char *dfm_status_name(dfm_status status) {"
        ' const char *(*f)(dfm_status) = real("dfm_status_name");'
        ' return status == 101 ? "null" : f(status); }',
        "the status 101 is called null",
    ),
    "no text": (
        "const char *dfm_version(void) { return NULL; }",
        "dfm_version(): the text is wrong",
    ),
    "follows any handle": (
        CANCEL + '{ dfm_status (*f)() = real("dfm_cancel_request");'
        ' dfm_cancel *c; dfm_status (*make)() = real("dfm_cancel_create"), s;'
        " if (cancel != (void *)1) return f(cancel);"
        " make(&c); s = f(c); dfm_cancel_free(c); return s; }",
        "is ok, should be wrong_handle",
    ),
    "writes an output before it fails": (
        "dfm_status dfm_weights_open(const char *path, dfm_weights **out) {"
        ' dfm_status (*f)() = real("dfm_weights_open"); dfm_weights *made;'
        " dfm_status s = f(path, out ? &made : NULL); if (out) *out = s ? NULL : made; return s; }",
        "failed, and has written 'out'",
    ),
    "nothing made": (
        "dfm_status dfm_methods_describe(dfm_text **out) {"
        ' dfm_status (*f)() = real("dfm_methods_describe"); dfm_status s = f(out);'
        " if (s == 0) *out = NULL; return s; }",
        "succeeded without 'out'",
    ),
    "a valid call fails": (
        "dfm_status dfm_cancel_reset(dfm_cancel *cancel) {"
        ' dfm_status (*f)() = real("dfm_cancel_reset"); return f(NULL); }',
        "the valid call fails: null_pointer",
    ),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_the_sweep_finds(run: Runner, name: str) -> None:
    defect, message = DEFECTS[name]
    result = run(defect, "--no-pairs", "--cycles", "1")
    assert result.returncode == 1, result.stdout
    assert message in result.stderr


LEAKS = {
    "memory": (
        "void dfm_cancel_free(dfm_cancel *cancel) {"
        ' void (*f)() = real("dfm_cancel_free"); f(cancel); malloc(64); }',
        "cancel: memory grows:",
    ),
    "a handle": ("void dfm_text_free(dfm_text *text) {}", "text: memory grows:"),
    "an open file": (
        "void dfm_cancel_free(dfm_cancel *cancel) {"
        ' void (*f)() = real("dfm_cancel_free"); f(cancel); open("/", O_RDONLY); }',
        "open files",
    ),
}


@pytest.mark.parametrize("name", LEAKS)
def test_the_cycles_find_a_leak_of(run: Runner, name: str) -> None:
    defect, message = LEAKS[name]
    result = run(defect, "--no-pairs", "--cycles", "600")
    assert result.returncode == 1, result.stdout
    assert message in result.stderr


def test_nothing_is_found_where_nothing_is_wrong(run: Runner) -> None:
    result = run("", "--no-pairs", "--cycles", "2", "--unmeasured")
    assert result.returncode == 0, result.stderr
    assert " functions, " in result.stdout
