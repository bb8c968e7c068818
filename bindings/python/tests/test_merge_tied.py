"""Merging into tied tensors: one memory under two names, of which the inputs have either."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dfmerge

NAMES = ("embed.weight", "a_head.weight")


def target(order: tuple[str, ...]) -> dict[str, Any]:
    """A state dict of a model that ties its head to its embedding."""
    tied = np.zeros((6, 4), np.float32)
    return {**dict.fromkeys(order, tied), "bias": np.zeros(4, np.float32)}


def stored(kept: str, value: float, path: Path | None) -> Any:
    """A model's file (or, without a path, state dict) with one of the two names."""
    state = {kept: np.full((6, 4), value, np.float32), "bias": np.full(4, value, np.float32)}
    if path is None:
        return state
    dfmerge.save(state, path)
    return str(path)


@pytest.mark.parametrize("order", [NAMES, NAMES[::-1]])
@pytest.mark.parametrize("kept", NAMES)
@pytest.mark.parametrize("files", [True, False])
@pytest.mark.parametrize("mixed", [True, False])
def test_the_name_that_the_inputs_have_is_merged(
    tmp_path: Path, order: tuple[str, ...], kept: str, files: bool, mixed: bool
) -> None:
    other = NAMES[1 - NAMES.index(kept)] if mixed else kept
    base, one, two = (
        stored(name, value, tmp_path / f"{value}.safetensors" if files else None)
        for name, value in ((kept, 1.0), (other, 2.0), (kept, 4.0))
    )
    out = target(order)
    found = dfmerge.merge(base, {"one": one, "two": two}, "average", out=out)
    assert list(found) == list(out)
    assert all((out[name] == 3).all() for name in out)
    out = target(order)
    dfmerge.merge(None, [one, two], "fisher", fishers=[two, one], out=out)
    same = [stored(kept, value, None) for value in (2.0, 4.0)]
    expected = dfmerge.merge(None, same, "fisher", fishers=same[::-1])[kept]
    assert all(np.array_equal(out[name], expected) for name in order)
    assert dfmerge.plan(base, [one, two], "average", out=target(order))["possible"]


def test_inputs_with_both_names_are_merged_once() -> None:
    out, states = target(NAMES), [target(NAMES) for _ in range(2)]
    for number, state in enumerate(states):
        state["embed.weight"][...] = number + 1
    dfmerge.merge(states[0], states, "average", out=out)
    assert (out["a_head.weight"] == 1.5).all()


def test_separate_arrays_of_no_elements_stay_separate() -> None:
    state = {"a": np.zeros((0, 2), np.float32), "b": np.zeros((0, 2), np.float32)}
    assert set(dfmerge.merge(None, [state, state], "average", out=dict(state))) == {"a", "b"}
