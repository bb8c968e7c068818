"""Between the library's callbacks and the user's Python functions."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from . import _arrays, _ffi
from ._calls import Call
from ._dtypes import BY_NAME, BY_NUMBER
from ._loader import check, lib
from ._progress import Progress
from ._target import Target
from ._tensor import Tensor


class Trial:
    """The candidate to be scored; its weights stand in the target already.

    Attributes
    ----------
    number : int
        Counts from 0.
    coefficients : dict
        One number per model; with the option ``groups`` a dict of one per group for each model.
    """

    def __init__(self, number: int, coefficients: dict[str, Any]) -> None:
        self.number = number
        self.coefficients = coefficients

    def __repr__(self) -> str:
        return f"Trial({self.number}, {self.coefficients})"


class FisherBuffers(Mapping[str, Any]):
    """Float32 arrays by tensor name, to be added to in place; 0 at the start.

    Torch tensors where the target's are, else numpy arrays; where numpy is not installed,
    :class:`dfmerge.Tensor`. What is written counts until the callback returns.
    """

    def __init__(self, handle: int, target: Target, owner: object) -> None:
        self._owner = owner
        self._handle = handle
        self._target = target
        self._made: dict[str, Any] = {}

    def __len__(self) -> int:
        return len(self._target.merged)

    def __iter__(self) -> Iterator[str]:
        return iter(self._target.merged)

    def __contains__(self, name: object) -> bool:
        # Mapping's would make the array to find out.
        return name in self._target.merged

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = self._array(name)
        return self._made[name]

    def tensor(self, name: str) -> Tensor:
        """The values of one tensor for any framework to take without a copy.

        DLPack capsules are given during the callback only; what was taken keeps its memory.
        """
        if name not in self._target.merged:
            raise KeyError(name)
        data, count = ctypes.POINTER(ctypes.c_float)(), ctypes.c_int64()
        check(
            lib.dfm_fisher_data(
                self._handle, name.encode(), ctypes.byref(data), ctypes.byref(count)
            )
        )
        shape = self._target.shape(name)
        address = ctypes.cast(data, ctypes.c_void_p).value or 0
        # The memory is the search's: an array that is kept must keep the search.
        return Tensor(
            name,
            BY_NAME["F32"],
            shape,
            address,
            False,
            self._owner,
            _exporter(self._handle, name, shape),
        )

    def _array(self, name: str) -> Any:
        tensor = self.tensor(name)
        if _arrays.is_torch(self._target.merged[name]):
            return tensor.torch()
        return tensor.numpy() if _arrays.is_installed("numpy") else tensor


def _exporter(handle: int, name: str, shape: tuple[int, ...]) -> Callable[[int], int]:
    """Makes DLPack structures; without a reference to the buffers, which hold the arrays made."""

    def export(major: int) -> int:
        out = ctypes.c_void_p()
        sizes = (ctypes.c_int64 * len(shape))(*shape)
        check(
            lib.dfm_fisher_dlpack(
                handle, name.encode(), sizes, len(shape), major, ctypes.byref(out)
            )
        )
        return out.value or 0

    return export


class FisherRequest:
    """A question for the diagonal Fisher of one model, whose weights stand in the target now.

    Attributes
    ----------
    model : str
        The model's name.
    coefficient : float
        Where it stands: base + coefficient * (model - base). NaN where its groups of tensors
        stand at different coefficients.
    buffers : mapping of str to array
        Where the Fisher values go: add to them in place. Averaged over samples, without epsilon.
    """

    def __init__(
        self,
        model: str,
        coefficient: float,
        handle: int,
        target: Target,
        owner: object,
    ) -> None:
        self.model = model
        self.coefficient = coefficient
        self.buffers = FisherBuffers(handle, target, owner)
        self._handle = handle
        self._target = target

    @property
    def names(self) -> list[str]:
        """Names of the tensors that take Fisher values."""
        return list(self.buffers)

    def accumulate(self, name: str, gradient: Any, weight: float = 1.0) -> None:
        """Add ``weight * gradient**2`` for the gradient of ONE sample, fused in the library.

        The square of a batch's summed gradient is not a Fisher value. A gradient has the shape of
        its tensor, or is flat.
        """
        array = _arrays.view(name, gradient, writable=False)
        dtype = BY_NUMBER[array.dtype].name
        if dtype not in ("F64", "F32", "F16", "BF16"):
            raise TypeError(
                f"the gradient of {name!r} has dtype {dtype}; pass F64, F32, F16 or BF16"
            )
        if name in self.buffers and len(array.shape) != 1:
            shape = self._target.shape(name)
            if array.shape != shape:
                raise ValueError(
                    f"the gradient of {name!r} has the shape {array.shape}, the tensor {shape}; "
                    "pass one of the tensor's shape, or a flat one"
                )
        check(
            lib.dfm_fisher_accumulate(
                self._handle,
                name.encode(),
                array.dtype,
                array.address or None,
                math.prod(array.shape),
                weight,
            )
        )


class Callbacks:
    """The C function pointers of one search, and what they keep alive."""

    def __init__(
        self,
        call: Call,
        parameters: Sequence[str],
        groups: Sequence[str],
        tasks: Sequence[str],
        target: Target,
        evaluate: Callable[[Trial], Any],
        evaluate_subset: Callable[[Trial], Any] | None,
        fisher: Callable[[FisherRequest], None] | None,
        progress: Progress,
        owner: object,
        is_stopped: Callable[[], bool],
    ) -> None:
        def scoring(function: Callable[[Trial], Any], name: str) -> Any:
            def on_evaluate(
                user: Any, number: int, values: Any, count: int, scores: Any, variances: Any, n: int
            ) -> int:
                def body() -> int:
                    if is_stopped():
                        return _ffi.DFM_CALLBACK_STOP
                    target.check()
                    trial = Trial(number, by_model(values[:count], parameters, groups))
                    return _store(function(trial), tasks, scores, variances, name)

                return call.answer(body, _ffi.DFM_CALLBACK_STOP)

            return _ffi.dfm_evaluate_fn(on_evaluate)

        def on_fisher(user: Any, model: int, coefficient: float, handle: int) -> int:
            def body() -> int:
                if is_stopped():
                    return _ffi.DFM_CALLBACK_STOP
                if fisher is None:
                    raise TypeError(
                        "this search needs Fisher values: pass fisher=..., or fisher_mode='none'"
                    )
                target.check()
                fisher(FisherRequest(parameters[model], coefficient, handle, target, owner))
                return _ffi.DFM_CALLBACK_OK

            return call.answer(body, _ffi.DFM_CALLBACK_STOP)

        def on_progress(user: Any, phase: bytes, done: int, total: int, best: float) -> int:
            def body() -> int:
                progress.update(phase.decode(), done, best)
                return _ffi.DFM_CALLBACK_STOP if is_stopped() else _ffi.DFM_CALLBACK_OK

            return call.answer(body, _ffi.DFM_CALLBACK_STOP)

        self.evaluate = scoring(evaluate, "evaluate")
        self.evaluate_subset = (
            scoring(evaluate_subset, "evaluate_subset") if evaluate_subset else None
        )
        self.fisher = _ffi.dfm_fisher_fn(on_fisher)
        self.progress = _ffi.dfm_progress_fn(on_progress)


def by_model(
    values: Sequence[float], models: Sequence[str], groups: Sequence[str]
) -> dict[str, Any]:
    """The library's list of coefficients by model, and within a model by group if there are any."""
    if len(groups) == 1:
        return dict(zip(models, values, strict=True))
    return {
        model: dict(zip(groups, values[start : start + len(groups)], strict=True))
        for start, model in zip(range(0, len(values), len(groups)), models, strict=True)
    }


def _store(answer: Any, tasks: Sequence[str], scores: Any, variances: Any, function: str) -> int:
    """Write what ``evaluate`` or ``evaluate_subset`` returned into the library's arrays."""
    if answer is None:
        return _ffi.DFM_CALLBACK_TRIAL_FAILED
    if not isinstance(answer, Mapping):
        if len(tasks) != 1:
            raise TypeError(
                f"{function} returned {answer!r} but the search has the tasks {list(tasks)}: "
                f"return a "
                "dict with a score for each, or pass tasks=['score'] to Search"
            )
        answer = {tasks[0]: answer}
    if set(answer) != set(tasks):
        raise ValueError(
            f"{function} returned scores for {sorted(map(str, answer))}; this search has the tasks "
            f"{sorted(tasks)} (pass tasks=[...] to Search)"
        )
    for index, task in enumerate(tasks):
        score, variance = answer[task], None
        if isinstance(score, tuple) and len(score) == 2:
            score, variance = score
        scores[index] = _number(score, f"the score of task {task!r}", function)
        variances[index] = _number(variance, f"the variance of task {task!r}", function)
        if variances[index] < 0:
            raise ValueError(f"{function} returned {variance!r} as the variance of task {task!r}")
    return _ffi.DFM_CALLBACK_OK


def _number(value: Any, what: str, function: str) -> float:
    """A number, or one in an array or tensor, as a float; NaN for None, which is unknown."""
    if value is None:
        return math.nan
    try:
        return float(value.item() if hasattr(value, "item") else value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(
            f"{function} returned {value!r} as {what}: {error}; return a number, a (score, "
            "variance) pair, or None where there is no score"
        ) from error
