"""Diagonal Fisher information of a module, as the search's Fisher callback."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from ._routes import ROUTES, Routes
from ._sampling import Labels, Sampling
from ._ties import tied_by_memory


class Request(Protocol):
    """What the search passes to its Fisher callback (see `dfmerge.Search`)."""

    @property
    def model(self) -> str:
        """Name of the model whose Fisher is asked for."""

    @property
    def names(self) -> Sequence[str]:
        """Parameters to measure."""

    @property
    def buffers(self) -> Mapping[str, Any]:
        """A float32 array or tensor per name, to add the Fisher to."""


class Fisher:
    """Estimates the diagonal Fisher of the module's present weights; pass it as ``fisher=``.

    Definition, over the n rows x chosen for a model and the scores z(x) in R^K, p = softmax(z)::

        target "class"    F = 1/n sum_x sum_y p_y (d log p_y / d theta)^2
        target "choice"   F = 1/n sum_x sum_y p_y (d z_y / d theta)^2

    "class" is the Fisher information of a classifier. "choice" is the paper's, for answer
    choices whose z_y is a length-normalised log-likelihood (`choice_log_likelihood`): the weight
    is the softmax over choices, the gradient that of the choice's own score. Nothing is added
    to F (no epsilon) and nothing normalises it.

    Parameters
    ----------
    module : nn.Module
        The module whose parameters the search writes. Measured in eval mode.
    data : mapping of str to dataset
        For each model its rows: a Tensor or array (row = entry of dimension 0), a Dataset, a
        list. A TensorDataset's batches are tuples of stacked tensors, a Tensor's are stacked,
        any other's are lists of rows, unless `collate` makes something else of the rows.
    log_probs : callable (module, batch) -> Tensor [B, K]
        For target "class" the log-probabilities or the logits of K classes (the softmax over K
        is taken here, which leaves log-probabilities as they are); for "choice" the scores of K
        choices. -inf marks a class or choice that does not exist. A row's scores must not
        depend on the other rows: mask padding.
    samples : int or None
        Rows measured per model, chosen once, without replacement, from (seed, model) alone: the
        same in every call and in a resumed run. None, or more than there are: all rows. The
        mean is over the rows in use.
    seed : int
        Chooses the rows, and the labels of kind "sampled".
    kind : {"exact", "sampled", "empirical"}
        "exact" sums over y as above: K - 1 backward passes per batch for "class", K for
        "choice". "sampled" draws one y from p per row; a row keeps its random number in every
        call, so the estimate changes only as much as p does. "empirical" takes the given labels.
    target : {"class", "choice"}
    labels : mapping of str to sequence, or callable row -> int
        For kind "empirical": class indices beside the rows of each model, or read from a row.
    batch_size : int
        Rows per forward pass. Rows of a list or Dataset are taken smallest first, so that little
        padding is measured.
    collate : callable list of rows -> batch, optional
    vectorize : {"auto", "graph", "func", "loop"}
        How per-row gradients are formed; "auto" takes the first that works, per parameter:

        * "graph": one backward pass per seed for all rows, per-row gradients formed at the
          operations where parameters meet rows, as autograd recorded them.
        * "func": torch.func.vmap; needs batches made of tensors.
        * "loop": a backward pass per row and seed. "auto" warns when it has to.

        "auto" also measures two rows of every model together and one by one, once, and uses the
        loop where they differ. The others leave that check out; "graph" and "func" raise
        RuntimeError for what they cannot do.

    Notes
    -----
    Every parameter of the request is measured, `requires_grad` or not: a frozen parameter that
    two models disagree on is merged like any other. One the scores do not depend on has F = 0,
    where DF-Merge is task arithmetic. Of a parameter with several uses - tied names, one memory,
    a layer called twice - the gradients of all uses are added before they are squared. Training
    flags, `requires_grad`, `.grad` and torch's random state are as before when a call returns or
    raises; autocast is left as the caller set it (the squares are formed outside it, in float32
    or wider).

    Cost of route "graph": per batch one forward pass and, per seed, one backward pass without
    weight gradients plus their per-row products; memory as for training on one batch. The same
    weights, rows and thread count give the same numbers, in whatever order calls are made.

    NaN scores make every entry NaN, which the search reports as a failed measurement.

    Examples
    --------
    >>> fisher = Fisher(net, {"a": images_a, "b": images_b}, lambda net, x: net(x))
    >>> search = dfmerge.Search(net, base, models, evaluate, fisher=fisher)
    """

    def __init__(
        self,
        module: nn.Module,
        data: Mapping[str, Any],
        log_probs: Callable[[Any, Any], Tensor],
        *,
        samples: int | None = 100,
        seed: int = 0,
        kind: Literal["exact", "sampled", "empirical"] = "exact",
        target: Literal["class", "choice"] = "class",
        labels: Labels | None = None,
        batch_size: int = 16,
        collate: Callable[[list[Any]], Any] | None = None,
        vectorize: Literal["auto", "graph", "func", "loop"] = "auto",
    ) -> None:
        if not isinstance(data, Mapping):
            raise TypeError(
                f"data is a {type(data).__name__}; pass a dict with the rows of each model by name"
            )
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; it must be at least 1")
        self.module = module
        self.batch_size = batch_size
        self._sampling = Sampling(
            module, dict(data), log_probs, samples, seed, kind, target, labels, collate
        )
        self._routes = Routes(self._sampling, vectorize)
        self._order: dict[str, list[int]] = {}

    @property
    def routes(self) -> dict[str, str]:
        """The route of each parameter measured so far."""
        return dict(self._routes.taken)

    @property
    def route(self) -> str:
        """The routes taken so far, fastest first, joined by "+"; empty before the first call."""
        return "+".join(r for r in ROUTES if r in self._routes.taken.values())

    def check(self, targets: Mapping[str, Tensor], models: Sequence[str]) -> None:
        """Raise unless this measures what a search over ``targets`` and ``models`` writes.

        Raises
        ------
        KeyError
            No data for one of the models.
        ValueError
            The module's parameters are not the memory of ``targets``.
        """
        for model in models:
            self.rows(model)
        named = dict(self.module.named_parameters(remove_duplicate=False))
        for name, target in targets.items():
            if name not in named or named[name].data_ptr() != target.data_ptr():
                raise ValueError(
                    f"the search writes '{name}', which is no parameter of the module that "
                    "Fisher measures; pass both the same module"
                )

    def rows(self, model: str) -> list[int]:
        """Indices of the rows measured for a model, ascending. KeyError: no data for it."""
        return self._sampling.rows(model)

    def __call__(self, request: Request) -> None:
        """Add the Fisher of the module's present weights to the request's buffers."""
        self.measure(request.model, {name: request.buffers[name] for name in request.names})

    def measure(self, model: str, into: Mapping[str, Any]) -> None:
        """Add the Fisher to arrays or tensors by parameter name; for use without a search.

        Parameters
        ----------
        model : str
            Whose rows to use.
        into : mapping of str to float32 or float64 Tensor or ndarray
            Contiguous, in the shapes of the parameters. Every name must be a parameter of the
            module (any of a tied parameter's names).

        Raises
        ------
        KeyError
            No data for the model, or a name that is no parameter.
        TypeError, ValueError
            A buffer of the wrong type or shape; scores of the wrong shape or without gradient.
        """
        rows = self.rows(model)
        if model not in self._order:
            self._order[model] = self._sampling.by_size(model, rows)
        rows = self._order[model]
        named = dict(self.module.named_parameters(remove_duplicate=False))
        unknown = [name for name in into if name not in named]
        if unknown:
            raise KeyError(f"the module has no parameter '{unknown[0]}'; ask for its own names")
        parameters = {name: named[name] for name in into}
        with tied_by_memory(self.module, parameters), _measuring(self.module, parameters):
            buffers = {n: _as_tensor(n, into[n], p.shape) for n, p in parameters.items()}
            # The smallest and the largest row: padding that leaks into the scores shows here.
            self._routes.compare(model, [rows[0], rows[-1]][: len(rows)], parameters)
            for i in range(0, len(rows), self.batch_size):
                batch = rows[i : i + self.batch_size]
                self._routes.add(model, batch, parameters, buffers, 1 / len(rows))


@contextmanager
def _measuring(module: nn.Module, parameters: Mapping[str, Tensor]) -> Iterator[None]:
    """Eval mode, and gradients on for the parameters; all is put back at the end."""
    modes = [(m, m.training) for m in module.modules()]
    flags = [(p, p.requires_grad) for p in parameters.values()]
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(torch.random.fork_rng(devices=[]))
        try:
            module.eval()
            for p in parameters.values():
                p.requires_grad_(True)
            yield
        finally:
            for m, training in modes:
                m.training = training
            for p, flag in flags:
                p.requires_grad_(flag)


def _as_tensor(name: str, buffer: Any, shape: torch.Size) -> Tensor:
    """A buffer as a torch tensor over the same memory, writable outside inference mode."""
    if isinstance(buffer, Tensor):
        tensor = torch.from_numpy(buffer.numpy()) if buffer.is_inference() else buffer
    else:
        tensor = torch.from_numpy(buffer)
    if tensor.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"buffer '{name}' has dtype {tensor.dtype}; Fisher buffers are float32")
    if tensor.shape != shape:
        raise ValueError(
            f"buffer '{name}' has shape {list(tensor.shape)}, the parameter {list(shape)}; "
            "pass a buffer of the parameter's shape"
        )
    return tensor
