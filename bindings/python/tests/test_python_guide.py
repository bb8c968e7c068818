"""The block of the page about Python runs as it is printed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import dfmerge

PAGE = Path(__file__).parents[3] / "docs" / "python.md"


def test_the_block_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    dfmerge.save({"lm_head.weight": values}, "model.safetensors")
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.S)
    names: dict[str, Any] = {}
    exec(block, names)
    address = names["tensor"]._address
    assert isinstance(names["shared"], torch.Tensor) and names["shared"].data_ptr() == address
    assert names["array"].ctypes.data == names["same"].ctypes.data == address
    assert len(names["others"]) == 4
    for array in (names["shared"], names["array"], names["same"], *names["others"]):
        np.testing.assert_array_equal(np.asarray(array), values)
