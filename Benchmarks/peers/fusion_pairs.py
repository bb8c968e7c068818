"""Our methods beside fusion_bench's, which follow the authors' code."""

from __future__ import annotations

from typing import Any

from pair import Explained, Options, Pair

DEGENERATE = Explained(
    "directions of singular values that are 0 are arbitrary",
    ("low_rank", "sparse", "parallel", "opposed", "levels", "one_changed", "one_unchanged"),
    kind="structured",
)
ADDED = Explained(
    "fusion_bench adds 1e-8 to products of lengths, and to the divisor",
    ("vector*_7", "tiny_changes", "single", "scalar", "one_column", "opposed"),
)
PROJECTED = Explained(
    "directions in which there is no change yet are arbitrary: fusion_bench projects some away",
    (
        "low_rank",
        "sparse",
        "parallel",
        "opposed",
        "levels",
        "one_changed",
        "one_unchanged",
        "one_row",
        "one_column",
    ),
    kind="structured",
)
#: Singular value decompositions in F32.
FACTORISED = 2e-4


def _pair(
    method: str, ours: Options, call: str, theirs: Options, variant: str, **more: Any
) -> Pair:
    return Pair(method, ours, "fusion_bench", call, theirs, variant, **more)


def _matrices(method: str, ours: Options, theirs: Options, variant: str, **more: Any) -> Pair:
    return _pair(method, ours, method, theirs, variant, by_tensor=True, tolerance=FACTORISED,
                 explained=(DEGENERATE,), **more)  # fmt: skip


PAIRS = [
    *(
        _pair("ties", {"density": 0.2, "lambda": factor, "aggregate": aggregate}, "ties",
              {"lambda": factor, "percent": 20, "aggregate": aggregate},
              f"whole model, {aggregate}, lambda {factor:g}")
        for aggregate, factor in (("mean", 1.0), ("sum", 0.3), ("max", 0.5))
    ),
    _pair("fisher", {"weights": [1, 0.5, 0.25], "normalize": False, "floor": 0}, "fisher",
          {"weights": [1.0, 0.5, 0.25], "added": 0.0}, "no floor, not normalized", base=False,
          fishers=True),
    _pair("slerp", {"t": 0.3}, "slerp", {"t": 0.3}, "t 0.3", models=2, base=False,
          by_tensor=True),
    *(
        _pair("model_stock", {"angle": "degrees", "clamp": False}, "model_stock", {},
              f"mean angle, {models} models", models=models, by_tensor=True,
              kinds=("random", "regular"), explained=(ADDED,))
        for models in (2, 3)
    ),
    _matrices("iso_c", {"lambda": 1.2}, {"lambda": 1.2}, "lambda 1.2"),
    _matrices("iso_cts", {"lambda": 1.2, "common": 0.8}, {"lambda": 1.2, "common": 0.8},
              "lambda 1.2, common 0.8"),
    _matrices("tsv_m", {"lambda": 1.2}, {"lambda": 1.2}, "lambda 1.2"),
    *(
        _pair("emr", {"task": task}, "emr", {"task": task}, f"task {task}", kinds=kinds)
        for task, kinds in ((0, ("random", "structured")), (2, ("random", "structured")))
    ),
    _pair("opcm", {"alpha": 0.5}, "opcm", {"alpha": 0.5}, "alpha 0.5", by_tensor=True,
          tolerance=FACTORISED, explained=(PROJECTED,)),
    *(
        _pair("regmean", {"off_diagonal": share}, "regmean", {"off_diagonal": share},
              f"off_diagonal {share:g}", base=False, grams=True, by_tensor=True, tolerance=1e-4)
        for share in (0.1, 0.9)
    ),
]  # fmt: skip
