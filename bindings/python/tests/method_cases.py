"""Inputs for any method of the registry, made from what its info says that it takes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
from conftest import torch

import dfmerge

Array = np.ndarray[Any, Any]
Arrays = dict[str, Array]
Info = dict[str, Any]
INFOS: list[Info] = dfmerge.methods()
DTYPES: dict[str, Any] = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16,
}  # fmt: skip
#: Odd, tiny, empty and scalar tensors of every rank, three layers among them, whose tensors of one
#: name have one shape, as those of models do.
SHAPES: dict[str, tuple[int, ...]] = {
    "scalar": (),
    "empty": (0, 3),
    "one": (1,),
    "layers.0.attn.weight": (5, 8),
    "layers.0.norm.weight": (13,),
    "layers.1.attn.weight": (5, 8),
    "layers.2.mlp.weight": (3, 11),
    "layers.2.tall.weight": (8, 5),
    "row": (1, 9),
    "column": (9, 1),
    "block": (2, 3, 5),
    "convolution": (3, 2, 2, 3),
}
#: What methods for adapters merge in a way of their own.
FACTORS: dict[str, tuple[int, ...]] = {
    "base_model.model.layers.0.attn.lora_A.weight": (2, 6),
    "base_model.model.layers.0.attn.lora_B.weight": (5, 2),
}
MOST_MODELS = 3


def count_of(info: Info) -> int:
    """How many models the tests merge by a method: three where it takes as many."""
    return max(int(info["least_models"]), min(MOST_MODELS, info["most_models"] or MOST_MODELS))


def data_of(info: Info) -> str:
    """What a method takes with each model beside the weights: none, fisher or gram."""
    return str(info.get("model_data", "fisher" if info["needs_fisher"] else "none"))


def as_numpy(value: Any) -> Array:
    """An array of the library's, which is a torch tensor for bfloat16 where torch is installed."""
    if torch and isinstance(value, torch.Tensor):
        return np.asarray(value.view(torch.int16).numpy().view(ml_dtypes.bfloat16))
    return np.asarray(value)


def needed_options(info: Info) -> dict[str, Any]:
    """The numbers that adapters' folders would say, and arrays in memory do not."""
    return {
        option["name"]: numbers(option, 1)[0]
        for option in info["options"]
        if info.get("for_adapters") and option["default"] is None
    }


@dataclass(frozen=True)
class Case:
    """One merge: a method and its inputs."""

    info: Info
    base: Arrays | None
    models: list[Arrays]
    #: Fisher values or Gram matrices of the models, where the method takes some.
    data: list[Arrays]

    @property
    def needed(self) -> dict[str, Any]:
        """Options without which a method refuses the case."""
        return needed_options(self.info)

    @property
    def with_models(self) -> dict[str, Any]:
        """What comes with the models, as the argument of its kind."""
        kind = data_of(self.info)
        return {f"{'fisher' if kind == 'none' else kind}s": self.data} if self.data else {}

    def run(self, options: dict[str, Any] | None = None, **settings: Any) -> dict[str, Any]:
        """The merged tensors, as arrays of numpy."""
        if any(option["name"] == "scaling" for option in self.info["options"]):
            # Of adapters from memory it must be given.
            options = {"scaling": 1.0, **(options or {})}
        merged = dfmerge.merge(
            self.base,
            self.models,
            self.info["id"],
            options={**self.needed, **(options or {})},
            **self.with_models,
            **settings,
        )
        return {name: as_numpy(value) for name, value in merged.items()}

    @property
    def reference(self) -> Arrays:
        """What the result is laid out like."""
        return self.models[0] if self.base is None else self.base

    @property
    def sources(self) -> list[Arrays]:
        """Base and models."""
        return self.models if self.base is None else [self.base, *self.models]

    def replaced(self, **changes: Any) -> Case:
        """The same case with other inputs."""
        return dataclasses.replace(self, **changes)

    def mapped(self, change: Any) -> Case:
        """The case with every array of base and models changed: `change(source, name, array)`."""
        changed = [
            {name: np.asarray(change(number, name, value)) for name, value in source.items()}
            for number, source in enumerate(self.sources)
        ]
        if self.base is None:
            return self.replaced(models=changed)
        return self.replaced(base=changed[0], models=changed[1:])

    def cast(self, dtypes: Iterable[str]) -> Case:
        """The case with base and models in these types, in turn."""
        kinds = [DTYPES[dtype] for dtype in dtypes]
        return self.mapped(lambda number, _, value: value.astype(kinds[number % len(kinds)]))


def make(
    info: Info,
    seed: int = 0,
    shapes: dict[str, tuple[int, ...]] | None = None,
    with_base: bool | None = None,
) -> Case:
    """A case of F32 tensors, with a base where the method can read one unless `with_base` says."""
    rng = np.random.default_rng(seed)
    if shapes is None:
        shapes = {**SHAPES, **(FACTORS if info.get("for_adapters") else {})}
    center = {name: rng.normal(size=shape) for name, shape in shapes.items()}

    def near() -> Arrays:
        return {
            name: np.asarray(value + 0.1 * rng.normal(size=value.shape), np.float32)
            for name, value in center.items()
        }

    has_base = info["uses_base"] if with_base is None else with_base
    base = near() if has_base else None
    models = [near() for _ in range(count_of(info))]
    data: list[Arrays] = []
    if data_of(info) == "fisher":
        data = [
            {n: np.asarray(np.exp(rng.normal(-8, 4, s)), np.float32) for n, s in shapes.items()}
            for _ in models
        ]
    elif data_of(info) == "gram":
        data = [
            {n: gram(rng, s[1]) for n, s in shapes.items() if len(s) == 2 and s[0]} for _ in models
        ]
    return Case(info, base, models, data)


def gram(rng: np.random.Generator, width: int) -> Array:
    """A Gram matrix of random rows."""
    rows = rng.normal(size=(3 * width, width))
    return np.asarray(rows.T @ rows, np.float32)


# --- options -------------------------------------------------------------------------------------

#: The kinds of options whose values may depend on the tensor.
VARYING = (
    "number", "integer", "boolean", "choice", "boolean_or_choice", "number_or_choice",
    "number_per_model",
)  # fmt: skip


def limits(option: Info) -> tuple[float, float]:
    """The range of a numeric option; infinite where it is open."""
    return option.get("minimum", -np.inf), option.get("maximum", np.inf)


def numbers(option: Info, count: int) -> list[float]:
    """Different values that a number takes: the default (or a half), and some beside it."""
    low, high = limits(option)
    first = option["default"]
    if not isinstance(first, (int, float)) or isinstance(first, bool):
        first = min(max(0.5, low), high)
    step = -0.1 * first if first > low else 0.05 * (min(high, 1) - low)
    return [float(min(max(first + n * step, low), high)) for n in range(count)]


def others(option: Info) -> list[Any]:
    """Valid values other than the default, one of each sort."""
    kind, default = option["type"], option["default"]
    found: list[Any] = [not default] if isinstance(default, bool) else []
    found += [word for word in option.get("choices", []) if word != default]
    if kind == "integer":
        found.append(default + 1 if default < option["maximum"] else default - 1)
    elif kind in ("number", "number_or_choice", "number_per_model"):
        found.append(numbers(option, 2)[1])
    elif kind == "names":
        found.append(["no tensor has this in its name"])
    return found


def wrong(option: Info, models: int) -> list[Any]:
    """Values that an option must refuse."""
    kind = option["type"]
    found: list[Any] = [{"no such key": "no such value"}]
    if kind in ("number", "integer", "number_or_choice", "number_per_model"):
        low, high = limits(option)
        # Beyond the whole numbers of JSON there is nothing to try.
        beyond = [end for end in (2 * low - 1 if low < 0 else low - 1, 2 * abs(high) + 1)]
        found += [end for end in beyond if abs(end) < 2**62]
        found += ["no such word", True, [0.5, "no number"]]
        if kind == "integer":
            found.append(low + 0.5)
        if kind == "number_per_model":
            inside = numbers(option, 1)[0]
            found += [[inside] * (models + 1), {"no such model": inside}]
            found += [[end] * models for end in beyond if abs(end) < 2**62]
    elif kind == "boolean":
        found += [1, "yes", [True]]
    elif kind in ("choice", "boolean_or_choice"):
        found += ["no such word", 1, [True]]
    elif kind == "names":
        found += ["one text", [1], ["twice", "twice"], [""]]
    return found


# --- results -------------------------------------------------------------------------------------


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Names, types, shapes and bits."""
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert (found[name].dtype, found[name].shape) == (value.dtype, value.shape), name
        assert found[name].tobytes() == value.tobytes(), name


def assert_close(found: dict[str, Any], expected: dict[str, Any], relative: float = 1e-6) -> None:
    """Numbers, relative to the largest of the tensor where they are small."""
    assert list(found) == list(expected)
    for name, value in expected.items():
        wanted = value.astype(np.float64)
        most = float(np.abs(wanted).max(initial=0))
        np.testing.assert_allclose(
            found[name].astype(np.float64), wanted, relative, relative * 1e-2 * most, err_msg=name
        )


def assert_laid_out(found: dict[str, Any], case: Case) -> None:
    """The reference's names, types and shapes, and finite numbers."""
    added = set(found) - set(case.reference)
    assert not added or case.info["adds_tensors"], added
    assert [name for name in found if name not in added] == list(case.reference)
    for name, value in case.reference.items():
        assert found[name].dtype == value.dtype, name
        if not case.info.get("changes_shapes"):
            assert found[name].shape == value.shape, name
        assert np.isfinite(found[name].astype(np.float64)).all(), name
