"""Random checkpoints, and what a merge of them must give, worked out independently in NumPy."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

Array = np.ndarray[Any, Any]
FLOATS = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16}
#: Types that are copied, with the bits of an element.
COPIED = {"I64": 64, "U8": 8, "BOOL": 8, "F8_E4M3": 8, "F6_E2M3": 6, "F4": 4}


@dataclass(frozen=True)
class Stored:
    """A tensor as it stands in a file."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes

    @property
    def exact(self) -> Array:
        """The elements of a floating-point tensor as float64."""
        array = np.frombuffer(self.data, FLOATS[self.dtype]).reshape(self.shape)
        return np.asarray(array, np.float64)


Checkpoint = dict[str, Stored]


def write_file(path: Path, tensors: Mapping[str, Stored]) -> None:
    """A safetensors file, written without any library."""
    header, data = {}, b""
    for name, tensor in tensors.items():
        ends = [len(data), len(data) + len(tensor.data)]
        header[name] = {"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": ends}
        data += tensor.data
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def read_file(path: Path) -> Checkpoint:
    """The tensors of a safetensors file."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    found = {}
    for name, entry in json.loads(data[8:start]).items():
        if name != "__metadata__":
            low, high = (start + offset for offset in entry["data_offsets"])
            found[name] = Stored(entry["dtype"], tuple(entry["shape"]), data[low:high])
    return found


def read(path: Path) -> Checkpoint:
    """The tensors of a file, or of all files of a folder."""
    found: Checkpoint = {}
    for file in sorted(path.glob("*.safetensors")) if path.is_dir() else [path]:
        found.update(read_file(file))
    return found


def write(path: Path, tensors: Checkpoint, shards: int) -> Path:
    """A file for 0 shards, else a folder."""
    if shards == 0:
        path = path.with_suffix(".safetensors")
        write_file(path, tensors)
        return path
    path.mkdir()
    names = list(tensors)
    if shards == 1:
        write_file(path / "model.safetensors", tensors)
        return path
    weight_map = {}
    for number in range(shards):
        file = f"model-{number + 1:05}-of-{shards:05}.safetensors"
        part = names[number::shards]
        write_file(path / file, {name: tensors[name] for name in part})
        weight_map.update(dict.fromkeys(part, file))
    index = {"metadata": {}, "weight_map": weight_map}
    (path / "model.safetensors.index.json").write_text(json.dumps(index))
    return path


def drawn(rng: np.random.Generator, dtype: str, shape: tuple[int, ...], low: float = -2) -> Stored:
    """Random elements: numbers between `low` and 2 for floats, any bits for the others."""
    count = math.prod(shape)
    if dtype in FLOATS:
        values = rng.uniform(low, 2, count) * 2.0 ** rng.integers(-12, 1, count)
        return Stored(dtype, shape, values.astype(FLOATS[dtype]).tobytes())
    return Stored(dtype, shape, rng.bytes(count * COPIED[dtype] // 8))


SHAPES = [
    (), (0,), (0, 3), (1,), (2,), (7,), (3, 5), (4, 1, 9), (65_535,), (65_536,), (65_537,),
    (257, 300), (3, 50_001),
]  # fmt: skip


@dataclass
class Case:
    """One random merge: inputs, method, settings, and the tensors that must come out."""

    method: str
    options: dict[str, Any]
    base: Checkpoint | None
    models: list[Checkpoint]
    fishers: list[Checkpoint]
    settings: dict[str, Any]
    #: By name: the tensor as it must be, or the interval in which every element must lie.
    expected: dict[str, Stored | Interval] = field(default_factory=dict)


@dataclass(frozen=True)
class Interval:
    """Elements of a merged tensor: rounded once from something between `low` and `high`."""

    dtype: str
    low: Array
    high: Array

    def holds(self, found: Stored) -> bool:
        if (found.dtype, found.shape) != (self.dtype, self.low.shape):
            return False
        low, high = rounded(self.low, self.dtype), rounded(self.high, self.dtype)
        return bool(np.all((low <= found.exact) & (found.exact <= high)))


def rounded(values: Array, dtype: str) -> Array:
    """`values` rounded once to `dtype`, to nearest, ties to even, as float64."""
    if dtype == "F64":
        return values
    if dtype != "BF16":
        return np.asarray(values.astype(FLOATS[dtype]), np.float64)
    # By way of float32 it would be rounded twice. A multiple of the spacing of 8-bit numbers:
    _, exponent = np.frexp(values)
    spacing = np.ldexp(1.0, np.maximum(exponent - 8, -133))
    return np.asarray(np.rint(values / spacing) * spacing, np.float64)


def random_case(seed: int) -> Case:
    """A merge that can be carried out, with tensors that do not fit together where allowed."""
    rng = np.random.default_rng(seed)

    def pick(*items: Any) -> Any:
        return items[rng.integers(len(items))]

    method = pick("average", "task_arithmetic", "df_merge", "fisher")
    count = int(rng.integers(1, 6))
    has_base = method in ("task_arithmetic", "df_merge") or bool(rng.integers(2))
    settings: dict[str, Any] = {
        "threads": int(pick(1, 2, 3, 8)),
        "dtype": pick("base", "F64", "F32", "F16", "BF16"),
        "missing": pick("error", "base", "common"),
        "extra": pick("error", "base"),
        "shape": pick("error", "base", "common"),
        "max_shard_size": int(pick(10**9, 10_000, 1)),
        "max_memory": pick("1GB", "45MB"),
    }
    options: dict[str, Any] = {}
    scales = [float(x) for x in rng.uniform(-1, 1, count).round(3)]
    if method == "average":
        options = {"weights": scales, "normalize": False}
    elif method == "fisher":
        options = {"weights": [abs(x) + 0.1 for x in scales], "normalize": False, "floor": 1e-6}
    else:
        options = {"coefficients": scales}
    names = [f"layer.{n}.weight" for n in range(int(rng.integers(1, 9)))]
    shapes = {name: pick(*SHAPES) for name in names}
    types = {name: pick(*FLOATS) for name in names}

    def floats(low: float = -2) -> Checkpoint:
        return {name: drawn(rng, pick(types[name], *FLOATS), shapes[name], low) for name in names}

    sources = [floats() for _ in range(count + has_base)]
    for source in sources:
        for name in names:
            # What was changed in the shape belongs to the source alone.
            rows = shapes[name][0] if shapes[name] else 0
            if source is sources[0] or rows < 2 or rng.random() > 0.15:
                continue
            if settings["shape"] != "error":
                shape = (rows + int(pick(-1, 1, 3)), *shapes[name][1:])
                source[name] = drawn(rng, source[name].dtype, shape)
        for number in range(int(rng.integers(3))):
            dtype = pick(*COPIED)
            source[f"copied.{number}"] = drawn(rng, dtype, (pick(0, 4, 12, 70_000), 2))
    for source in sources[1:]:
        if settings["missing"] != "error" and rng.random() < 0.5:
            del source[str(rng.choice(names))]
        if settings["extra"] == "base" and rng.random() < 0.5:
            source["only.here"] = drawn(rng, "F32", (3,))
        if settings["extra"] == "error":
            # What is copied counts as well: only the reference may have it.
            for name in [name for name in source if name not in sources[0]]:
                del source[name]
    base = sources[0] if has_base else None
    models = sources[1:] if has_base else sources
    fishers: list[Checkpoint] = []
    if method in ("df_merge", "fisher"):
        fishers = [
            {
                name: drawn(rng, pick(*FLOATS), tensor.shape, 0)
                for name, tensor in model.items()
                if name in names
            }
            for model in models
        ]
        # Fisher values of some models only are an error; of none, equal weights.
        for name in names:
            if rng.random() < 0.2 or not all(name in fisher for fisher in fishers):
                for fisher in fishers:
                    fisher.pop(name, None)
    # The order in the files is not that of the base.
    for source in sources[1:]:
        items = list(source.items())
        source.clear()
        source.update(items[place] for place in rng.permutation(len(items)))
    case = Case(method, options, base, models, fishers, settings)
    _expect(case, sources[0])
    return case


def _expect(case: Case, reference: Checkpoint) -> None:
    settings = case.settings
    for name, own in reference.items():
        if own.dtype not in FLOATS:
            case.expected[name] = own
            continue
        dtype = own.dtype if settings["dtype"] == "base" else settings["dtype"]
        others = [model.get(name) for model in case.models]
        present = [tensor for tensor in others if tensor is not None]
        rows = len(own.exact) if own.shape else 0
        merged = own.shape[0] if own.shape else 0
        if any(tensor.shape != own.shape for tensor in present):
            merged = min(tensor.shape[0] for tensor in [own, *present])
        is_ragged = any(tensor.shape != own.shape for tensor in present)
        if len(present) < len(others) and (
            settings["missing"] == "common" and not (is_ragged and settings["shape"] == "base")
        ):
            continue
        kept = Interval(dtype, own.exact, own.exact)
        if len(present) < len(others) or (is_ragged and settings["shape"] == "base"):
            case.expected[name] = own if dtype == own.dtype else kept
            continue
        part: Any = slice(0, merged) if own.shape else ...
        fishers = [fisher[name].exact[part] for fisher in case.fishers if name in fisher]
        low, high = _bounds(case, own.exact[part], [t.exact[part] for t in present], fishers)
        if rows > merged:
            low, high = (np.concatenate([end, own.exact[merged:]]) for end in (low, high))
        case.expected[name] = Interval(dtype, low, high)


def _bounds(
    case: Case, theta0: Array, models: list[Array], fishers: list[Array]
) -> tuple[Array, Array]:
    """The merge in float64, less and plus what its own rounding may come to."""
    options = case.options
    scales = np.array(options.get("weights", options.get("coefficients")), np.float64)
    stack = np.stack(models)
    scale = scales.reshape(-1, *[1] * theta0.ndim)
    size = np.abs(theta0)
    if case.method == "average":
        size = np.zeros_like(size)
        terms, total = scale * stack, np.ones_like(theta0)
        start = np.zeros_like(theta0)
    elif case.method == "fisher":
        floors = np.zeros_like(scale)
        floors[0] = options["floor"]
        weight = scale * np.maximum(np.stack(fishers), floors) if fishers else scale + 0 * stack
        # Where every weight is 0 the result is the plain mean.
        weight = np.where(weight.sum(0) == 0, 1.0, weight)
        size = np.zeros_like(size)
        terms, total, start = weight * stack, weight.sum(0), np.zeros_like(theta0)
    else:
        weight = np.stack(fishers) + 1e-12 if fishers else np.ones_like(stack)
        terms = weight * scale * (stack - theta0) * len(models)
        total, start = weight.sum(0), theta0
        if case.method == "task_arithmetic" or not fishers:
            total = np.full_like(theta0, len(models))
    size = size + np.abs(terms).sum(0) / total
    value = start + terms.sum(0) / total
    slack = size * 2.0**-48
    return np.asarray(value - slack), np.asarray(value + slack)
