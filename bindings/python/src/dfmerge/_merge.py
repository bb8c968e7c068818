"""One merge in memory, and the listing of methods."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping, Sequence
from typing import Any

from . import _arrays
from ._handles import encoded, parsed
from ._loader import check, lib
from ._weights import Lent, Weights, WeightsLike, lend, without_extra_state

_OTHER_FORMATS = (".bin", ".ckpt", ".gguf", ".npz", ".onnx", ".pt", ".pth")


def methods() -> list[dict[str, Any]]:
    """Every merging method: id, title, formula, summary, source, needs and options."""
    listing: list[dict[str, Any]] = parsed(lib.dfm_methods_describe)
    return listing


def load(path: Any) -> Weights:
    """Open a ``.safetensors`` file or a Hugging Face folder; only headers are read."""
    return Weights(path)


def save(tensors: Mapping[str, Any], path: str | os.PathLike[str], **options: Any) -> None:
    """Write arrays to a ``.safetensors`` file, or to a folder for any other path.

    Parameters
    ----------
    tensors : mapping of str to torch tensors or numpy arrays, or a module
        Contiguous arrays on the CPU.
    path : path
        Complete or absent afterwards: an older file survives any failure.
    **options
        ``metadata`` (dict of str); for folders also ``shard_size`` (bytes, or ``"5GB"``) and
        ``copy_files_from`` (a folder whose config and tokenizer files are copied).
    """
    path = os.fspath(path)
    if path.lower().endswith(_OTHER_FORMATS):
        raise ValueError(
            f"{path} looks like a file of another format; end the path in .safetensors for a file, "
            "or give a folder"
        )
    if hasattr(tensors, "state_dict"):
        tensors = tensors.state_dict()
    Lent(without_extra_state(tensors), "the tensors to save").save(path, options)


def merge(
    method: str,
    models: Mapping[str, WeightsLike] | Sequence[WeightsLike],
    *,
    base: WeightsLike | None = None,
    fishers: Mapping[str, WeightsLike] | Sequence[WeightsLike] | None = None,
    options: Mapping[str, Any] | None = None,
    out: Mapping[str, Any] | None = None,
    threads: int = 0,
) -> dict[str, Any]:
    """Merge models in memory.

    Parameters
    ----------
    method : str
        An id of :func:`methods`, such as ``"task_arithmetic"``.
    models : mapping or sequence
        The fine-tuned models: paths, state dicts or modules. With a mapping, options per model may
        be given by name.
    base : optional
        The pretrained model, for methods that need it.
    fishers : mapping or sequence, optional
        Diagonal Fisher values of each model, for methods that need them.
    options : mapping, optional
        Options of the method; see :func:`methods` for names, ranges and defaults.
    out : mapping of str to arrays, optional
        Where to write. By default new arrays with the names, dtypes and shapes of the base (of the
        first model where there is no base); tensors that are not floating-point are copied.
        ``module.state_dict()`` writes straight into a module.
    threads : int
        0 is one per available core; the result does not depend on it.

    Returns
    -------
    dict
        The merged tensors by name: torch tensors where the reference's are, else numpy arrays.

    Raises
    ------
    dfmerge.ArgumentError
        For unknown methods and options, and names, shapes or dtypes that do not align; every
        mismatch is listed.
    dfmerge.NumericalError
        When a result or a Fisher value is NaN or infinite.
    """
    named = _named(models)
    if not named:
        raise ValueError("merge was given no models; give one or more")
    owners = [lend(source, name) for name, source in named.items()]
    base_owner = None if base is None else lend(base, "base")
    fisher_owners = _fishers(fishers, list(named))
    if hasattr(out, "state_dict"):
        raise TypeError("out is a module; pass out=module.state_dict() to write into it")
    target = dict(out) if out is not None else _outputs(base_owner or owners[0])
    target_owner = Lent(_once(target), "the output", writable=True)
    model_handles = (ctypes.c_void_p * len(owners))(*[owner.handle.value for owner in owners])
    fisher_handles = None
    if fisher_owners:
        handles = [owner.handle.value for owner in fisher_owners]
        fisher_handles = (ctypes.c_void_p * len(handles))(*handles)
    check(
        lib.dfm_merge(
            method.encode(),
            encoded(options),
            base_owner.handle.value if base_owner else None,
            model_handles,
            len(owners),
            fisher_handles,
            target_owner.handle.value,
            threads,
            None,
        )
    )
    return target


def _once(target: dict[str, Any]) -> dict[str, Any]:
    """The arrays without further names of the same memory, which tied tensors have."""
    found: dict[Any, Any] = {}
    for name, array in target.items():
        found.setdefault(_arrays.view(name, array, writable=True), (name, array))
    # Tensors without elements may share an address and still be different ones.
    empty = {name: array for name, array in target.items() if 0 in array.shape}
    return {**empty, **dict(found.values())}


def _named(models: Any) -> dict[str, Any]:
    if isinstance(models, Mapping):
        return dict(models)
    if isinstance(models, (str, os.PathLike)) or not isinstance(models, Sequence):
        raise TypeError(
            f"models is a {type(models).__name__}; pass a dict or a list of models, "
            "each a path, a state dict or a module"
        )
    return {f"model {number}": source for number, source in enumerate(models)}


def _fishers(fishers: Any, names: list[str]) -> list[Any]:
    if fishers is None:
        return []
    if isinstance(fishers, Mapping):
        if set(fishers) != set(names):
            raise ValueError(
                f"fishers are given for {sorted(fishers)} but the models are {sorted(names)}"
            )
        fishers = [fishers[name] for name in names]
    if len(fishers) != len(names):
        raise ValueError(f"{len(fishers)} sets of Fisher values for {len(names)} models")
    return [
        lend(source, f"the Fisher of {name}") for name, source in zip(names, fishers, strict=True)
    ]


def _outputs(reference: Any) -> dict[str, Any]:
    outputs = {}
    for entry in parsed(lib.dfm_weights_describe, reference.handle.value):
        name = entry["name"]
        spelled = _arrays.ARRAY_NAMES.get(entry["dtype"])
        if spelled is None:
            raise TypeError(
                f"tensor {name!r} is {entry['dtype']}, which no array type holds; pass `out`"
            )
        source = getattr(reference, "tensors", {}).get(name)
        like_torch = source is not None and _arrays.is_torch(source)
        outputs[name] = _arrays.empty(spelled, tuple(entry["shape"]), like_torch, name)
    return outputs
