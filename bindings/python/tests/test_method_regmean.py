"""RegMean against NumPy, written from the paper's closed form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from conftest import near, random_weights

import dfmerge

Array = np.ndarray[Any, Any]
Weights = dict[str, Array]
DTYPES = {"f64": np.float64, "f32": np.float32, "f16": np.float16, "bf16": ml_dtypes.bfloat16}


def h(m: int, j: int) -> float:
    """The golden inputs' generator."""
    return ((((j + 1) * (j + 7) * (m + 2) * 7919 + (m + 1) * 104729) % 1009) / 1009) - 0.5


def regmean(
    weights: list[Array],
    grams: list[Array],
    off: float = 1,
    coefficients: list[float] | None = None,
) -> Array:
    """(sum G)^-1 sum(G W^T), transposed; Gram matrices of all zeros leave the mean."""
    count = len(weights)
    total = np.zeros_like(grams[0], np.float64)
    right = np.zeros((weights[0].shape[1], weights[0].shape[0]))
    for w, g, c in zip(weights, grams, coefficients or [1] * count, strict=True):
        reduced = c * (off * g + (1 - off) * np.diag(np.diag(g)))
        total += reduced
        right += reduced @ w.T
    return np.asarray(np.linalg.solve(total, right).T)


def gram(rng: np.random.Generator, size: int, tokens: int | None = None) -> Array:
    inputs = rng.normal(size=(tokens or 4 * size, size)) * np.exp(rng.normal(size=size))
    return np.asarray(inputs.T @ inputs / len(inputs))


def test_golden_vectors() -> None:
    base = np.array([h(0, j) for j in range(4, 16)]).reshape(4, 3)
    models = [
        base + np.array([0.1 * h(m, j) for j in range(4, 16)]).reshape(4, 3) for m in (1, 2, 3)
    ]
    grams = []
    for m in (1, 2, 3):
        x = np.array([h(10 + m, j) for j in range(3)])
        grams.append(0.1 * np.eye(3) + np.outer(x, x))
    texts = {
        1: "-0.0057365 0.0270556 -0.0363416 -0.0253287 -0.00604902 0.0118459 0.00370206 "
        "-0.00491252 0.0106426 0.0153403 -0.0273096 0.0168154",
        0.1: "-0.00869042 0.0253654 -0.0316435 -0.00801741 -0.00964861 0.00745345 0.00677712 "
        "-0.0132205 0.0079356 0.00816031 -0.0193255 0.0152708",
    }
    for off, text in texts.items():
        merged = dfmerge.merge(
            None, [{"w": w} for w in models], "regmean", grams=[{"w": g} for g in grams],
            options={"off_diagonal": off},
        )  # fmt: skip
        np.testing.assert_allclose(
            (merged["w"] - base).ravel(), np.fromstring(text, sep=" "), rtol=1e-5
        )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("off", [1.0, 0.9, 0.1, 0.0])
@pytest.mark.parametrize("seed", range(3))
def test_random_models(tmp_path: Path, dtype: str, off: float, seed: int) -> None:
    """Linear layers with Gram matrices among other tensors; files and memory give the same."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 5))
    sizes = {"a.weight": (5, 7), "b.weight": (70, 33), "c.weight": (1, 1), "conv": (4, 3, 2, 2)}
    base = random_weights(rng, 5) | {n: rng.normal(size=s) for n, s in sizes.items()}
    models = [
        {n: np.asarray(v, DTYPES[dtype]) for n, v in near(rng, base).items()} for _ in range(count)
    ]
    kind = np.float64 if dtype == "f64" else np.float32
    grams = [
        {n: gram(rng, int(np.prod(s[1:]))).astype(kind) for n, s in sizes.items()}
        for _ in range(count)
    ]
    coefficients = [float(n) for n in rng.uniform(0.1, 2, count)]
    options = {"off_diagonal": off, "coefficients": coefficients}
    merged = dfmerge.merge(None, models, "regmean", grams=grams, options=options)
    unit = float(ml_dtypes.finfo(DTYPES[dtype]).eps)
    for name in base:
        values = [numbers(one[name]) for one in models]
        expected = np.mean(values, axis=0)
        if name in sizes:
            flat = [v.reshape(len(v), -1) for v in values]
            exact = [one[name].astype(np.float64) for one in grams]
            most = 1 - 2**-32 if dtype == "f64" else 1 - 2**-14
            expected = regmean(flat, exact, min(off, most), coefficients).reshape(sizes[name])
        error = np.abs(numbers(merged[name]) - expected)
        assert np.all(error <= unit * np.abs(expected) + 1e-7), (name, error.max(initial=0))
    paths = []
    for kind_of, sets in (("m", models), ("g", grams)):
        for number, one in enumerate(sets):
            dfmerge.save(one, tmp_path / f"{kind_of}{number}.safetensors")
        paths.append([tmp_path / f"{kind_of}{number}.safetensors" for number in range(count)])
    out = tmp_path / "out.safetensors"
    dfmerge.merge(None, paths[0], "regmean", grams=paths[1], options=options, out=out, threads=3)
    for name, value in dfmerge.load(out).items():
        np.testing.assert_array_equal(numbers(value), numbers(merged[name]))


def numbers(value: Any) -> Array:
    if hasattr(value, "detach"):
        value = value.double().numpy()
    return np.asarray(value, np.float64)


def test_one_model_is_itself() -> None:
    rng = np.random.default_rng(1)
    model = {"w": rng.normal(size=(9, 5)).astype(np.float32)}
    for tokens in (2, 50):
        found = dfmerge.merge(None, [model], "regmean", grams=[{"w": gram(rng, 5, tokens)}])
        np.testing.assert_array_equal(found["w"], model["w"])


def test_equal_gram_matrices_give_the_mean() -> None:
    rng = np.random.default_rng(2)
    models = [{"w": rng.normal(size=(6, 8))} for _ in range(3)]
    one = gram(rng, 8)
    found = dfmerge.merge(None, models, "regmean", grams=[{"w": one}] * 3)
    np.testing.assert_allclose(found["w"], np.mean([m["w"] for m in models], 0), rtol=1e-9)


def test_inputs_that_never_come_keep_the_mean() -> None:
    rng = np.random.default_rng(3)
    models = [{"w": rng.normal(size=(6, 8))} for _ in range(2)]
    grams = []
    for dead in (2, 5):
        inputs = rng.normal(size=(40, 8))
        inputs[:, [dead, 7]] = 0
        grams.append({"w": inputs.T @ inputs / 40})
    mean = np.mean([m["w"] for m in models], 0)
    for off in (1.0, 0.5, 0.0):
        options = {"off_diagonal": off}
        found = dfmerge.merge(None, models, "regmean", grams=grams, options=options)["w"]
        np.testing.assert_allclose(found[:, 7], mean[:, 7], rtol=1e-12)
        live = [j for j in range(8) if j != 7]
        expected = regmean(
            [m["w"][:, live] for m in models], [g["w"][np.ix_(live, live)] for g in grams], off
        )
        np.testing.assert_allclose(found[:, live], expected, rtol=1e-6)
    # Nothing at all: the plain mean.
    nothing = [{"w": np.zeros((8, 8))}] * 2
    found = dfmerge.merge(None, models, "regmean", grams=nothing)["w"]
    np.testing.assert_allclose(found, mean, rtol=1e-15)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_fewer_tokens_than_inputs(kind: Any) -> None:
    """Of many solutions, that which is nearest to what the diagonals alone give."""
    rng = np.random.default_rng(4)
    size, rows = 60, 20
    inputs = [rng.normal(size=(12, size)) for _ in range(3)]
    models = [{"w": rng.normal(size=(rows, size))} for _ in range(3)]
    grams = [{"w": (x.T @ x / len(x)).astype(kind)} for x in inputs]
    found = dfmerge.merge(None, models, "regmean", grams=grams)["w"]
    # 36 equations for 60 unknowns: every model's outputs can be met.
    diagonals = [np.diag(g["w"]).astype(np.float64) for g in grams]
    total = np.sum(diagonals, axis=0)
    centre = np.sum([d * m["w"] for d, m in zip(diagonals, models, strict=True)], axis=0) / total
    targets = [x @ (m["w"] - centre).T for x, m in zip(inputs, models, strict=True)]
    scaled = np.concatenate(inputs) / np.sqrt(total)
    moved = np.linalg.lstsq(scaled, np.concatenate(targets), rcond=None)[0]
    best = centre + moved.T / np.sqrt(total)
    np.testing.assert_allclose(found, best, atol=3e-5 if kind is np.float64 else 5e-3)


def test_a_diagonal_alone_is_enough() -> None:
    rng = np.random.default_rng(5)
    models = [{"w": rng.normal(size=(6, 8))} for _ in range(2)]
    grams = [gram(rng, 8) for _ in range(2)]
    options = {"off_diagonal": 0}
    full = dfmerge.merge(None, models, "regmean", grams=[{"w": g} for g in grams], options=options)
    short = [{"w": np.diag(g).copy()} for g in grams]
    for options in ({"off_diagonal": 0}, {"off_diagonal": 1}):
        found = dfmerge.merge(None, models, "regmean", grams=short, options=options)
        np.testing.assert_array_equal(found["w"], full["w"])
    # One of each kind.
    mixed = [{"w": grams[0]}, short[1]]
    found = dfmerge.merge(None, models, "regmean", grams=mixed)
    expected = regmean([m["w"] for m in models], [grams[0], np.diag(np.diag(grams[1]))])
    np.testing.assert_allclose(found["w"], expected, rtol=1e-7)


def test_layers_stored_the_other_way_round() -> None:
    rng = np.random.default_rng(6)
    models = [{"h.0.attn.weight": rng.normal(size=(5, 9)), "head": rng.normal(size=(9, 5))}
              for _ in range(3)]  # fmt: skip
    grams = [{"h.0.attn.weight": gram(rng, 5), "head": gram(rng, 5)} for _ in range(3)]
    plan = dfmerge.plan(None, models, "regmean", grams=grams)
    assert "'transposed'" in plan["problems"][0]["text"] and len(plan["problems"]) == 1
    for off in (1.0, 0.0):
        options = {"transposed": ["h.*.attn.weight"], "off_diagonal": off}
        found = dfmerge.merge(None, models, "regmean", grams=grams, options=options)
        for name in models[0]:
            turned = name != "head"
            values = [m[name].T if turned else m[name] for m in models]
            expected = regmean(values, [g[name] for g in grams], off)
            shown = found[name].T if turned else found[name]
            np.testing.assert_allclose(shown, expected, rtol=1e-7, atol=1e-10)


def test_what_is_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    models = [{"w": rng.normal(size=(4, 3)), "b": rng.normal(size=4)} for _ in range(2)]
    good = [{"w": gram(rng, 3)} for _ in range(2)]

    def problem(grams: Any, **options: Any) -> str:
        plan = dfmerge.plan(None, models, "regmean", grams=grams, options=options)
        return str(plan["problems"][0]["text"])

    assert "should be [3, 3] or [3]" in problem([good[0], {"w": gram(rng, 2)}])
    assert "should be [3, 3] or [3]" in problem([good[0], {"w": np.ones(4)}])
    assert "only weights of linear layers" in problem([{"b": np.ones(4)}] * 2)
    assert "Gram matrices of 'w' are in" in problem([good[0], {}])
    assert "the Gram matrices of 'w'" in problem([good[0], {"w": np.ones((3, 3), np.int32)}])
    with pytest.raises(dfmerge.ArgumentError, match="0 sets of Gram matrices for 2 models"):
        dfmerge.plan(None, models, "regmean")
    with pytest.raises(dfmerge.ArgumentError, match="takes no Fisher values and no Gram"):
        dfmerge.plan(None, models, "average", grams=good)
    with pytest.raises(TypeError, match="fishers and grams"):
        dfmerge.plan(None, models, "regmean", grams=good, fishers=good)
    with pytest.raises(dfmerge.ArgumentError, match="Every coefficient"):
        problem(good, coefficients=0)
    bad = [good[0], {"w": -gram(rng, 3)}]
    with pytest.raises(dfmerge.NumericalError, match=r"diagonal .* model number 2 of 2"):
        dfmerge.merge(None, models, "regmean", grams=bad)
    for value in (np.nan, np.inf):
        worse = {"w": gram(rng, 3)}
        worse["w"][0, 1] = worse["w"][1, 0] = value
        with pytest.raises(dfmerge.NumericalError, match="tensor 'w' is NaN"):
            dfmerge.merge(None, models, "regmean", grams=[good[0], worse])
    models[0]["w"][0, 0] = np.nan
    with pytest.raises(dfmerge.NumericalError, match="tensor 'w' is NaN"):
        dfmerge.merge(None, models, "regmean", grams=good)


def test_mappings_and_the_listing() -> None:
    rng = np.random.default_rng(8)
    models = {name: {"w": rng.normal(size=(4, 3))} for name in ("a", "b")}
    grams = {name: {"w": gram(rng, 3)} for name in ("b", "a")}
    found = dfmerge.merge(None, models, "regmean", grams=grams)
    expected = regmean([models[n]["w"] for n in "ab"], [grams[n]["w"] for n in "ab"])
    np.testing.assert_allclose(found["w"], expected, rtol=1e-9)
    same = dfmerge.merge(None, models, "regmean", fishers=grams)
    np.testing.assert_array_equal(found["w"], same["w"])
    info = next(method for method in dfmerge.methods() if method["id"] == "regmean")
    assert info["model_data"] == "gram" and not info["needs_fisher"] and not info["needs_base"]


def test_peak_memory_is_in_the_plan(tmp_path: Path) -> None:
    rng = np.random.default_rng(9)
    models = [{"w": rng.normal(size=(300, 200)).astype(np.float32)} for _ in range(2)]
    grams = [{"w": gram(rng, 200).astype(np.float32)} for _ in range(2)]
    full = dfmerge.plan(None, models, "regmean", grams=grams)
    short = dfmerge.plan(None, models, "regmean", grams=grams, options={"off_diagonal": 0})
    plain = dfmerge.plan(None, models, "average")
    assert full["peak_memory"] > short["peak_memory"] + 3 * 8 * 200**2
    assert short["peak_memory"] > plain["peak_memory"] + 4 * 8 * 300 * 200
    assert full["passes"] == 1
