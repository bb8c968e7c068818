from __future__ import annotations

import copy
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from abigen import generate, release, released, stub
from abigen.model import AbigenError

Record = dict[str, Any]


@pytest.fixture
def record(generated: dict[str, str]) -> Record:
    return dict(json.loads(generated[generate.RECORD]))


def function(record: Record, name: str) -> Record:
    return next(entry for entry in record["functions"] if entry["name"] == name)


def remove_function(record: Record) -> None:
    record["functions"] = [f for f in record["functions"] if f["name"] != "dfm_box_free"]


def change_parameter(record: Record) -> None:
    function(record, "dfm_box_create")["parameters"][1]["type"] = "int32_t"


def drop_const(record: Record) -> None:
    function(record, "dfm_box_create")["parameters"][0]["type"] = "double *"


def swap_parameters(record: Record) -> None:
    function(record, "dfm_box_create")["parameters"].reverse()


def add_parameter(record: Record) -> None:
    parameters = function(record, "dfm_box_free")["parameters"]
    parameters.append(copy.deepcopy(parameters[0]))


def change_result(record: Record) -> None:
    function(record, "dfm_box_ask")["returns"] = "int32_t"


def swap_handle(record: Record) -> None:
    function(record, "dfm_box_free")["parameters"][0]["type"] = "dfm_big_box *"


def renumber_status(record: Record) -> None:
    record["constants"]["DFM_ERROR_LUCK"] = 101


def insert_into_enum(record: Record) -> None:
    """What an enum without explicit numbers would do: every later one moves."""
    constants: dict[str, int] = {"DFM_OK": 0, "DFM_ERROR_NEW": 100, "DFM_ERROR_LUCK": 101}
    record["constants"] = constants | {"DFM_STOP": -1}


def remove_constant(record: Record) -> None:
    del record["constants"]["DFM_STOP"]


def remove_handle(record: Record) -> None:
    record["handles"].remove("dfm_big_box")


def change_callback(record: Record) -> None:
    record["callbacks"]["dfm_ask_fn"]["parameters"][3] = "int32_t"


def change_typedef(record: Record) -> None:
    record["typedefs"]["dfm_status"] = "int64_t"


def refuse_null(record: Record) -> None:
    function(record, "dfm_box_free")["parameters"][0]["nullable"] = False


def change_owner(record: Record) -> None:
    function(record, "dfm_box_create")["parameters"][3]["ownership"] = "borrowed"


SHRINKING: list[tuple[Callable[[Record], None], str]] = [
    (remove_function, "the function dfm_box_free of version 1.2.3 is gone"),
    (change_parameter, "the function dfm_box_create was dfm_status (const double *, int64_t, "),
    (drop_const, "is dfm_status (double *, int64_t, "),
    (swap_parameters, "is dfm_status (dfm_box **, "),
    (add_parameter, "is void (dfm_box *, dfm_box *)"),
    (change_result, "is int32_t ("),
    (swap_handle, "was void (dfm_box *) in version 1.2.3 and is void (dfm_big_box *)"),
    (renumber_status, "the constant DFM_ERROR_LUCK was 100 in version 1.2.3 and is 101"),
    (insert_into_enum, "the constant DFM_ERROR_LUCK was 100 in version 1.2.3 and is 101"),
    (remove_constant, "the constant DFM_STOP of version 1.2.3 is gone"),
    (remove_handle, "the handle dfm_big_box of version 1.2.3 is gone"),
    (change_callback, "the callback dfm_ask_fn was int32_t (void *, const char *, "),
    (change_typedef, "the typedef dfm_status was int32_t in version 1.2.3 and is int64_t"),
    (refuse_null, "'box' of dfm_box_free may no longer be NULL, as it may in version 1.2.3"),
    (change_owner, "'box' of dfm_box_create was [owned] in version 1.2.3 and is [borrowed]"),
]


@pytest.mark.parametrize(("change", "message"), SHRINKING, ids=[c.__name__ for c, _ in SHRINKING])
def test_each_way_to_shrink_is_one_problem(
    record: Record, change: Callable[[Record], None], message: str
) -> None:
    present = copy.deepcopy(record)
    change(present)
    (problem,) = released.shrunk(record, present)
    assert message in problem


def grow(record: Record) -> None:
    added = copy.deepcopy(function(record, "dfm_box_free")) | {"name": "dfm_crate_free"}
    record["functions"].insert(0, added)
    record["handles"].insert(0, "dfm_crate")
    record["constants"]["DFM_ERROR_MORE"] = 102
    function(record, "dfm_box_create")["parameters"][0]["name"] = "renamed"


def test_growing_is_no_problem(record: Record) -> None:
    present = copy.deepcopy(record)
    grow(present)
    assert released.shrunk(record, present) == []


def test_another_abi_owes_nothing_to_the_old_one(record: Record) -> None:
    present = copy.deepcopy(record) | {"abi": 5}
    remove_function(present)
    assert released.shrunk(record, present) == []


@pytest.mark.parametrize(
    ("version", "problem"),
    [("1.2.4", "raise the minor version"), ("1.3.0", None), ("1.2.2", "before the released")],
)
def test_additions_after_a_tag_need_a_minor_version(
    record: Record, version: str, problem: str | None
) -> None:
    present = copy.deepcopy(record) | {"version": version}
    grow(present)
    found = released.unraised(record, present)
    assert (problem is None and found == []) or (problem is not None and problem in found[0])


def test_a_patch_release_without_additions_is_fine(record: Record) -> None:
    assert released.unraised(record, record | {"version": "1.2.4"}) == []


# --- in a working copy -------------------------------------------------------------------------


def put(root: Path, record: Record) -> None:
    (root / generate.RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def git(root: Path, *arguments: str) -> None:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(root), *who, *arguments], check=True, capture_output=True)


def tag(root: Path, name: str) -> None:
    if not (root / ".git").exists():
        git(root, "init", "--quiet")
    git(root, "add", "-A", "-f")
    git(root, "commit", "--quiet", "--allow-empty", "-m", name)
    git(root, "tag", name)


def test_a_release_is_written_and_then_compared_with(written: Path, record: Record) -> None:
    assert "no record of a released version" in release.check(written, None)[0]
    assert release.write(written) == [
        f"{released.FOLDER}/1.2.3.json",
        f"{released.FOLDER}/1.2.3.abi",
    ]
    assert release.check(written, None) == []
    grow(record)
    put(written, record)
    assert released.check(written, record) == []
    remove_function(record)
    put(written, record)
    assert released.check(written, record) == [
        "the function dfm_box_free of version 1.2.3 is gone"
    ]


def test_a_release_that_shrinks_is_refused(written: Path, record: Record) -> None:
    release.write(written)
    before = (written / released.FOLDER / "1.2.3.json").read_text()
    drop_const(record)
    put(written, record)
    with pytest.raises(AbigenError, match=r"cannot be released:\nthe function dfm_box_create was"):
        release.write(written)
    assert (written / released.FOLDER / "1.2.3.json").read_text() == before


def test_a_release_without_its_dump_is_a_problem(written: Path) -> None:
    release.write(written)
    (written / released.FOLDER / "1.2.3.abi").unlink()
    assert release.check(written, None) == [
        f"{released.FOLDER}/1.2.3.abi is missing beside 1.2.3.json"
    ]


def test_the_newest_tag_counts_too(written: Path, record: Record) -> None:
    release.write(written)
    tag(written, "v1.2.3")
    assert released.check(written, record) == []
    (written / released.FOLDER / "1.2.3.json").unlink()
    (written / released.FOLDER / "1.2.3.abi").unlink()
    later = record | {"version": "1.3.0"}
    put(written, later)
    release.write(written)
    remove_constant(later)
    assert released.check(written, later) == [
        "the constant DFM_STOP of version 1.3.0 is gone",
        f"{released.FOLDER} lacks the record of v1.2.3: run `make release-record` at it",
        "the constant DFM_STOP of version 1.2.3 is gone",
    ]


def test_a_tagged_version_is_not_released_again(written: Path, record: Record) -> None:
    release.write(written)
    tag(written, "v1.2.3")
    assert release.write(written)
    record["functions"][0]["parameters"].clear()
    grow(record)
    put(written, record)
    with pytest.raises(AbigenError, match="raise the"):
        release.write(written)


def test_a_tag_without_a_record_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    tag(tmp_path, "v0.0.1")
    with pytest.raises(AbigenError, match=r"v0\.0\.1 has no include/abi/dfmerge\.json"):
        released.tagged(tmp_path)


# --- abidiff -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        ("int64_t count, const char", "int32_t count, const char", change_parameter),
        ("dfm_box_free(dfm_box *box)", "dfm_box_free(dfm_big_box *box)", swap_handle),
        ("const double *values, int64_t count, c", "double *values, int64_t count, c", drop_const),
        ("", "", remove_function),
        ("int64_t count,\n", "int32_t count,\n", None),
    ],
    ids=["parameter", "opaque swap", "const", "removed", "callback"],
)
def test_abidiff_sees_it_in_the_stub(
    written: Path,
    record: Record,
    old: str,
    new: str,
    change: Callable[[Record], None] | None,
) -> None:
    release.write(written)
    dump = written / released.FOLDER / "1.2.3.abi"
    header = written / generate.HEADER
    assert stub.differs(dump, header, written / generate.RECORD) == []
    text = header.read_text(encoding="utf-8")
    assert old in text
    header.write_text(text.replace(old, new), encoding="utf-8")
    if change is not None:
        change(record)
        put(written, record)
    (problem,) = stub.differs(dump, header, written / generate.RECORD)
    assert problem.startswith("abidiff finds changes since 1.2.3.abi:")


def test_abidiff_takes_additions(written: Path, record: Record) -> None:
    release.write(written)
    text = (written / generate.HEADER).read_text(encoding="utf-8")
    more = "void dfm_crate_free(dfm_box *crate);\ndfm_status dfm_box_create("
    (written / generate.HEADER).write_text(text.replace("dfm_status dfm_box_create(", more))
    added = copy.deepcopy(function(record, "dfm_box_free")) | {"name": "dfm_crate_free"}
    record["functions"].insert(0, added)
    put(written, record)
    dump = written / released.FOLDER / "1.2.3.abi"
    assert stub.differs(dump, written / generate.HEADER, written / generate.RECORD) == []


def test_a_library_that_lost_a_symbol_or_its_version(
    tmp_path: Path, written: Path, record: Record, generated: dict[str, str]
) -> None:
    from abigen.toolchain import Toolchain

    def build(script: str) -> Path:
        source, version = tmp_path / "all.c", tmp_path / "all.map"
        names = [entry["name"] for entry in record["functions"]]
        source.write_text("".join(f"void {name}(void) {{}}\n" for name in names))
        version.write_text(script)
        library = tmp_path / "libdfmerge.so"
        command = ["gcc", "-shared", "-fPIC", "-Wl,-soname,libdfmerge.so.4", "-o", str(library)]
        Toolchain.run([*command, f"-Wl,--version-script={version}", str(source)])
        return library

    script, path = generated[generate.MAP], written / generate.RECORD
    assert stub.symbols_removed(path, build(script)) == []
    (problem,) = stub.symbols_removed(path, build(script.replace("    dfm_box_ask;\n", "")))
    assert "dfm_box_ask@@DFMERGE_4.0" in problem
    (problem,) = stub.symbols_removed(path, build(script.replace("DFMERGE_4.0", "DFMERGE_5.0")))
    assert "dfm_version@@DFMERGE_4.0" in problem
