from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from abigen import docs
from abigen.model import AbigenError, Interface
from abigen.project import Project


@pytest.fixture
def root(tmp_path: Path, project: Project) -> Path:
    """The sample's documents and their sources, to be edited."""
    for name in (docs.CODES, docs.CLASSES, docs.ERRORS, docs.OWNERSHIP):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(project.root / name, tmp_path / name)
    return tmp_path


def test_a_row_per_status(root: Path, interface: Interface) -> None:
    text = docs.files(root, interface)[docs.ERRORS]
    row = "| 100 | `DFM_ERROR_LUCK` | `.luck` | `BadLuck` | The dice fell wrong. | Throw again. |"
    assert row in text.splitlines()
    assert text.startswith("# A title\n")
    assert text.endswith("<!-- end -->\n\nMore.\n")


def test_a_row_per_function_with_pointers(root: Path, interface: Interface) -> None:
    lines = docs.files(root, interface)[docs.OWNERSHIP].splitlines()
    assert "| `dfm_version` | | | | | the result | |" in lines
    assert "| `dfm_box_create` | | | | `box`: `dfm_box_free` | | |" in lines


def test_the_text_is_stable(root: Path, interface: Interface) -> None:
    first = docs.files(root, interface)
    for name, text in first.items():
        (root / name).write_text(text, encoding="utf-8")
    assert docs.files(root, interface) == first


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        (docs.ERRORS, docs._END, "", "errors.md needs one"),
        (docs.OWNERSHIP, docs._BEGIN, docs._END, "ownership.md needs one"),
        (docs.CODES, "100", "101", r"differ in the numbers \[100, 101\]"),
        (docs.CLASSES, "1:", "2:", "has no class for DFM_ERROR_LUCK = 100"),
        (docs.CLASSES, "_BY_HUNDRED", "_OTHER", "has no table _BY_HUNDRED"),
    ],
)
def test_a_source_that_does_not_fit_is_an_error(
    root: Path, interface: Interface, name: str, old: str, new: str, message: str
) -> None:
    path = root / name
    path.write_text(path.read_text().replace(old, new), encoding="utf-8")
    with pytest.raises(AbigenError, match=message):
        docs.files(root, interface)


def test_a_document_that_is_gone_is_an_error(root: Path, interface: Interface) -> None:
    (root / docs.ERRORS).unlink()
    with pytest.raises(AbigenError, match=r"docs/errors\.md is missing"):
        docs.files(root, interface)


def test_markers_in_the_wrong_order(root: Path, interface: Interface) -> None:
    (root / docs.ERRORS).write_text(f"{docs._END}\n{docs._BEGIN}\n")
    with pytest.raises(AbigenError, match="before"):
        docs.files(root, interface)


def test_a_status_without_a_remedy(
    root: Path, interface: Interface, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docs, "REMEDIES", {})
    with pytest.raises(AbigenError, match=r"remedies\.py and the types header differ in: luck"):
        docs.files(root, interface)
