from __future__ import annotations

import ctypes
import json
from pathlib import Path

import pytest
from abigen import check_ctypes, clang_ast, generate, render_header
from abigen.model import AbigenError, Function, Interface, Parameter
from abigen.project import Project
from abigen.toolchain import Toolchain


def test_header_holds_types_docs_and_prototypes(generated: dict[str, str]) -> None:
    header = generated[generate.HEADER]
    assert "#define DFM_ABI_VERSION 4\n" in header
    assert "/** A box of numbers. */\ntypedef struct dfm_box dfm_box;\n" in header
    assert " * @param values [in] [nullable] The values,\n *     in order.\n" in header
    assert (
        "dfm_status dfm_box_create(const double *values, int64_t count, const char *const *names,\n"
        "    dfm_box **box);\n"
    ) in header
    assert "DFMERGE_TYPES_H" not in header
    assert max(len(line) for line in header.splitlines()) <= 100


def test_table_holds_constants_callbacks_and_prototypes(written: Path) -> None:
    table = check_ctypes.load(written / generate.FFI)
    assert table.DFM_STOP == -1
    assert table.PROTOTYPES["dfm_version"] == (ctypes.c_char_p, ())
    assert table.PROTOTYPES["dfm_box_free"] == (None, (ctypes.c_void_p,))
    assert table.PROTOTYPES["dfm_box_create"][1] == (
        ctypes.POINTER(ctypes.c_double),
        ctypes.c_int64,
        ctypes.POINTER(ctypes.c_char_p),
        ctypes.POINTER(ctypes.c_void_p),
    )


def test_record_and_version_script(generated: dict[str, str]) -> None:
    record = json.loads(generated[generate.RECORD])
    create = record["functions"][1]
    assert create["name"] == "dfm_box_create"
    assert create["parameters"][3] == {
        "name": "box",
        "type": "dfm_box **",
        "direction": "out",
        "ownership": "owned",
        "nullable": False,
    }
    assert "DFMERGE_4.0 {\n  global:\n    dfm_box_ask;\n" in generated[generate.MAP]


def test_bind_declares_every_function(
    tmp_path: Path, written: Path, interface: Interface, toolchain: Toolchain
) -> None:
    table = check_ctypes.load(written / generate.FFI)
    stubs = [f"long {function.name}(void) {{ return 7; }}" for function in interface.functions]

    def library(name: str, functions: list[str]) -> ctypes.CDLL:
        source, path = tmp_path / f"{name}.c", tmp_path / f"{name}.so"
        source.write_text("\n".join(functions), encoding="utf-8")
        toolchain.run(["gcc", "-shared", "-fPIC", "-o", str(path), str(source)])
        return ctypes.CDLL(str(path))

    whole = table.bind(library("whole", stubs))
    assert whole.dfm_box_ask(None, table.dfm_ask_fn(), None, None, 1, 2.0) == 7
    with pytest.raises(ctypes.ArgumentError):
        whole.dfm_box_ask(2.5, table.dfm_ask_fn(), None, None, 1, 2.0)
    with pytest.raises(AttributeError, match="dfm_version"):
        table.bind(library("lacking", stubs[1:]))


def test_no_drift_after_writing_and_drift_after_an_edit(
    written: Path, generated: dict[str, str]
) -> None:
    assert generate.drift(written, generated) == []
    assert generate.write(written, generated) == []
    header = written / generate.HEADER
    header.write_text(header.read_text().replace("int64_t count", "int32_t count"))
    (written / generate.MAP).unlink()
    edited, missing = generate.drift(written, generated)
    assert edited.startswith(generate.HEADER)
    assert "int32_t count" in edited
    assert missing.startswith(f"{generate.MAP} is missing")


def test_a_long_prototype_is_broken_within_the_width(interface: Interface) -> None:
    parameter = interface.functions[1].parameters[0]
    many = [Parameter(f"parameter_number_{n}", "double", parameter.doc) for n in range(9)]
    text = render_header.prototype(Function("dfm_x", "void", many, interface.functions[1].doc))
    assert max(len(line) for line in text.splitlines()) <= 100
    assert text.endswith("double parameter_number_8);")
    none = Function("dfm_y", "const char *", [], interface.functions[1].doc)
    assert render_header.prototype(none) == "const char *dfm_y(void);"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("DFM_OK = 0,", "DFM_OK,", "DFM_OK has no explicit number"),
        ("struct dfm_box dfm_box;", "struct dfm_box { int32_t x; } dfm_box;", "struct with fields"),
        ("int32_t dfm_status", "Wrong dfm_status", "failed"),
        ("#endif", "int32_t dfm_extra(void);\n#endif", "no Swift function"),
        ("#include <stdint.h>", '#include <stdint.h>\n#include "other.h"', "only system headers"),
        ("#ifndef", "#if 1\n#endif\n#ifndef", "include guard"),
    ],
)
def test_a_bad_types_header_is_an_error(
    tmp_path: Path,
    project: Project,
    interface: Interface,
    toolchain: Toolchain,
    old: str,
    new: str,
    message: str,
) -> None:
    edited = project.types_header.read_text(encoding="utf-8").replace(old, new)
    types = tmp_path / "dfmerge_types.h"
    types.write_text(edited, encoding="utf-8")
    with pytest.raises(AbigenError, match=message):
        generate.files(interface, types, toolchain)


def test_clang_reads_what_the_types_header_declares(project: Project, toolchain: Toolchain) -> None:
    read = clang_ast.read(project.types_header, toolchain)
    assert read.handles == ["dfm_box", "dfm_big_box"]
    assert read.typedefs == {"dfm_status": "int32_t"}
    assert read.constants == {"DFM_OK": 0, "DFM_ERROR_LUCK": 100, "DFM_STOP": -1}
    assert read.callbacks["dfm_ask_fn"].returns == "int32_t"
    assert read.callbacks["dfm_ask_fn"].parameters[1] == "const char *"
