"""One merge, its plan, and the listing of methods."""

from __future__ import annotations

import ctypes
import functools
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from . import _arrays, _ffi
from ._calls import Call
from ._claims import claimed
from ._dtypes import BY_NAME, BY_SPELLED
from ._errors import StoppedError
from ._handles import CancelFlag, c_path, c_text, encoded, parsed, taken_text
from ._interrupt import Interruptible
from ._loader import check_with, lib
from ._merge_inputs import model_data, models_by_name, names_of, read_data, without_aliases
from ._progress import BytesBar
from ._weights import (
    HasStateDict,
    Lent,
    Weights,
    WeightsLike,
    is_path,
    read,
    without_extra_state,
)

_FLOATS = ("F64", "F32", "F16", "BF16")
_OTHER_FORMATS = (".bin", ".ckpt", ".gguf", ".npz", ".onnx", ".pt", ".pth")


def methods() -> list[dict[str, Any]]:
    """Every merging method: id, title, formula, summary, source, needs and options."""
    return list(parsed(lib.dfm_methods_describe))


def load(path: Any) -> Weights:
    """Open a ``.safetensors`` file or a Hugging Face folder; only headers are read.

    ``"owner/name"`` or ``"owner/name@revision"``, where there is no such path, is a model of the
    Hugging Face hub, which ``huggingface_hub`` downloads (``pip install 'dfmerge[hf]'``).
    """
    return Weights(path)


def save(
    tensors: Mapping[str, Any] | HasStateDict, path: str | os.PathLike[str], **options: Any
) -> None:
    """Write arrays to a ``.safetensors`` file, or to a folder for any other path.

    Parameters
    ----------
    tensors : mapping of str to arrays, or a module
        Arrays on the CPU: torch tensors, numpy arrays, or whatever else can be merged. What is not
        row-major is written as if it were, from a copy.
    path : path
        Complete or absent afterwards: an older file survives any failure.
    **options
        ``metadata`` (dict of str); for folders also ``shard_size`` (bytes, or ``"5GB"``) and
        ``copy_files_from`` (a folder whose config and tokenizer files are copied).
    """
    path = os.fspath(path)
    _refuse_other_format(path)
    state: Any = tensors.state_dict() if hasattr(tensors, "state_dict") else tensors
    if not isinstance(state, Mapping):
        raise TypeError(f"tensors is a {type(state).__name__}; pass a state dict or a module")
    Lent(without_extra_state(state), "the tensors to save").save(path, options)


def merge_settings() -> list[dict[str, Any]]:
    """Every setting of :func:`merge`: name, type, default, limits and meaning."""
    listing: list[dict[str, Any]] = parsed(lib.dfm_merge_settings_describe)
    return listing


def merge(
    base: WeightsLike | None,
    models: Mapping[str, WeightsLike] | Sequence[WeightsLike],
    method: str,
    *,
    options: Mapping[str, Any] | None = None,
    fishers: Mapping[str, WeightsLike] | Sequence[WeightsLike] | None = None,
    grams: Mapping[str, WeightsLike] | Sequence[WeightsLike] | None = None,
    out: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    progress: bool = True,
    report: dict[str, Any] | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Merge models, in memory or from files to files.

    Parameters
    ----------
    base : path, state dict or module, or None
        The pretrained model; None for methods that need none.
    models : mapping or sequence
        The fine-tuned models: paths, state dicts or modules. Options per model may be given by
        name with a mapping, in order with a sequence.
    method : str
        An id of :func:`methods`, such as ``"task_arithmetic"``.
    options : mapping, optional
        Options of the method, such as ``{"density": 0.5, "weights": {"a": 1, "b": 0.5}}``; see
        :func:`methods` for names, ranges and defaults.
    fishers : mapping or sequence, optional
        Diagonal Fisher values of each model, for methods that need them.
    grams : mapping or sequence, optional
        Gram matrices of each model's linear layers, by the names of their weights, for methods that
        need them; see :func:`dfmerge.torch.gram`.
    out : path or mapping of str to arrays, optional
        Where to write. A path that ends in ``.safetensors`` is a file; any other is a Hugging Face
        folder, with the base's configuration and tokenizer copied. Files are complete afterwards,
        or as they were before. A mapping is written in place: ``module.state_dict()`` writes
        straight into a module. By default new arrays, laid out like the base (without a base, like
        the first model).
    progress : bool
        Whether a path shows a bar, where tqdm is installed and standard error is a terminal.
    report : dict, optional
        Filled with the report that a merge into a path returns.
    **settings
        ``threads``, ``max_memory`` (``"300MB"``), ``dtype`` (``"BF16"``, ``torch.bfloat16``),
        ``missing``, ``extra``, ``shape`` (what to do with tensors that do not fit together),
        ``non_finite``, ``max_shard_size``, ``copy_files``; see :func:`merge_settings`.

    Returns
    -------
    dict
        The merged tensors by name: torch tensors where the base's are, else numpy arrays (bfloat16,
        which numpy lacks: torch where it is installed, else ``ml_dtypes``); where none of them is
        installed, :class:`dfmerge.Tensor`. For a path the report:
        ``tensors`` merged, copied and left out, ``bytes_read``, ``bytes_written``, ``seconds``,
        ``rounding_error`` (relative, of F16 and BF16 outputs), ``non_finite``, ``notes``,
        ``figures`` (numbers that the method found, such as what ``opcm`` takes to go on).

    Raises
    ------
    dfmerge.ArgumentError
        For unknown methods, options and settings, and names, shapes or dtypes that do not align;
        every mismatch is listed with what can be done about it.
    dfmerge.NumericalError
        When a result or a Fisher value is NaN or infinite.
    KeyboardInterrupt
        On Ctrl-C, once the merge has stopped: at once, but for what a disk still takes. Files are
        as they were; complete only where it comes while they are given their names.
    """
    job = _Job(base, models, method, options, model_data(fishers, grams), out, settings)
    with job.claimed():
        found = job.run(progress)
    if report is not None:
        report.update(found)
    if job.path is not None:
        return found
    if out is None:
        for name in found["left_out"]:
            del job.target[name]
    return job.target


def plan(
    base: WeightsLike | None,
    models: Mapping[str, WeightsLike] | Sequence[WeightsLike],
    method: str,
    *,
    options: Mapping[str, Any] | None = None,
    fishers: Mapping[str, WeightsLike] | Sequence[WeightsLike] | None = None,
    grams: Mapping[str, WeightsLike] | Sequence[WeightsLike] | None = None,
    out: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    **settings: Any,
) -> Plan:
    """What :func:`merge` would do with the same arguments, without doing it.

    Reads headers only, and takes about a tenth of a second to measure the machine's speed.

    Returns
    -------
    Plan
        A dict that prints as text: ``possible``, ``replaces`` (``out`` has weights already),
        ``tensors`` (merged, copied, left out, refused), ``problems`` with their ``remedies``,
        ``added`` (tensors that no input has), ``peak_memory`` beyond inputs and outputs in memory,
        ``bytes_read``, ``bytes_written``,
        ``seconds``.
    """
    data = model_data(fishers, grams)
    return _Job(base, models, method, options, data, out, settings, plans=True).plan()


class Plan(dict[str, Any]):
    """What a merge will do; ``print(plan)`` shows it."""

    def __str__(self) -> str:
        return str(self["text"])


class _Job:
    """The handles of one merge."""

    def __init__(
        self,
        base: Any,
        models: Any,
        method: str,
        options: Any,
        fishers: Any,
        out: Any,
        settings: dict[str, Any],
        plans: bool = False,
    ) -> None:
        # None is the default of every setting, as of every other argument.
        settings = {name: value for name, value in settings.items() if value is not None}
        if not isinstance(method, str):
            raise TypeError(
                f"method is a {type(method).__name__}; pass an id of dfmerge.methods(): "
                'the order is (base, models, method="average")'
            )
        named = models_by_name(models)
        if not named:
            raise ValueError("merge was given no models; give one or more")
        self._base = None if base is None else read(base, "base")
        by_name = isinstance(models, Mapping)
        self._models = self._read(named, by_name, {})
        self._fishers = read_data(fishers, list(named))
        self._method = c_text(method, "the method")
        self._options = encoded(options)
        if "dtype" in settings:
            settings["dtype"] = dtype_name(settings["dtype"])
        if hasattr(out, "state_dict"):
            raise TypeError("out is a module; pass out=module.state_dict() to write into it")
        is_place = out is None or isinstance(out, (str, os.PathLike, Mapping))
        if isinstance(out, Weights) or not is_place:
            raise TypeError(
                f"out is a {type(out).__name__}; pass a path, or a mapping of arrays to write into"
            )
        self.path = os.fspath(out) if isinstance(out, (str, os.PathLike)) else None
        if self.path is not None:
            _refuse_other_format(self.path)
        self.target: dict[str, Any] = {}
        self._target = None
        if self.path is None and not (plans and out is None):
            if out is None:
                # The layout is the base's, so what only a model has would be lost unseen.
                settings.setdefault("extra", "error")
                self.target = _outputs(
                    self._base or self._models[0],
                    settings.get("dtype"),
                    self._reshaped(settings) if _changes_shapes(method) else {},
                )
                if method in _adding_methods():
                    self._add_outputs(settings)
            else:
                self.target = dict(out)
            once, aliases = without_aliases(self.target, names_of(self._base or self._models[0]))
            self._target = Lent(once, "the output", writable=True)
            if aliases:
                self._base = None if base is None else read(base, "base", aliases)
                self._models = self._read(named, by_name, aliases)
                self._fishers = read_data(fishers, list(named), aliases)
        self._settings = encoded(settings, "settings")

    def _reshaped(self, settings: Mapping[str, Any]) -> dict[str, list[int]]:
        """The shapes of tensors of the result that are not the reference's."""
        self._settings = encoded({**settings, "estimate": False}, "settings")
        found: dict[str, list[int]] = parsed(lib.dfm_merge_plan, *self._arguments())["reshaped"]
        return found

    def _add_outputs(self, settings: dict[str, Any]) -> None:
        """Arrays for what the method writes beside the tensors of the base."""
        self._settings = encoded(settings, "settings")
        for entry in self.plan()["added"]:
            like_torch = any(_arrays.is_torch(array) for array in self.target.values())
            self.target[entry["name"]] = _arrays.empty(
                BY_NAME[entry["dtype"]], tuple(entry["shape"]), like_torch, entry["name"]
            )

    @staticmethod
    def _read(named: dict[str, Any], by_name: bool, aliases: dict[str, str]) -> list[Any]:
        """The models; without a name of their own, files are called by their paths."""
        return [
            read(source, name if by_name or not is_path(source) else None, aliases)
            for name, source in named.items()
        ]

    def _arguments(self) -> list[Any]:
        def handles(owners: list[Any]) -> Any:
            values = [owner.handle.value for owner in owners]
            return (ctypes.c_void_p * len(values))(*values) if values else None

        return [
            self._method,
            self._options,
            self._settings,
            self._base.handle.value if self._base else None,
            handles(self._models),
            len(self._models),
            handles(self._fishers),
            self._target.handle.value if self._target else None,
            None if self.path is None else c_path(self.path),
        ]

    def claimed(self) -> AbstractContextManager[None]:
        """Claim the memory that is written, if it is the caller's."""
        views = self._target.views.values() if self._target else ()
        return claimed(self, views, "out")

    def plan(self) -> Plan:
        """The plan."""
        return Plan(parsed(lib.dfm_merge_plan, *self._arguments()))

    def run(self, progress: bool) -> dict[str, Any]:
        """Merge; the report."""
        cancel = CancelFlag()
        bar = BytesBar(progress and self.path is not None)
        report = ctypes.c_void_p()
        with Interruptible(cancel) as guard:
            call = Call(guard)

            def on_progress(user: Any, phase: bytes, done: int, total: int, best: float) -> int:
                def body() -> int:
                    bar.update(done, total)
                    return 0

                return call.answer(body, -1)

            callback = _ffi.dfm_progress_fn(on_progress)
            arguments = self._arguments()
            try:
                call.make(
                    lambda: lib.dfm_merge(
                        *arguments, callback, None, cancel.value, ctypes.byref(report)
                    )
                )
            finally:
                bar.close()
                text = taken_text(report) if report.value else ""
        guard.raise_kept()
        if call.status in (_ffi.DFM_ERROR_CANCELLED, _ffi.DFM_ERROR_CALLBACK_FAILED):
            raise StoppedError((call.message or b"").decode("utf-8", "replace"), call.status)
        check_with(call.status, call.message)
        found: dict[str, Any] = json.loads(text)
        return found


@functools.cache
def _adding_methods() -> frozenset[str]:
    """The methods that may write tensors which no input has."""
    return frozenset(method["id"] for method in methods() if method["adds_tensors"])


def _refuse_other_format(path: str | bytes) -> None:
    """A folder called model.bin is not what anybody wants."""
    if os.fsdecode(path).lower().endswith(_OTHER_FORMATS):
        raise ValueError(
            f"{os.fsdecode(path)} looks like a file of another format; end the path in "
            ".safetensors for a file, or give a folder"
        )


def dtype_name(dtype: Any) -> str:
    """The safetensors name of a torch, numpy or spelled-out dtype, such as ``"BF16"``."""
    text = str(dtype).removeprefix("torch.")
    if isinstance(dtype, type):
        text = dtype.__name__
    short = {"float": "F32", "double": "F64", "half": "F16", "fp32": "F32", "fp16": "F16"}
    known = BY_SPELLED.get(text)
    found = known.name if known else short.get(text) or text.upper()
    # What no merge can write is refused as it was written.
    return found if found in _FLOATS else text


@functools.cache
def _changes_shapes(method: str) -> bool:
    return any(info["id"] == method and info["changes_shapes"] for info in methods())


def _outputs(reference: Any, dtype: str | None, shapes: Mapping[str, list[int]]) -> dict[str, Any]:
    outputs = {}
    for entry in parsed(lib.dfm_weights_describe, reference.handle.value):
        name = entry["name"]
        kept = dtype in (None, "base") or entry["dtype"] not in _FLOATS
        # What is no dtype to merge into, the library refuses by name.
        chosen = entry["dtype"] if kept or dtype not in _FLOATS else str(dtype)
        source = getattr(reference, "tensors", {}).get(name)
        like_torch = source is not None and _arrays.is_torch(source)
        shape = tuple(shapes.get(name, entry["shape"]))
        outputs[name] = _arrays.empty(BY_NAME[chosen], shape, like_torch, name)
    return outputs
