"""DFMerge for torch: binding a module's parameters, and Fisher estimators for it.

`bind` gives the search an `nn.Module`'s own memory, `Fisher` is a ready Fisher callback,
`choice_log_likelihood` scores answer choices of token models. Importing this package imports
torch; importing `dfmerge` does not.
"""

from .choices import choice_log_likelihood
from .fisher import Fisher
from .module import Bound, bind, state

__all__ = ["Bound", "Fisher", "bind", "choice_log_likelihood", "state"]
