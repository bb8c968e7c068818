"""The Python blocks of the guide to searching run as they are printed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

GUIDE = Path(__file__).parents[3] / "docs" / "search-guide.md"


def test_every_block_runs_after_those_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = GUIDE.read_text("utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    assert len(blocks) == 8
    names: dict[str, Any] = {"__name__": "guide"}
    for block in blocks:
        line = text[: text.index(block)].count("\n")
        # Blank lines in front give a traceback the guide's own line numbers.
        exec(compile("\n" * line + block, str(GUIDE), "exec"), names)
        if "subset_share=" in block:
            assert names["states"].count("subset") > 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].endswith("trials") and "improvement" in said[2]
    assert names["result"].coefficients["maths"].keys() == {"layers 0-1", "layers 2-3", "rest"}
    assert (tmp_path / "search.jsonl").exists()
    # One of the four runs is far off.
    assert "run 1" not in names["soup"].soup and len(names["soup"].soup) > 1
    for name, value in names["same"].items():
        assert (value == names["target"][name]).all()
