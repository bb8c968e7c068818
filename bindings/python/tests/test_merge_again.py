"""The program in a model card gives the same bytes once more, for every method."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from method_cases import INFOS, Info, data_of, make
from safetensors.numpy import save_file

import dfmerge

Shapes = dict[str, tuple[int, ...]]
SHAPES: Shapes = {"layers.0.mlp.weight": (5, 8), "layers.1.mlp.weight": (5, 8), "norm.weight": (7,)}
FACTORS: Shapes = {f"base_model.model.layers.0.q.lora_{side}.weight": shape
           for side, shape in (("A", (2, 6)), ("B", (5, 2)))}  # fmt: skip
WEIGHTS = ("model.safetensors", "adapter_model.safetensors")


def save(folder: str, tensors: dict[str, Any], is_adapter: bool = False) -> str:
    Path(folder).mkdir()
    save_file(tensors, Path(folder) / WEIGHTS[is_adapter])
    if is_adapter:
        config = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q"]}
        (Path(folder) / "adapter_config.json").write_text(json.dumps(config))
    return folder


def weights_of(folder: str) -> bytes:
    return next(p for n in WEIGHTS if (p := Path(folder) / n).exists()).read_bytes()


def program(folder: str) -> str:
    found = re.search(r"```python\n(.*?)```", (Path(folder) / "README.md").read_text(), re.S)
    assert found
    return found[1]


def assert_makes_again(folder: str) -> None:
    exec(program(folder), {})
    assert weights_of("merged") == weights_of(folder)


@pytest.mark.parametrize("info", INFOS, ids=lambda info: info["id"])
def test_every_method(info: Info, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    is_adapter = bool(info.get("for_adapters"))
    case = make(info, shapes=FACTORS if is_adapter else SHAPES)
    with_base = case.base is not None and not is_adapter
    base = save("base", case.base) if with_base and case.base else None
    models = [save(f"m{n}", model, is_adapter) for n, model in enumerate(case.models)]
    more: dict[str, Any] = {}
    if case.data:
        names = [f"d{n}.safetensors" for n in range(len(models))]
        for name, data in zip(names, case.data, strict=True):
            save_file(data, name)
        more[f"{data_of(info)}s"] = names
    dfmerge.merge(base, models, info["id"], out="first", **more)
    assert_makes_again("first")


def test_names_of_models_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    base, one, two = (
        save(name, {n: rng.normal(size=s).astype(np.float32) for n, s in SHAPES.items()})
        for name in ("base", "one", "two")
    )
    dfmerge.merge(base, {"a": one, "c": two}, "emr", options={"task": "c"}, out="first")
    assert '    {"a": "one", "c": "two"},\n' in program("first")
    assert_makes_again("first")


def test_a_filter_that_is_no_unicode() -> None:
    model = {"w": np.ones(3, np.float32)}
    options = {"density": [{"filter": "\ud800", "value": 0.5}]}
    with pytest.raises(dfmerge.Error, match="half of a pair, and so is not valid Unicode"):
        dfmerge.merge(model, [model], "ties", options=options)


@pytest.mark.parametrize("name", ["model.w.weight", "w"])
def test_gram_matrices_of_other_names_are_refused(name: str) -> None:
    model = {"w.weight": np.ones((2, 3), np.float32)}
    gram = {name: np.eye(3, dtype=np.float32)}
    with pytest.raises(dfmerge.Error, match=f"'{name}' may be meant for 'w.weight'"):
        dfmerge.merge(None, [model, model], "regmean", grams=[gram, gram])
