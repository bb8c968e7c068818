"""A small interface, compiled once, that uses every feature which the generator knows."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from abigen import generate
from abigen.model import Interface
from abigen.project import MODULE, Project
from abigen.toolchain import Toolchain

TYPES_HEADER = """\
#ifndef DFMERGE_TYPES_H
#define DFMERGE_TYPES_H

#include <stdint.h>

/** A box of numbers. */
typedef struct dfm_box dfm_box;
/** A big box. */
typedef struct dfm_big_box dfm_big_box;

/** 0, or one of DFM_ERROR_*. */
typedef int32_t dfm_status;

enum {
    DFM_OK = 0,
    /** Bad luck. */
    DFM_ERROR_LUCK = 100,
    DFM_STOP = -1
};

/** Asks the host. */
typedef int32_t (*dfm_ask_fn)(void *user, const char *what, const double *values, int64_t count,
                              dfm_box *box);

#endif
"""

VERSION = """\
enum DFMergeVersion {
  static let string = "1.2.3"
  static let abi: Int32 = 4
}
"""

BOX = """\
import CDFMergeShims

public typealias DFMBoxRef = OpaquePointer
public typealias DFMBigBoxRef = OpaquePointer

/// Makes a box from `count` values, a text and names.
///
/// - Parameters:
///   - values: [in] [nullable] The values,
///     in order.
///   - count: [in] How many.
///   - names: [in] One name each.
///   - box: [out] [owned] The box; free it with dfm_box_free.
@_cdecl("dfm_box_create")
public func dfm_box_create(
  _ values: UnsafePointer<Double>?, _ count: Int64,
  _ names: UnsafePointer<UnsafePointer<CChar>?>?, _ box: UnsafeMutablePointer<DFMBoxRef?>?
) -> dfm_status { 0 }

/// Frees a box.
///
/// - Parameter box: [in] [nullable] The box.
@_cdecl("dfm_box_free")
public func dfm_box_free(_ box: DFMBoxRef?) {}

/// Asks about each value.
///
/// - Parameter box: [in] The box.
/// - Parameter ask: [in] The callback.
/// - Parameter user: [inout] [nullable] Handed to the callback.
/// - Parameter bytes: [in] Raw bytes.
/// - Parameter seed: [in] The seed.
/// - Parameter scale: [in] The scale.
/// - Returns: How many answers came.
@_cdecl("dfm_box_ask")
public func dfm_box_ask(
  _ box: DFMBoxRef?, _ ask: dfm_ask_fn?, _ user: UnsafeMutableRawPointer?,
  _ bytes: UnsafeRawPointer?, _ seed: UInt64, _ scale: Float
) -> Int64 { 0 }
"""

NAME = """\
/// The name of the library.
///
/// - Returns: [borrowed] A text.
@_cdecl("dfm_version")
public func dfm_version() -> UnsafePointer<CChar>? { nil }
"""


@pytest.fixture(scope="session")
def toolchain() -> Toolchain:
    return Toolchain()


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory, toolchain: Toolchain) -> Project:
    """The sample as a compiled working copy. Tests do not write to it."""
    root = tmp_path_factory.mktemp("sample")
    files = {
        "Sources/CDFMergeShims/include/dfmerge_types.h": TYPES_HEADER,
        "Sources/CDFMergeShims/include/module.modulemap": (
            'module CDFMergeShims { header "dfmerge_types.h" export * }\n'
        ),
        "Sources/DFMergeCore/DFMergeVersion.swift": VERSION,
        f"Sources/{MODULE}/Box+CAPI.swift": BOX,
        f"Sources/{MODULE}/Version+CAPI.swift": NAME,
        "scratch/debug.yaml": 'args: ["-package-name","sample"]\n',
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    project = Project(root, root / "scratch")
    project.modules.mkdir(parents=True)
    command = ["swiftc", "-emit-module", "-parse-as-library", "-swift-version", "6"]
    command += ["-module-name", MODULE, "-package-name", "sample", "-I", str(project.shims)]
    command += ["-emit-module-path", str(project.modules / f"{MODULE}.swiftmodule")]
    toolchain.run([*command, *map(str, sorted(project.sources.glob("*.swift")))])
    return project


@pytest.fixture(scope="session")
def interface(project: Project, toolchain: Toolchain) -> Interface:
    return project.interface(toolchain)


@pytest.fixture(scope="session")
def generated(project: Project, interface: Interface, toolchain: Toolchain) -> dict[str, str]:
    return generate.files(interface, project.types_header, toolchain)


@pytest.fixture
def written(tmp_path: Path, generated: dict[str, str]) -> Path:
    """The generated files of the sample in a folder of the test's own."""
    generate.write(tmp_path, generated)
    return tmp_path
