"""DFMerge for torch: binding a module's parameters, and Fisher estimators for it.

`bind` gives the search an `nn.Module`'s own memory, `Fisher` is a ready Fisher callback, `gram`
measures what RegMean takes, `choice_log_likelihood` scores answer choices of token models, `share`
makes layers share their parameters, `MajorityKernels` trains weights as several copies.
Importing this package imports torch; importing `dfmerge` does not.
"""

from importlib.util import find_spec

if find_spec("torch") is None:
    raise ModuleNotFoundError(
        "dfmerge.torch needs torch, which is not installed: pip install 'dfmerge[torch]'",
        name="torch",
    )

from .choices import choice_log_likelihood
from .fisher import Fisher
from .grams import gram
from .kernels import MajorityKernels, collapse
from .module import Bound, bind, state
from .sharing import share, untie

__all__ = [
    "Bound",
    "Fisher",
    "MajorityKernels",
    "bind",
    "choice_log_likelihood",
    "collapse",
    "gram",
    "share",
    "state",
    "untie",
]
