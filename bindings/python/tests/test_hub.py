"""Models of the Hugging Face hub, with a stand-in for huggingface_hub: nothing is downloaded."""

from __future__ import annotations

import fnmatch
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import dfmerge


class Hub:
    """What stands on the hub: one folder for every id that is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[tuple[str, str | None]] = []
        self.error: Exception | None = None

    def snapshot_download(
        self,
        repo_id: str,
        *,
        revision: str | None,
        allow_patterns: list[str],
        ignore_patterns: list[str],
    ) -> str:
        self.asked.append((repo_id, revision))
        if self.error:
            raise self.error
        cache = self.folder.parent / "cache" / repo_id.replace("/", "--")
        for file in (path for path in self.folder.rglob("*") if path.is_file()):
            name = str(file.relative_to(self.folder))
            wanted = any(fnmatch.fnmatch(name, pattern) for pattern in allow_patterns)
            if wanted and not any(fnmatch.fnmatch(name, pattern) for pattern in ignore_patterns):
                (cache / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, cache / name)
        return str(cache)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """A hub with a small model, and an empty working folder."""
    model = tmp_path / "hub"
    dfmerge.save({"w": np.arange(3, dtype=np.float32)}, model)
    for name in ("config.json", "tokenizer.model", "chat_template.jinja", "pytorch_model.bin"):
        (model / name).write_text("{}")
    (model / "onnx").mkdir()
    (model / "onnx" / "model.safetensors").write_text("not this one")
    found = Hub(model)
    module: Any = SimpleNamespace(snapshot_download=found.snapshot_download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return found


def test_an_id_is_downloaded_and_opened(hub: Hub, tmp_path: Path) -> None:
    weights = dfmerge.load("owner/name")
    assert hub.asked == [("owner/name", None)]
    assert weights.path == str(tmp_path / "cache" / "owner--name") and list(weights) == ["w"]
    found = {str(file.relative_to(weights.path)) for file in Path(weights.path).rglob("*")}
    assert found == {"model.safetensors", "config.json", "tokenizer.model", "chat_template.jinja"}


def test_a_revision_stands_after_an_at_sign(hub: Hub) -> None:
    dfmerge.load("some-owner/a.name_2@refs/pr/1")
    assert hub.asked == [("some-owner/a.name_2", "refs/pr/1")]


def test_a_merge_takes_ids_for_base_and_models(hub: Hub) -> None:
    merged = dfmerge.merge("o/base", {"a": "o/a"}, "task_arithmetic", progress=False)
    assert [asked for asked, _ in hub.asked] == ["o/base", "o/a"]
    np.testing.assert_array_equal(merged["w"], np.arange(3, dtype=np.float32))


def test_what_is_there_is_never_asked_for(hub: Hub) -> None:
    shutil.copytree(hub.folder, "owner/name")
    assert dfmerge.load("owner/name").path == "owner/name" and hub.asked == []


@pytest.mark.parametrize(
    "path", ["here/name", "name", "./name", "/owner/name", "a/b/c", "~/name", "owner/na me", "o/"]
)
def test_a_wrong_path_is_no_id(hub: Hub, path: str) -> None:
    Path("here").mkdir()
    with pytest.raises(dfmerge.InputOutputError, match=f"{path}.* failed"):
        dfmerge.load(path)
    assert hub.asked == []


def test_what_the_hub_says_is_passed_on(hub: Hub) -> None:
    hub.error = FileNotFoundError("offline mode is enabled and the model is not in the cache")
    with pytest.raises(dfmerge.InputOutputError, match="FileNotFoundError: offline mode") as error:
        dfmerge.load("owner/name")
    said = str(error.value)
    assert "no file or folder owner/name" in said and "pass its folder" in said
    assert error.value.__cause__ is hub.error


def test_a_model_without_safetensors_is_refused_by_its_folder(hub: Hub, tmp_path: Path) -> None:
    (hub.folder / "model.safetensors").unlink()
    with pytest.raises(dfmerge.Error, match=str(tmp_path / "cache")):
        dfmerge.load("owner/name")


def test_without_the_extra_the_message_names_it(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(dfmerge.InputOutputError, match=r"pip install 'dfmerge\[hf\]'") as error:
        dfmerge.merge("owner/name", ["owner/name"], "average")
    assert "snapshot_download" in str(error.value)
