"""DFMerge: merge fine-tuned neural networks.

The main job is :class:`Search` (DF-Merge, arXiv 2504.18992): Bayesian optimisation finds one
coefficient per model while every candidate is merged straight into your model's own parameters.
:class:`Optimizer` is the same Bayesian optimisation over parameters of your own, by ask and tell.
:func:`merge` does one merge with a given method, in memory or from files to files; :func:`plan`
says what it will take; :func:`methods` lists the methods.

Importing this package needs nothing but the standard library; arrays come from torch, numpy or
whatever else has DLPack or Python's buffer protocol. :func:`library_path` says which
``libdfmerge`` it has loaded.
"""

from typing import TYPE_CHECKING

from . import _ffi
from ._callbacks import FisherRequest, Trial
from ._errors import (
    ArgumentError,
    Error,
    FormatError,
    InputOutputError,
    InternalError,
    NumericalError,
    ResourceError,
    StoppedError,
)
from ._loader import library_path
from ._merge import Plan, load, merge, merge_settings, methods, plan, save
from ._result import Result
from ._search import Search, search_options
from ._tensor import Tensor
from ._weights import Weights

__version__: str = _ffi.DFM_VERSION

if TYPE_CHECKING:
    from ._optimizer import Optimizer
    from ._optimizer_arguments import optimizer_options
    from ._optimizer_trial import OptimizerTrial

__all__ = [
    "ArgumentError",
    "Error",
    "FisherRequest",
    "FormatError",
    "InputOutputError",
    "InternalError",
    "NumericalError",
    "Optimizer",
    "OptimizerTrial",
    "Plan",
    "ResourceError",
    "Result",
    "Search",
    "StoppedError",
    "Tensor",
    "Trial",
    "Weights",
    "__version__",
    "library_path",
    "load",
    "merge",
    "merge_settings",
    "methods",
    "optimizer_options",
    "plan",
    "save",
    "search_options",
]

#: Names that need a quarter of the time of `import dfmerge`, and no merge needs; by module.
_WHEN_ASKED_FOR = {
    "Optimizer": "_optimizer",
    "OptimizerTrial": "_optimizer_trial",
    "optimizer_options": "_optimizer_arguments",
}

# Hidden from type checkers, for which every misspelt name would be a fine one.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _WHEN_ASKED_FOR:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        module = import_module(f"{__name__}.{_WHEN_ASKED_FOR[name]}")
        globals()[name] = getattr(module, name)
        return globals()[name]

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
