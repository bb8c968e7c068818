"""Merges by mergekit, in the peers' environment: as its program `mergekit-pytorch` makes them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any


def merge(job: dict[str, Any]) -> None:
    """Merge safetensors files into a folder; a list among the parameters has one value a model."""
    from mergekit.graph import Executor
    from mergekit.options import MergeOptions
    from mergekit.scripts.merge_raw_pytorch import RawPyTorchMergeConfig, plan_flat_merge

    options = MergeOptions(random_seed=0, quiet=True)
    options.apply_global_options()
    per_model = {k: v for k, v in job["parameters"].items() if isinstance(v, list)}
    models = [
        {"model": path, "parameters": {k: v[i] for k, v in per_model.items()}}
        for i, path in enumerate(job["models"])
    ]
    config = {
        "merge_method": job["call"],
        "models": models,
        "parameters": {k: v for k, v in job["parameters"].items() if k not in per_model},
        "dtype": job["arithmetic"],
        "out_dtype": job["dtype"],
    }
    if job["base"]:
        config["base_model"] = job["base"]
    shutil.rmtree(job["out"], ignore_errors=True)
    given = RawPyTorchMergeConfig.model_validate(config)
    Executor(plan_flat_merge(given, job["out"], False, False, options)).execute()
    written = sorted(Path(job["out"]).glob("*.safetensors"))
    if len(written) != 1:
        raise RuntimeError(f"mergekit wrote {len(written)} files")
    written[0].replace(Path(job["out"], "merged.safetensors"))
