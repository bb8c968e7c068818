"""Method share against NumPy: which layers share, what they become, and what the report says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import dfmerge

Arrays = dict[str, np.ndarray[Any, Any]]
DTYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16}


def groups(layers: int, distinct: int, pattern: str) -> list[int]:
    """The group of each layer, by Algorithm 1 of Takase and Kiyono, whose layers count from 1."""
    found: list[int] = []
    rounds = -(-layers // distinct)
    for i in range(1, layers + 1):
        if pattern == "sequence":
            # Runs whose ends are the multiples of layers / distinct, rounded up.
            found.append(max(n for n in range(distinct) if -(-n * layers // distinct) <= i - 1))
        elif i <= distinct:
            found.append(i - 1)
        elif pattern == "cycle" or i <= distinct * (rounds - 1):
            found.append((i - 1) % distinct)
        else:
            found.append(distinct - (i - 1) % distinct - 1)
    return found


def model(layers: int, seed: int = 0, dtype: str = "F32", stem: str = "encoder.layer.") -> Arrays:
    draws = np.random.default_rng(seed)

    def drawn(*shape: int) -> Any:
        return np.asarray(draws.normal(size=shape).astype(DTYPES[dtype]))

    found = {"embed.weight": drawn(11, 6), "scale": drawn(), "void.weight": drawn(0, 3)}
    for n in range(layers):
        found[f"{stem}{n}.attn.weight"] = drawn(7, 5)
        found[f"{stem}{n}.attn.bias"] = drawn(7)
        found[f"{stem}{n}.gain"] = drawn()
        found[f"{stem}{n}.nothing"] = drawn(0, 2)
    return found


def expected(given: Arrays, distinct: int, pattern: str, stem: str = "encoder.layer.") -> Arrays:
    found = dict(given)
    names = sorted({n[len(stem) :].partition(".")[2] for n in given if n.startswith(stem)})
    layers = 1 + max(int(n[len(stem) :].split(".")[0]) for n in given if n.startswith(stem))
    chosen = groups(layers, distinct, pattern)
    for rest in names:
        for n in range(layers):
            sites = [f"{stem}{k}.{rest}" for k in range(layers) if chosen[k] == chosen[n]]
            wide = np.mean([given[site].astype(np.float64) for site in sites], axis=0)
            found[f"{stem}{n}.{rest}"] = np.asarray(wide)
    return found


def assert_close(found: Any, wanted: Arrays, relative: float = 1e-6) -> None:
    assert list(found) == list(wanted)
    for name, value in wanted.items():
        np.testing.assert_allclose(
            np.asarray(found[name]).astype(np.float64), value.astype(np.float64), relative, 1e-7,
            err_msg=name,
        )  # fmt: skip


def run(given: Any, **options: Any) -> Any:
    return dfmerge.merge(None, [given], "share", options=options)


@pytest.mark.parametrize("pattern", ["sequence", "cycle", "cycle_rev"])
@pytest.mark.parametrize(("layers", "distinct"), [(6, 3), (6, 1), (7, 3), (12, 5), (5, 5), (4, 3)])
def test_layers_become_their_means(pattern: str, layers: int, distinct: int) -> None:
    given = model(layers, layers)
    found = run(given, distinct_layers=distinct, pattern=pattern)
    assert_close(found, expected(given, distinct, pattern))
    chosen = groups(layers, distinct, pattern)
    assert sorted(set(chosen)) == list(range(distinct))
    for n, group in enumerate(chosen):
        first = f"encoder.layer.{chosen.index(group)}.attn.weight"
        assert found[f"encoder.layer.{n}.attn.weight"].tobytes() == found[first].tobytes()


def test_the_papers_figures() -> None:
    """Figure 1 of Takase and Kiyono: six layers of which three are distinct."""
    assert groups(6, 3, "sequence") == [0, 0, 1, 1, 2, 2]
    assert groups(6, 3, "cycle") == [0, 1, 2, 0, 1, 2]
    assert groups(6, 3, "cycle_rev") == [0, 1, 2, 2, 1, 0]


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type(dtype: str) -> None:
    given = model(5, 1, dtype)
    unit = {"F64": 1e-14, "F32": 1e-7, "F16": 2.0**-10, "BF16": 2.0**-8}[dtype]
    assert_close(
        {n: np.asarray(v.view() if dtype != "BF16" else _numpy(v)) for n, v in run(
            given, distinct_layers=2).items()},
        expected(given, 2, "sequence"), unit,
    )  # fmt: skip


def _numpy(value: Any) -> Any:
    return value if isinstance(value, np.ndarray) else value.float().numpy()


def test_types_of_their_own() -> None:
    """Sites of several types get one mean, each rounded to its own: only those of one type tie."""
    given = model(4, 2)
    given["encoder.layer.1.attn.weight"] = given["encoder.layer.1.attn.weight"].astype(np.float16)
    found = run(given)
    wanted = expected(given, 1, "sequence")
    assert found["encoder.layer.1.attn.weight"].dtype == np.float16
    assert_close(found, wanted, 1e-3)
    ties = dfmerge.plan(None, [given], "share")["ties"]
    assert ties["encoder.layer.3.attn.weight"] == "encoder.layer.0.attn.weight"
    assert "encoder.layer.1.attn.weight" not in ties


def test_stacks_are_counted_by_themselves() -> None:
    given = {**model(6, 3), **model(4, 4, stem="decoder.layers.")}
    found = run(given, distinct_layers=2, pattern="cycle")
    wanted = {**given, **expected(given, 2, "cycle")}
    wanted = {**wanted, **{n: v for n, v in expected(given, 2, "cycle", "decoder.layers.").items()
                           if n.startswith("decoder.")}}  # fmt: skip
    assert_close(found, wanted)


def test_filters_and_names() -> None:
    given = {**model(6, 3), **model(4, 4, stem="decoder.layers.")}
    found = run(given, tensors=["encoder.*.weight"], distinct_layers=3)
    wanted = expected(given, 3, "sequence")
    assert_close(found, {n: wanted[n] if n.endswith("weight") else given[n] for n in given})
    assert found["decoder.layers.1.gain"] == given["decoder.layers.1.gain"]
    varied = [{"filter": "encoder", "value": 3}, {"filter": "decoder", "value": 4}]
    found = run(given, distinct_layers=varied)
    assert_close(found, wanted)


def test_tensors_that_one_layer_alone_has_are_kept() -> None:
    """T5's relative attention bias is in the first block only; layers count all the same."""
    given = model(4, 5)
    wanted = expected(given, 2, "sequence")
    own: Arrays = {
        "encoder.layer.0.relative_bias": np.ones((3, 2), np.float32),
        "encoder.layer.0.steps": np.arange(3),
        "encoder.layer.1.steps": np.arange(3) + 5,
    }
    assert_close(run(given | own, distinct_layers=2), wanted | own, 1e-6)


def test_numbers_with_gaps_count_in_order() -> None:
    given = {f"h.{n}.w": np.float32([n]) for n in (1, 4, 10, 30)}
    found = run(given, distinct_layers=2)
    assert [float(v[0]) for v in found.values()] == [2.5, 2.5, 20, 20]


def test_refusals_name_what_is_wrong() -> None:
    given = model(3, 6)
    given["encoder.layer.2.attn.weight"] = np.zeros((7, 6), np.float32)
    with pytest.raises(dfmerge.Error, match="distinct_layers") as refused:
        run(model(3), distinct_layers=4)
    assert "3 layers 'encoder.layer.'" in str(refused.value)
    with pytest.raises(dfmerge.Error, match="is to share") as refused:
        run(given)
    text = str(refused.value)
    assert "'encoder.layer.0.attn.weight' is [7, 5]" in text
    assert "'encoder.layer.2.attn.weight', with which it is to share, is [7, 6]" in text
    # Layers that do not share with each other may differ.
    run(given, distinct_layers=3)
    run(given, tensors=["*.bias"])


def test_not_finite_is_refused_where_it_comes_from() -> None:
    given = model(3, 7)
    given["encoder.layer.1.attn.bias"][2] = np.nan
    with pytest.raises(dfmerge.NumericalError, match=r"made of 'encoder\.layer\.1\.attn\.bias'"):
        run(given)


def test_a_tensor_under_two_names_counts_once() -> None:
    given = model(3, 8)
    one, other = given["encoder.layer.0.gain"], given["encoder.layer.2.gain"]
    name = "encoder.layer.1.attn.weight"
    given[name] = given["encoder.layer.0.attn.weight"]
    found = run(given)
    wide = (
        given["encoder.layer.0.attn.weight"].astype(np.float64)
        + given["encoder.layer.2.attn.weight"]
    ) / 2
    np.testing.assert_allclose(found[name], wide, 1e-6)
    # Scalars that are equal are no ties.
    assert one.tobytes() != other.tobytes()


def test_layers_that_a_file_has_tied(tmp_path: Path) -> None:
    """As safetensors' save_model writes them: four layers of which two are in the file."""
    safetensors = pytest.importorskip("safetensors.numpy")
    two = {f"h.{n}.w": np.float32([n, 2 * n]) for n in (0, 2)}
    path = tmp_path / "tied.safetensors"
    safetensors.save_file(two, path, metadata={"h.1.w": "h.0.w", "h.3.w": "h.2.w"})
    whole = {f"h.{n}.w": two[f"h.{n // 2 * 2}.w"] for n in range(4)}
    for pattern in ("sequence", "cycle"):
        for distinct in (1, 2, 4):
            options = {"distinct_layers": distinct, "pattern": pattern}
            found, wanted = run(path, **options), run(whole, **options)
            for name, value in found.items():
                np.testing.assert_array_equal(value, wanted[name])


def test_the_report_lists_ties(tmp_path: Path) -> None:
    given = model(4, 9)
    dfmerge.save(given, tmp_path / "in")
    ties = {
        f"encoder.layer.{n}.{rest}": f"encoder.layer.{n - 1}.{rest}"
        for n in (1, 3)
        for rest in ("attn.weight", "attn.bias", "gain", "nothing")
    }
    plan = dfmerge.plan(
        None, [tmp_path / "in"], "share", options={"distinct_layers": 2}, out=tmp_path / "out"
    )
    assert plan["ties"] == ties and plan["tensors"]["merged"] == len(given)
    assert "8 with the values of 8 others" in plan["text"]
    report = dfmerge.merge(
        None, [tmp_path / "in"], "share", options={"distinct_layers": 2}, out=tmp_path / "out"
    )
    assert report["ties"] == ties
    assert json.loads((tmp_path / "out/dfmerge_recipe.json").read_text())["ties"] == ties
    assert "8 tensors have the values of 8 others" in (tmp_path / "out/README.md").read_text()
    found = dict(dfmerge.load(tmp_path / "out"))
    assert_close({name: found[name] for name in given}, expected(given, 2, "sequence"))


def test_every_input_is_read_once(tmp_path: Path) -> None:
    given = model(6, 10)
    dfmerge.save(given, tmp_path / "in.safetensors")
    plan = dfmerge.plan(None, [tmp_path / "in.safetensors"], "share", out=tmp_path / "out")
    assert plan["file_bytes_read"] == sum(value.nbytes for value in given.values())


def test_a_search_refuses_it() -> None:
    given = model(2)
    with pytest.raises(dfmerge.Error, match="makes tensors of other ones"):
        dfmerge.Search(
            given, given, {"m": given}, lambda _: 0.0, method="share",
            space={"distinct_layers": [1, 2]},
        )  # fmt: skip
