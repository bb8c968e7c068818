"""BoTorch's Gaussian process with logarithmic expected improvement, noisy or not."""

from __future__ import annotations

from typing import Any

import numpy as np
from peers import Peer, Point

#: What BoTorch's own tutorials take.
RESTARTS, RAW_SAMPLES = 10, 512


class BoTorchLogNEI(Peer):
    """SingleTaskGP and qLogNoisyExpectedImprovement; given variances are its train_Yvar."""

    recommends = "best posterior mean among evaluated points"

    def prepare(self) -> None:
        import torch
        from torch.quasirandom import SobolEngine

        torch.set_num_threads(1)
        torch.manual_seed(self.seed % 2**31)
        engine = SobolEngine(self.d, scramble=True, seed=self.seed % 2**31)
        self._first = engine.draw(self.n_init).double().numpy()

    def suggest(self) -> Point:
        if len(self.points) < self.n_init:
            return self._first[len(self.points)]
        import torch
        from botorch.optim import optimize_acqf

        bounds = torch.stack([torch.zeros(self.d), torch.ones(self.d)]).double()
        found, _ = optimize_acqf(
            self._acquisition(self._fitted()),
            bounds=bounds,
            q=1,
            num_restarts=RESTARTS,
            raw_samples=RAW_SAMPLES,
        )
        return found[0].detach().numpy()

    def recommend(self) -> Point:
        import torch

        model = self._fitted()
        with torch.no_grad():
            means = model.posterior(self._inputs()).mean.squeeze(-1).numpy()
        return self.points[int(means.argmax())]

    def _inputs(self) -> Any:
        import torch

        return torch.tensor(np.array(self.points), dtype=torch.double)

    def _fitted(self) -> Any:
        import torch
        from botorch.fit import fit_gpytorch_mll
        from botorch.models import SingleTaskGP
        from botorch.models.transforms.outcome import Standardize
        from gpytorch.mlls import ExactMarginalLogLikelihood

        scores = torch.tensor(self.scores, dtype=torch.double)[:, None]
        noise = None
        if all(variance is not None for variance in self.variances):
            noise = torch.tensor(self.variances, dtype=torch.double)[:, None]
        model = SingleTaskGP(
            self._inputs(), scores, train_Yvar=noise, outcome_transform=Standardize(m=1)
        )
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        return model

    def _acquisition(self, model: Any) -> Any:
        from botorch.acquisition.logei import qLogNoisyExpectedImprovement

        return qLogNoisyExpectedImprovement(model, X_baseline=self._inputs(), prune_baseline=True)


class BoTorchLogEI(BoTorchLogNEI):
    """The same model and LogExpectedImprovement over the best score observed."""

    def _acquisition(self, model: Any) -> Any:
        from botorch.acquisition.analytic import LogExpectedImprovement

        return LogExpectedImprovement(model, best_f=max(self.scores))
