"""Our methods beside mergekit's, each with the variant that has the same rules."""

from __future__ import annotations

from typing import Any

from pair import BF16, BF16_THROUGHOUT, F32, Explained, Options, Pair

#: Weights whose products with changes are exact in F32, and others.
W3, INEXACT = [1.0, 0.5, 0.25], [1.0, 0.6, 0.3]
C3 = [0.5, 0.3, -0.2]
ALL = (F32, BF16, BF16_THROUGHOUT)

COARSE = Explained(
    "mergekit computes in BF16 where a configuration says no more than `dtype: bfloat16`",
    dtype="BF16, arithmetic in BF16",
)
KEPT = "of changes that equal the smallest one kept mergekit keeps some, we keep all"
SELECTED = (
    Explained("mergekit keeps at least one element of a tensor", ("single", "scalar")),
    Explained(KEPT, ("levels", "opposed", "parallel"), kind="structured"),
    Explained(KEPT, share=1e-4, dtype="F32"),
    Explained(f"{KEPT}; in BF16 many are equal", share=0.1, dtype="BF16"),
)
VOTES = Explained(
    "votes that cancel, up to the rounding of weights: mergekit's are F32", share=1e-3
)


def _pair(
    method: str, ours: Options, call: str, theirs: Options, variant: str, **more: Any
) -> Pair:
    return Pair(method, ours, "mergekit", call, theirs, variant, **more)


def _ties(normalize: bool, density: float, factor: float, weights: list[float]) -> Pair:
    aggregate = "mean" if normalize else "sum"
    exact = "" if weights == W3 else ", weights that F32 rounds"
    return _pair(
        "ties",
        {"weights": weights, "density": density, "lambda": factor, "aggregate": aggregate,
         "scope": "tensor", "trim": "exact", "zero_sign": "positive"},
        "ties",
        {"weight": weights, "density": density, "lambda": factor, "normalize": normalize},
        f"density {density:g}, {aggregate}, lambda {factor:g}{exact}",
        types=ALL,
        explained=(COARSE, *(SELECTED if density < 1 else ()), *((VOTES,) if exact else ())),
    )  # fmt: skip


def _drawn(
    method: str,
    call: str,
    ours: Options,
    theirs: Options,
    variant: str,
    explained: tuple[Explained, ...] = (),
) -> Pair:
    """A randomised method, compared by what is expected of it."""
    return _pair(
        method,
        {"density": 0.5, **ours},
        call,
        {"density": 0.5, **theirs},
        f"density 0.5{variant}, draws differ",
        kinds=("large",),
        types=(F32,),
        drawn={"density": 1.0},
        explained=explained,
    )


LINEAR = [
    _pair("average", {"weights": INEXACT}, "linear", {"weight": INEXACT}, "normalized",
          base=False, types=ALL, explained=(COARSE,)),
    _pair("average", {"weights": C3, "normalize": False}, "linear",
          {"weight": C3, "normalize": False}, "not normalized", base=False),
    _pair("task_arithmetic", {"coefficients": C3}, "task_arithmetic", {"weight": C3},
          "negative weights too", types=ALL, explained=(COARSE,)),
    _pair("passthrough", {"scale": 0.7}, "passthrough", {"scale": 0.7}, "scaled", base=False,
          models=1),
]  # fmt: skip
ELECTED = [
    _ties(True, 0.2, 1.0, W3),
    _ties(False, 0.5, 0.4, W3),
    _ties(True, 1.0, 1.0, W3),
    _ties(True, 1.0, 1.0, INEXACT),
    _pair("dare", {"coefficients": C3, "density": 1}, "dare_linear",
          {"weight": C3, "density": 1.0}, "density 1"),
    _drawn("dare", "dare_linear", {"coefficients": W3}, {"weight": W3}, ""),
    _drawn("dare", "dare_linear", {"coefficients": W3, "rescale": "l1"}, {"weight": W3},
           ", its rescaling"),
    _pair("dare_ties", {"weights": W3, "density": 1, "lambda": 0.7}, "dare_ties",
          {"weight": W3, "density": 1.0, "lambda": 0.7}, "density 1, sum"),
    _pair("dare_ties", {"weights": W3, "density": 1, "aggregate": "mean"}, "dare_ties",
          {"weight": W3, "density": 1.0, "normalize": True}, "density 1, mean"),
    _drawn("dare_ties", "dare_ties", {"weights": W3}, {"weight": W3}, ""),
    _drawn("dare_ties", "dare_ties", {"weights": W3, "rescale": "l1"}, {"weight": W3},
           ", its rescaling"),
]  # fmt: skip


LEVELS = Explained(
    "of changes of equal size mergekit keeps as many as the densities say, we all or none",
    ("levels", "opposed", "parallel", "sparse", "unchanged", "one_changed", "one_unchanged"),
    kind="structured",
)
FEW = Explained("the same, of a few changes", share=1e-4, dtype="F32")
COARSER = Explained("the same; in BF16 many changes are equal", share=0.15, dtype="BF16")
#: A tensor has floor(gamma n) = 0 outliers.
SHORT = Explained(
    "mergekit up to 0.1.4, whose rule ours is, zeroes a tensor that has no outliers",
    ("vector*_7", "single", "scalar"),
)
TAILS = {"density": 0.4, "gamma": 0.1}
OURS_TAILS = {**TAILS, "scope": "tensor", "variant": "mergekit"}
TAILED = (SHORT, LEVELS, FEW, COARSER)
DRAWN_RANKS = {"epsilon": 0.2}
BY_SIZE = Explained(
    "ours divides what is kept by its own probability; mergekit's L1 norm makes all of it larger, "
    "for mostly large changes are kept"
)

CUT = [
    _pair("breadcrumbs", {"coefficients": W3, **OURS_TAILS}, "breadcrumbs",
          {"weight": W3, **TAILS}, "tensor", explained=TAILED),
    _pair("breadcrumbs_ties", {"weights": W3, "lambda": 0.5, **OURS_TAILS}, "breadcrumbs_ties",
          {"weight": W3, "lambda": 0.5, **TAILS}, "tensor, sum", explained=TAILED),
    _pair("breadcrumbs_ties", {"weights": W3, "aggregate": "mean", **OURS_TAILS},
          "breadcrumbs_ties", {"weight": W3, "normalize": True, **TAILS}, "tensor, mean",
          explained=TAILED),
    _pair("della", {"weights": W3, "density": 1, "lambda": 0.7}, "della",
          {"weight": W3, "density": 1.0, "lambda": 0.7}, "density 1, mean"),
    _pair("della_linear", {"coefficients": C3, "density": 1}, "della_linear",
          {"weight": C3, "density": 1.0}, "density 1"),
    *(
        _drawn(method, method, {name: W3, **DRAWN_RANKS, **more}, {"weight": W3, **DRAWN_RANKS},
               variant, () if more else (BY_SIZE,))
        for method, name in (("della", "weights"), ("della_linear", "coefficients"))
        for more, variant in (({}, ""), ({"rescale": "l1"}, ", its rescaling"))
    ),
    *(
        _pair("sce", {"select_topk": share, "variant": "mergekit"}, "sce", {"select_topk": share},
              f"its variant, select_topk {share:g}",
              explained=(LEVELS, FEW, COARSER) if share < 1 else ())
        for share in (1.0, 0.3)
    ),
]  # fmt: skip


def _turned(method: str, ours: Options, theirs: Options, variant: str, **more: Any) -> Pair:
    """A method whose result depends on lengths and angles of whole tensors."""
    return _pair(method, ours, method, theirs, variant, by_tensor=True, **more)


OPPOSITE = Explained(
    "between opposite changes mergekit's cosine, in F32, is not -1 and it turns about an angle of "
    "rounding, where we go straight",
    ("opposed",),
)
ANGLES = [
    _turned("slerp", {"t": 0.3}, {"t": 0.3}, "t 0.3", models=2, base=False, first_is_base=True),
    *(
        _turned("nuslerp", {"weights": [1, 3], "scope": scope}, {"weight": [1.0, 3.0], **theirs},
                f"{scope}, {'changes' if base else 'weights'}", models=2, base=base,
                explained=(OPPOSITE,))
        for scope, theirs in (
            ("tensor", {}),
            ("row", {"nuslerp_flatten": False}),
            ("column", {"nuslerp_flatten": False, "nuslerp_row_wise": True}),
        )
        for base in (True, False)
    ),
    *(
        _turned("multislerp", {"weights": INEXACT}, {"weight": INEXACT},
                "changes" if base else "weights", base=base, kinds=("random", "regular"))
        for base in (True, False)
    ),
    *(
        _turned("model_stock", {"scope": scope, "clamp": False, "norm_floor": 1e-6},
                {"filter_wise": scope == "row"}, f"{scope}, {models} models, its floor of norms",
                models=models, kinds=("random", "regular"), tolerance=1e-5)
        for scope in ("tensor", "row")
        for models in (2, 3)
    ),
    _turned("karcher", {}, {}, "equal weights", base=False),
]  # fmt: skip

PAIRS = [*LINEAR, *ELECTED, *CUT, *ANGLES]
