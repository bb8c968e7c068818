"""DFMerge: merge fine-tuned neural networks.

The main job is :class:`Search` (DF-Merge, arXiv 2504.18992): Bayesian optimisation finds one
coefficient per model while every candidate is merged straight into your model's own parameters.
:class:`Optimizer` is the same Bayesian optimisation over parameters of your own, by ask and tell.
:func:`merge` does one merge with a given method, in memory or from files to files; :func:`plan`
says what it will take; :func:`methods` lists the methods.

Importing this package needs nothing but the standard library; arrays come from torch or numpy.
"""

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
from ._loader import lib as _lib
from ._merge import Plan, load, merge, merge_settings, methods, plan, save
from ._optimizer import Optimizer
from ._optimizer_arguments import optimizer_options
from ._optimizer_trial import OptimizerTrial
from ._result import Result
from ._search import Search, search_options
from ._weights import Weights

__version__: str = _lib.dfm_version().decode()

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
    "Trial",
    "Weights",
    "__version__",
    "load",
    "merge",
    "merge_settings",
    "methods",
    "optimizer_options",
    "plan",
    "save",
    "search_options",
]
