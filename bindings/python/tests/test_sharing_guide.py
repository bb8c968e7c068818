"""The blocks of the guide to shared layers run as they are printed, one after the other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import dfmerge  # noqa: E402

GUIDE = Path(__file__).parents[3] / "docs" / "layer-sharing.md"


def test_the_guide_runs_as_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    draws = np.random.default_rng(0)
    model = {
        f"encoder.layer.{n}.fc.weight": draws.normal(size=(3, 2)).astype(np.float32)
        for n in range(4)
    }
    dfmerge.save({**model, "head.0": model["encoder.layer.0.fc.weight"]}, "trained")
    names: dict[str, Any] = {}
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text("utf-8"), re.S)
    assert len(blocks) == 4
    exec(blocks[0], names)
    first, third = "encoder.layer.0.fc.weight", "encoder.layer.2.fc.weight"
    assert names["ties"][third] == first and len(names["ties"]) == 2
    shared = dfmerge.load("shared")
    np.testing.assert_allclose(np.asarray(shared[third]), (model[first] + model[third]) / 2, 1e-6)
    exec(blocks[1], names)
    assert names["aliases"]["5.0.weight"] == "0.0.weight" and len(names["aliases"]) == 6
    assert len(list(names["net"].parameters())) == 12
    exec(blocks[2], names)
    exec(blocks[3], names)
    weight = names["net"][0].weight.detach().numpy()
    np.testing.assert_allclose(np.asarray(names["mean"]), weight, 1e-5, 1e-7)
