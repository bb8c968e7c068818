"""What an optimizer has found: trials, the best, what its model says."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable, Mapping
from typing import Any, overload

from ._handles import Handle, parsed, text
from ._loader import check, lib
from ._optimizer_arguments import doubles, point_of
from ._optimizer_trial import OptimizerTrial


class OptimizerFindings:
    """The part of an :class:`Optimizer` that asks for results."""

    #: Names of the parameters, in order.
    parameters: list[str]
    _bounds: dict[str, tuple[float, float]]
    _handle: Handle
    _closed: bool

    @property
    def trials(self) -> list[OptimizerTrial]:
        """Every trial in order of its number, running and withdrawn ones included."""
        data = self._parsed(lib.dfm_optimizer_trials)
        found = [
            OptimizerTrial.from_json(trial, self._bounds)
            for kind in ("trials", "running", "withdrawn")
            for trial in data[kind]
        ]
        return sorted(found, key=operator.attrgetter("number"))

    @property
    def running(self) -> list[OptimizerTrial]:
        """The trials that are out: after a resume, those that nobody may be working on."""
        data = self._parsed(lib.dfm_optimizer_trials)["running"]
        return [OptimizerTrial.from_json(trial, self._bounds) for trial in data]

    @property
    def best_trial(self) -> OptimizerTrial:
        """The chosen trial: by default that of the best expected score under the model."""
        data = self._parsed(lib.dfm_optimizer_best)
        if data is None:
            raise ValueError("no trial has a score yet")
        return OptimizerTrial.from_json(data, self._bounds)

    @property
    def best_params(self) -> dict[str, float]:
        """The parameters of :attr:`best_trial`."""
        return self.best_trial.params

    @property
    def best_value(self) -> float:
        """The score that was told for :attr:`best_trial`."""
        value = self.best_trial.value
        assert value is not None  # it is chosen among trials with a value
        return value

    @property
    def best_trials(self) -> list[OptimizerTrial]:
        """The trials between which only a preference among the tasks can choose (Pareto front)."""
        front = set(self.to_dict()["pareto"])
        return [trial for trial in self.trials if trial.number in front]

    @property
    def cost(self) -> float:
        """What the evaluations told have cost, in full ones; added trials cost nothing."""
        return float(self._parsed(lib.dfm_optimizer_trials)["cost"])

    @property
    def improvement_left(self) -> float | None:
        """The largest improvement that one more evaluation is expected to bring.

        In score units; None while no trial has a score.
        """
        found = self.to_dict()["improvement_left"]
        return None if found is None else float(found)

    @property
    def should_stop(self) -> str | None:
        """Why a loop should end; None to go on.

        "trials", "target", "time" (option ``max_seconds``) or "improvement" (``stop_improvement``:
        little left to gain at two results in a row, as seen at each reading of this).
        """
        self._check_open()
        return text(lib.dfm_optimizer_stop_reason, self._handle.value) or None

    @property
    def warnings(self) -> list[str]:
        """What happened that one should know (a repaired journal, ...)."""
        found: list[str] = self._parsed(lib.dfm_optimizer_trials)["warnings"]
        return found

    @overload
    def predict(self, params: Mapping[str, float]) -> tuple[float, float]: ...

    @overload
    def predict(self, params: Iterable[Mapping[str, float]]) -> list[tuple[float, float]]: ...

    def predict(
        self, params: Mapping[str, float] | Iterable[Mapping[str, float]]
    ) -> tuple[float, float] | list[tuple[float, float]]:
        """Mean and standard deviation of the noise-free score that the model expects.

        For one point, or a list of them.
        """
        many = not isinstance(params, Mapping)
        wanted = list(params) if not isinstance(params, Mapping) else [params]
        flat = doubles([value for point in wanted for value in point_of(point, self.parameters)])
        means, sds = doubles([0.0] * len(wanted)), doubles([0.0] * len(wanted))
        self._call(lib.dfm_optimizer_predict, flat, len(wanted), len(self.parameters), means, sds)
        found = list(zip(means, sds, strict=True))
        return found if many else found[0]

    def importance(self) -> dict[str, float]:
        """Each parameter's share of the variation of the expected score; they sum to 1.

        Empty while no trial has a score.
        """
        shares = self.to_dict()["importance"]
        return {name: float(shares[name]) for name in self.parameters if name in shares}

    def slices(self) -> list[dict[str, Any]]:
        """What the model expects along each parameter, the others at the best trial.

        One dict per parameter: its ``name``, values ``at``, ``mean`` and ``sd``; an empty list
        while no trial has a score.
        """
        found: list[dict[str, Any]] = self.to_dict()["slices"]
        return found

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data: options, parameters, trials, best, slices, ..."""
        data: dict[str, Any] = self._parsed(lib.dfm_optimizer_result)
        return data

    def report(self, path: str | os.PathLike[str]) -> None:
        """Write one self-contained HTML page; needs the extra ``plots`` (matplotlib)."""
        from ._report import report

        report(self._as_search(), os.fspath(path))

    def plot(self) -> Any:
        """A matplotlib figure: best so far, parameters, scores per task, slices of the model."""
        from ._plots import plot

        return plot(self._as_search())

    def _as_search(self) -> dict[str, Any]:
        """The result under the names that a search's has, which report and charts read.

        They choose their words by its ``kind``.
        """
        data = self.to_dict()

        def renamed(trial: Mapping[str, Any]) -> dict[str, Any]:
            return {**trial, "coefficients": trial["params"]}

        best = data["best"]
        return {
            **data,
            "format": 2,
            "models": self.parameters,
            "parameters": self.parameters,
            "groups": None,
            "slices": [{**line, "model": line["name"], "group": None} for line in data["slices"]],
            "trials": [renamed(trial) for trial in data["trials"]],
            "best": None if best is None else renamed(best),
        }

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError("this optimizer is closed; make it again with its journal")

    def _call(self, function: Any, *arguments: Any) -> None:
        self._check_open()
        check(function(self._handle.value, *arguments))

    def _parsed(self, function: Any) -> Any:
        self._check_open()
        return parsed(function, self._handle.value)
