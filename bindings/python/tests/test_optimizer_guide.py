"""The Python examples of docs/optimizer-guide.md, as printed, one after the other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "optimizer-guide.md"


def test_the_guide_runs_as_printed() -> None:
    pytest.importorskip("optuna").logging.set_verbosity(40)
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.S)
    assert len(blocks) == 8
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, str(GUIDE), "exec"), names)
        if "subset_share=" in block:
            states = [trial.state for trial in names["optimizer"].trials]
            assert states.count("subset") > 0
    assert names["study"].best_params["layers"] == 3
