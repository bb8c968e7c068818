"""The other optimisers, each as its authors' documentation has it used, behind one interface."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

Point = Sequence[float] | np.ndarray


class Peer(ABC):
    """`init`: points to evaluate first; else the optimiser starts as it does by itself."""

    #: What `recommend` gives.
    recommends = "best observed"

    def __init__(
        self, d: int, seed: int, budget: int, n_init: int, init: Sequence[Point] | None = None
    ) -> None:
        self.d, self.seed, self.budget, self.n_init = d, seed, budget, n_init
        self.init = None if init is None else [np.asarray(point) for point in init]
        self.random = np.random.default_rng(seed)
        self.points: list[np.ndarray] = []
        self.scores: list[float] = []
        self.variances: list[float | None] = []
        self.prepare()

    @abstractmethod
    def prepare(self) -> None:
        """Make the library's object."""

    def start(self) -> Point | None:
        """The next point of the given start, or None behind it."""
        if self.init is not None and len(self.points) < len(self.init):
            return self.init[len(self.points)]
        return None

    def ask(self) -> Point:
        """The next point to evaluate."""
        start = self.start()
        return self.suggest() if start is None else start

    @abstractmethod
    def suggest(self) -> Point:
        """The next point behind a given start."""

    def tell(self, x: Point, y: float, variance: float | None = None) -> None:
        """Record a score; most libraries have no use for its variance."""
        self.points.append(np.asarray(x, float))
        self.scores.append(float(y))
        self.variances.append(variance)

    def recommend(self) -> Point:
        """The point to ship after the evaluations so far."""
        return self.points[int(np.argmax(self.scores))]


class Random(Peer):
    """Uniform points."""

    def prepare(self) -> None:
        """Uniform draws need no object."""

    def suggest(self) -> Point:
        return self.random.random(self.d)


class Sobol(Peer):
    """A scrambled Sobol sequence."""

    def prepare(self) -> None:
        from scipy.stats import qmc

        self._sequence = qmc.Sobol(self.d, seed=self.seed)
        # Drawn at once, as a power of two.
        self._points = self._sequence.random(1 << max(1, (self.budget - 1).bit_length()))

    def suggest(self) -> Point:
        return self._points[len(self.points) - len(self.init or ())]


class CMAES(Peer):
    """pycma; started in the cube's centre, or around the best of a given start."""

    def prepare(self) -> None:
        self._strategy: Any = None
        self._asked: list[np.ndarray] = []
        self._told: list[float] = []

    def suggest(self) -> Point:
        if self._strategy is None or (not self._asked and self._strategy.stop()):
            import cma

            fresh = self._strategy is not None
            centre = self.random.random(self.d) if fresh else np.full(self.d, 0.5)
            if self.init and not fresh:
                centre = self.points[int(np.argmax(self.scores))]
            settings = {"bounds": [0, 1], "seed": self.seed % 2**31 + 1 + len(self.points)}
            self._strategy = cma.CMAEvolutionStrategy(centre, 0.3, {**settings, "verbose": -9})
        if not self._asked:
            self._asked = [np.asarray(x) for x in self._strategy.ask()]
        return self._asked[len(self._told)]

    def tell(self, x: Point, y: float, variance: float | None = None) -> None:
        given = self.start() is not None
        super().tell(x, y, variance)
        if given:
            return
        self._told.append(-float(y))
        if len(self._told) == len(self._asked):
            self._strategy.tell(self._asked, self._told)
            self._asked, self._told = [], []


class _Optuna(Peer):
    sampler = ""

    def prepare(self) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        sampler = getattr(optuna.samplers, self.sampler)(
            seed=self.seed % 2**31, n_startup_trials=self.n_init
        )
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        uniform = optuna.distributions.FloatDistribution(0, 1)
        self._space = {f"x{k}": uniform for k in range(self.d)}
        for point in self.init or ():
            named = {name: float(v) for name, v in zip(self._space, point, strict=True)}
            self._study.enqueue_trial(named)

    def ask(self) -> Point:
        self._trial = self._study.ask(self._space)
        return [self._trial.params[name] for name in self._space]

    def tell(self, x: Point, y: float, variance: float | None = None) -> None:
        super().tell(x, y, variance)
        self._study.tell(self._trial, float(y))


class OptunaGP(_Optuna):
    """Optuna's Gaussian-process sampler."""

    sampler = "GPSampler"


class OptunaTPE(_Optuna):
    """Optuna's default sampler."""

    sampler = "TPESampler"


class BayesianOptimization(Peer):
    """bayesian-optimization with expected improvement, xi 0.01, as DF-Merge's authors have it."""

    def prepare(self) -> None:
        from bayes_opt import BayesianOptimization as Library
        from bayes_opt.acquisition import ExpectedImprovement as Improvement

        self._names = [f"x{k}" for k in range(self.d)]
        self._library = Library(
            f=None,
            pbounds={name: (0.0, 1.0) for name in self._names},
            acquisition_function=Improvement(xi=0.01, random_state=self.seed),
            random_state=self.seed,
            verbose=0,
            allow_duplicate_points=True,
        )

    def suggest(self) -> Point:
        if len(self.points) < self.n_init:
            return self.random.random(self.d)
        named = self._library.suggest()
        return [named[name] for name in self._names]

    def tell(self, x: Point, y: float, variance: float | None = None) -> None:
        super().tell(x, y, variance)
        named = {name: float(v) for name, v in zip(self._names, x, strict=True)}
        self._library.register(params=named, target=float(y))


class ScikitOptimize(Peer):
    """scikit-optimize's Gaussian process."""

    def prepare(self) -> None:
        from skopt import Optimizer

        self._library = Optimizer(
            [(0.0, 1.0)] * self.d,
            base_estimator="GP",
            n_initial_points=self.n_init,
            random_state=self.seed % 2**31,
        )

    def suggest(self) -> Point:
        return self._library.ask()

    def tell(self, x: Point, y: float, variance: float | None = None) -> None:
        super().tell(x, y, variance)
        self._library.tell([float(v) for v in x], -float(y))
