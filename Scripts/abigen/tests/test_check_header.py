from __future__ import annotations

from pathlib import Path

import pytest
from abigen import check_header, generate
from abigen.project import Project
from abigen.toolchain import Toolchain


def swift_problems(header: Path, project: Project, toolchain: Toolchain) -> list[str]:
    return check_header.matches_swift(
        header, project.sources, project.shims, [project.modules], project.package_name(), toolchain
    )


def edit(header: Path, old: str, new: str) -> None:
    text = header.read_text(encoding="utf-8")
    assert old in text
    header.write_text(text.replace(old, new), encoding="utf-8")


def test_the_generated_header_passes(written: Path, project: Project, toolchain: Toolchain) -> None:
    header = written / generate.HEADER
    assert check_header.compiles(header, toolchain) == []
    assert swift_problems(header, project, toolchain) == []


@pytest.mark.parametrize(
    ("old", "new", "failures"),
    [
        ("int64_t count", "int64_t class", 3),  # a word of C++ only
        ("#include <stdint.h>", "", 5),
        ("/** A big box. */", "/* a /* b */", 5),
    ],
)
def test_a_header_that_does_not_compile(
    written: Path, toolchain: Toolchain, old: str, new: str, failures: int
) -> None:
    header = written / generate.HEADER
    edit(header, old, new)
    assert len(check_header.compiles(header, toolchain)) == failures


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("int64_t count,", "int32_t count,"),
        ("const double *values", "double *values"),
        ("float scale", "double scale"),
        ("const char *dfm_version(void);", ""),
        ("void dfm_box_free(dfm_box *box)", "void dfm_box_free(dfm_box **box)"),
    ],
)
def test_a_header_that_differs_from_swift(
    written: Path, project: Project, toolchain: Toolchain, old: str, new: str
) -> None:
    header = written / generate.HEADER
    edit(header, old, new)
    (problem,) = swift_problems(header, project, toolchain)
    assert "+CAPI.swift:" in problem
    assert "error:" in problem
