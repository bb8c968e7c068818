"""Merges by fusion_bench's functions, in the peers' environment, in float32 on the CPU."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

Weights = dict[str, Tensor]


def merge(job: dict[str, Any]) -> None:
    """Read, merge, write in the dtype of the inputs."""
    base = {name: v.float() for name, v in load_file(job["base"]).items()}
    models = [{n: v.float() for n, v in load_file(path).items()} for path in job["models"]]
    data = [load_file(path) for path in job["fishers"] or job["grams"]]
    with torch.no_grad():
        merged = CALLS[job["call"]](base, models, data, job["parameters"])
    dtype = getattr(torch, job["dtype"])
    Path(job["out"]).mkdir(parents=True, exist_ok=True)
    written = {n: merged[n].detach().to(dtype).contiguous() for n in base}
    save_file(written, Path(job["out"], "merged.safetensors"))


def _task_vectors(base: Weights, models: list[Weights]) -> list[Weights]:
    return [{n: model[n] - base[n] for n in base} for model in models]


def _added(base: Weights, vector: Weights, factor: float) -> Weights:
    return {n: base[n] + factor * vector[n].reshape(base[n].shape) for n in base}


class _Module(nn.Module):
    """A module with these parameters."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        for name, value in weights.items():
            self.register_parameter(name, nn.Parameter(value.clone(), requires_grad=False))


def _pool(base: Weights, models: list[Weights]) -> Any:
    from fusion_bench.modelpool import BaseModelPool

    modules = {f"model{i}": _Module(model) for i, model in enumerate(models)}
    return BaseModelPool({"_pretrained_": _Module(base), **modules})


def _ties(base: Weights, models: list[Weights], _: Any, given: dict[str, Any]) -> Weights:
    from fusion_bench.method.ties_merging.ties_merging import TiesMergingAlgorithm

    algorithm = TiesMergingAlgorithm(given["lambda"], given["percent"], [], given["aggregate"])
    return dict(algorithm.run(_pool(base, models)).state_dict())


def _model_stock(base: Weights, models: list[Weights], _: Any, given: dict[str, Any]) -> Weights:
    from fusion_bench.method.model_stock import ModelStock

    return dict(ModelStock().run(_pool(base, models)).state_dict())


def _slerp(base: Weights, models: list[Weights], _: Any, given: dict[str, Any]) -> Weights:
    from fusion_bench.method.slerp.slerp_utils import slerp

    return {n: slerp(given["t"], models[0][n], models[1][n]) for n in base}


def _iso_c(base: Weights, models: list[Weights], _: Any, given: dict[str, Any]) -> Weights:
    from fusion_bench.method.isotropic_merging.iso_utils import iso_c

    return _added(base, iso_c(_task_vectors(base, models), accelerator="cpu"), given["lambda"])


def _iso_cts(base: Weights, models: list[Weights], _: Any, given: dict[str, Any]) -> Weights:
    from fusion_bench.method.isotropic_merging.iso_utils import iso_cts

    found = iso_cts(_task_vectors(base, models), given["common"], accelerator="cpu")
    return _added(base, found, given["lambda"])


def _tsv_m(base: Weights, models: list[Weights], _: Any, given: dict[str, Any]) -> Weights:
    from fusion_bench.method.task_singular_vector.utils import TSVM_utils

    found = TSVM_utils.compute_and_sum_svd_mem_reduction(
        _task_vectors(base, models), accelerator="cpu"
    )
    return _added(base, found, given["lambda"])


def _fisher(base: Weights, models: list[Weights], fishers: Any, given: dict[str, Any]) -> Weights:
    from fusion_bench.method.fisher_merging.fisher_merging import merging_with_fisher_weights

    by_name = {n: [model[n] for model in models] for n in base}
    merged: Weights = merging_with_fisher_weights(
        by_name,
        fishers,
        torch.tensor(given["weights"]),
        normalize_fisher_weight=False,
        minimal_fisher_weight=given["added"],
    )
    return merged


def _opcm(base: Weights, models: list[Weights], _: Any, given: dict[str, Any]) -> Weights:
    """The steps of its OPCM on single weights; its driver knows CLIP only."""
    # The class's module imports CLIP's evaluation, which needs an older transformers.
    sys.modules.setdefault(
        "fusion_bench.taskpool",
        SimpleNamespace(CLIPVisionModelTaskPool=object),  # type: ignore[arg-type]
    )
    from fusion_bench.method.opcm.opcm import OPCMForCLIP

    step = OPCMForCLIP.__new__(OPCMForCLIP)
    norms = [_length(_task_vectors(base, [models[0]])[0])]
    merged, scale = models[0], 1.0
    for model in models[1:]:
        step.previous_lambda_t, step.lambda_t = scale, 1.0
        following = {}
        for name, value in base.items():
            given_to = (merged[name], value, model[name], name)
            if value.dim() == 2:
                following[name] = step.merge_linear_weights(*given_to, alpha=given["alpha"])
            else:
                following[name] = step.merge_other_parameters(*given_to)
        norms.append(_length(_task_vectors(base, [model])[0]))
        change = _task_vectors(base, [following])[0]
        scale = _length(change) / (sum(norms) / len(norms))
        merged = _added(base, change, 1 / scale)
    return merged


def _length(vector: Weights) -> float:
    return float(sum(v.double().square().sum() for v in vector.values()) ** 0.5)


def _emr(base: Weights, models: list[Weights], _: Any, given: dict[str, Any]) -> Weights:
    from fusion_bench.method.emr_merging.utils import emr_merge

    unified, masks, scalers = emr_merge(_task_vectors(base, models))
    task = given["task"]
    change = {n: unified[n] * masks[n][task] for n in base}
    return _added(base, change, float(scalers[task]))


def _regmean(base: Weights, models: list[Weights], grams: Any, given: dict[str, Any]) -> Weights:
    from fusion_bench.method.regmean.regmean import merging_with_regmean_weights

    # Their Gram matrices go by the names of modules, ours by those of weights.
    by_module = [{f"layer_{name}": value for name, value in gram.items()} for gram in grams]
    names = {n: f"layer_{n}.weight" for n in base}
    merged = merging_with_regmean_weights(
        {names[n]: [model[n] for model in models] for n in base},
        by_module,
        reduce_non_diagonal_ratio=given["off_diagonal"],
    )
    return {n: merged[names[n]] for n in base}


CALLS: dict[str, Callable[..., Weights]] = {
    "emr": _emr,
    "fisher": _fisher,
    "iso_c": _iso_c,
    "iso_cts": _iso_cts,
    "model_stock": _model_stock,
    "opcm": _opcm,
    "regmean": _regmean,
    "slerp": _slerp,
    "ties": _ties,
    "tsv_m": _tsv_m,
}
