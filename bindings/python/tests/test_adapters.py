"""peft adapter folders in and out, and what is refused of them."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from adapter_files import (
    CONFIG,
    MODULES,
    PREFIX,
    factors,
    random_adapter,
    read_adapter,
    rounded,
    update,
    write_adapter,
)

import dfmerge

ALL = ("copa", "lora_linear", "lora_cat", "lora_svd", "average")


def two(path: Path, **changes: Any) -> list[Path]:
    """Two adapters, the second with changes of its configuration."""
    rng = np.random.default_rng(0)
    first = write_adapter(path / "a", random_adapter(rng))
    return [first, write_adapter(path / "b", random_adapter(rng), **changes)]


def refused(paths: list[Path], method: str = "copa", **options: Any) -> str:
    with pytest.raises(dfmerge.Error) as caught:
        dfmerge.plan(None, paths, method=method, **options)
    return str(caught.value)


def test_an_adapter_folder_opens_like_a_checkpoint(tmp_path: Path) -> None:
    path, _ = two(tmp_path)
    weights = dfmerge.load(path)
    assert factors(next(iter(MODULES)))[0] in weights
    assert weights.shape(PREFIX + "model.conv.lora_B.weight") == (5, 8, 1, 1)


@pytest.mark.parametrize("method", ALL)
def test_the_folder_that_is_written(tmp_path: Path, method: str) -> None:
    paths = two(tmp_path)
    (paths[0] / "tokenizer.json").write_text("{}")
    (paths[0] / "training_args.bin").write_bytes(b"x")
    (paths[0] / "README.md").write_text("---\nlicense: mit\nlibrary_name: peft\n---\nText\n")
    out = tmp_path / "out"
    plan = dfmerge.plan(None, paths, method=method, out=out)
    assert plan["possible"] and not plan["replaces"]
    report = dfmerge.merge(None, paths, method=method, out=out)
    assert report["tensors"]["merged"] == 10 == plan["tensors"]["merged"]
    assert {file.name for file in out.iterdir()} == {
        "adapter_model.safetensors", "adapter_config.json", "README.md", "dfmerge_recipe.json",
        "tokenizer.json",
    }  # fmt: skip
    _, config = read_adapter(out)
    rank = 16 if method == "lora_cat" else 8
    alpha = {"lora_linear": 8, "lora_svd": 8}.get(method, 16)
    assert config == {**CONFIG, "r": rank, "lora_alpha": alpha}
    card = (out / "README.md").read_text()
    assert (
        "base_model: owner/base\nbase_model_relation: adapter\nlibrary_name: peft\nlicense: mit"
        in card
    )
    assert dfmerge.plan(None, paths, method=method, out=out)["replaces"]
    # What was written is an adapter again.
    dfmerge.merge(None, [out, out], method=method, out=tmp_path / "again")
    assert read_adapter(tmp_path / "again")[1]["base_model_name_or_path"] == "owner/base"


def test_without_companions_the_configuration_is_written_all_the_same(tmp_path: Path) -> None:
    paths = two(tmp_path)
    (paths[0] / "tokenizer.json").write_text("{}")
    dfmerge.merge(None, paths, method="copa", out=tmp_path / "out", copy_files=False)
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "adapter_model.safetensors", "adapter_config.json",
    }  # fmt: skip


def test_into_a_file_and_over_an_input(tmp_path: Path) -> None:
    paths = two(tmp_path)
    file = tmp_path / "one.safetensors"
    dfmerge.merge(None, paths, method="copa", out=file)
    dfmerge.merge(None, paths, method="copa", out=paths[0])
    assert (paths[0] / "adapter_model.safetensors").read_bytes() == file.read_bytes()


def test_a_models_folder_is_no_place_for_an_adapter(tmp_path: Path) -> None:
    paths = two(tmp_path)
    model = tmp_path / "model"
    dfmerge.save({"x": np.zeros(3, np.float32)}, model)
    with pytest.raises(dfmerge.ArgumentError, match="folder for the adapter alone"):
        dfmerge.merge(None, paths, method="copa", out=model)
    assert set(dfmerge.load(model)) == {"x"}
    # A folder with both is the model.
    shutil.copy(model / "model.safetensors", paths[0])
    assert set(dfmerge.load(paths[0])) == {"x"}
    with pytest.raises(dfmerge.ArgumentError, match=r"is an adapter and .* is none"):
        dfmerge.merge(None, paths, method="average", out=tmp_path / "out")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"use_dora": True}, "use_dora, DoRA"),
        ({"use_rslora": True}, "use_rslora, rsLoRA.*lora_alpha \\* sqrt\\(r\\)"),
        ({"use_qalora": True}, "use_qalora"),
        ({"lora_bias": True}, "lora_bias"),
        ({"target_parameters": ["experts.up"]}, "target_parameters"),
        ({"peft_type": "IA3"}, "type 'IA3'"),
        ({"peft_type": None}, "type that is not named"),
        ({"r": 0}, "no rank \\(r\\)"),
        ({"r": "8"}, "no rank \\(r\\)"),
        ({"lora_alpha": None}, "no lora_alpha|no rank"),
        ({"init_lora_weights": "pissa_niter_4"}, "began as 'pissa_niter_4'"),
        ({"init_lora_weights": "olora"}, "began as 'olora'"),
        ({"r": 4}, "has the rank 8, but adapter_config.json says 4"),
    ],
)
def test_other_adapters_are_refused_with_a_reason(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    import re

    message = refused(two(tmp_path, **changes))
    assert re.search(words, message) and str(tmp_path / "b") in message


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"base_model_name_or_path": "owner/other"}, "base_model_name_or_path"),
        ({"target_modules": ["q_proj"]}, "target_modules"),
        ({"target_modules": ".*proj"}, "target_modules"),
        ({"lora_alpha": 32}, "lora_alpha is 16 in .*/a but 32 in .*/b"),
        ({"alpha_pattern": {"q_proj": 4}}, "alpha_pattern"),
        ({"bias": "all"}, "bias"),
        ({"modules_to_save": ["score"]}, "modules_to_save"),
        ({"fan_in_fan_out": True}, "fan_in_fan_out"),
        ({"layer_replication": [[0, 4]]}, "layer_replication"),
    ],
)
def test_adapters_that_differ_are_refused(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    import re

    message = refused(two(tmp_path, **changes))
    assert re.search(words, message), message


def test_what_may_differ(tmp_path: Path) -> None:
    paths = two(
        tmp_path, base_model_name_or_path="", lora_dropout=0.3, inference_mode=False,
        target_modules=["v_proj", "down_proj", "q_proj"], r=8.0, bias=None, task_type=None,
        init_lora_weights="gaussian", unknown_to_us={"x": 1},
    )  # fmt: skip
    assert dfmerge.plan(None, paths, method="copa")["possible"]


def test_models_and_adapters_do_not_mix(tmp_path: Path) -> None:
    paths = two(tmp_path)
    model = tmp_path / "model.safetensors"
    dfmerge.save({"x": np.zeros(3, np.float32)}, model)
    assert "merge_and_unload" in refused([paths[0], model])
    with pytest.raises(dfmerge.ArgumentError, match="need no base"):
        dfmerge.plan(model, paths, method="task_arithmetic")


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", "null", '{"r": 8, "r": 16}', "{" * 1000, '{"r": 8,}', '{"r": 1e999}', "\xff"],
)
def test_hostile_configurations_are_no_json(tmp_path: Path, text: str) -> None:
    path, _ = two(tmp_path)
    (path / "adapter_config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(dfmerge.FormatError, match=r"adapter_config\.json"):
        dfmerge.load(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"r": 10**30}, {"r": -1}, {"r": 8.5}, {"r": [8]}, {"lora_alpha": {"x": 1}},
        {"rank_pattern": {"(a+)+$": 3}}, {"rank_pattern": [1]}, {"alpha_pattern": {"": 10**400}},
        {"target_modules": {"x": [None]}}, {"base_model_name_or_path": 7}, {"peft_type": ["LORA"]},
        {"alpha_pattern": {"q_proj": "x"}}, {"rank_pattern": {"^" + "q" * 10**5: 2}},
        {"target_modules": ["x" * 10**6]}, {"bias": [[[[1]]]]}, {"init_lora_weights": 3},
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ALL)
def test_hostile_configurations_do_no_harm(
    tmp_path: Path, changes: dict[str, Any], method: str
) -> None:
    """They are refused, or merged like others; nothing crashes or takes long."""
    paths = two(tmp_path, **changes)
    for path in paths:
        try:
            dfmerge.merge(None, [path, paths[1]], method=method, out=tmp_path / path.name / "out")
        except dfmerge.Error as error:
            assert len(str(error)) < 3000


def test_hostile_tensors_are_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    good = random_adapter(rng)
    down, up = factors("model.layers.0.self_attn.q_proj")
    stem = PREFIX + "model.layers.0.self_attn.q_proj."
    cases: list[tuple[dict[str, Any], str]] = [
        (good | {stem + "lora_magnitude_vector": np.ones(12)}, "is no factor A or B"),
        (good | {stem + "lora_B.bias": np.ones(12)}, "is no factor A or B"),
        ({k: v for k, v in good.items() if k != up}, "comes without"),
        (good | {down: np.ones(8)}, "no shape of a LoRA factor"),
        (good | {down: np.ones((0, 16)), up: np.ones((12, 0))}, "no shape of a LoRA factor"),
        (good | {up: np.ones((12, 9))}, "has the rank 9"),
        (good | {up: np.ones((12, 8, 3))}, "no shape of a LoRA factor"),
        ({"score.weight": np.ones((2, 2))}, "has no LoRA factors"),
        ({}, "has no LoRA factors"),
    ]
    for number, (weights, words) in enumerate(cases):
        path = write_adapter(tmp_path / str(number), weights)
        assert words in refused([path, path])
    (tmp_path / "8" / "adapter_config.json").unlink()
    with pytest.raises(dfmerge.Error, match=r"without its adapter_config\.json"):
        dfmerge.load(tmp_path / "8")


def test_methods_with_a_base_take_adapters_as_changes_from_zero(tmp_path: Path) -> None:
    paths = two(tmp_path)
    given = [{n: t.exact for n, t in read_adapter(path)[0].items()} for path in paths]
    options = {"coefficients": [0.5, -0.25]}
    dfmerge.merge(None, paths, "task_arithmetic", options=options, out=tmp_path / "out")
    for name, stored in read_adapter(tmp_path / "out")[0].items():
        expected = 0.5 * given[0][name] - 0.25 * given[1][name]
        np.testing.assert_allclose(stored.exact, expected, rtol=1e-6, atol=1e-9)
    zeros = {name: np.zeros(value.shape, np.float32) for name, value in given[0].items()}
    for method in ("ties", "dare", "dare_ties"):
        dfmerge.merge(None, paths, method=method, out=tmp_path / method)
        same = dfmerge.merge(zeros, [dict(dfmerge.load(path)) for path in paths], method=method)
        found = read_adapter(tmp_path / method)[0]
        assert {name: value.data for name, value in found.items()} == {
            name: value.tobytes() for name, value in same.items()
        }
    # An adapter may be the base of others, too.
    dfmerge.merge(paths[0], [paths[1]], "task_arithmetic", out=tmp_path / "based")
    assert read_adapter(tmp_path / "based")[1] == CONFIG


def test_whole_tensors_have_no_base_of_zeros(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    paths = [
        write_adapter(
            tmp_path / name,
            random_adapter(rng) | {PREFIX + "score.weight": rng.normal(size=(2, 3))},
            modules_to_save=["score"],
        )
        for name in "ab"
    ]
    assert "score.weight', a whole tensor" in refused(paths, "ties")
    for method in ALL:
        dfmerge.merge(None, paths, method=method, out=tmp_path / method)
        found, config = read_adapter(tmp_path / method)
        given = [read_adapter(path)[0][PREFIX + "score.weight"].exact for path in paths]
        merged = found[PREFIX + "score.weight"].exact
        np.testing.assert_allclose(merged, np.mean(given, axis=0), rtol=1e-6)
        assert config["modules_to_save"] == ["score"]


def test_lorahub_is_a_plain_sum_of_factors(tmp_path: Path) -> None:
    paths = two(tmp_path)
    given = [{n: t.exact for n, t in read_adapter(path)[0].items()} for path in paths]
    options = {"weights": [1.2, -0.7], "normalize": False}
    dfmerge.merge(None, paths, "average", options=options, out=tmp_path / "out")
    for name, stored in read_adapter(tmp_path / "out")[0].items():
        np.testing.assert_allclose(
            stored.exact, 1.2 * given[0][name] - 0.7 * given[1][name], rtol=1e-5, atol=1e-7
        )


def test_adapters_in_memory_need_their_scaling() -> None:
    rng = np.random.default_rng(4)
    adapters = [random_adapter(rng, 4), random_adapter(rng, 4)]
    for method in ("lora_linear", "lora_cat"):
        with pytest.raises(dfmerge.ArgumentError, match="option 'scaling'"):
            dfmerge.merge(None, adapters, method=method)
    found = dfmerge.merge(
        None, adapters, "lora_cat", options={"scaling": [2, 0.5], "weights": [1, 3]}
    )
    down, up = factors("model.layers.1.mlp.down_proj")
    assert found[down].shape == (8, 33) and found[up].shape == (16, 8)
    expected = 2 * adapters[0][up] @ adapters[0][down] + 1.5 * adapters[1][up] @ adapters[1][down]
    np.testing.assert_allclose(found[up] @ found[down], expected, rtol=1e-12)


def test_patterns_of_ranks_and_scalings(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    q, v, down = MODULES
    ranks = {q: 2, v: 4, down: 3}
    weights, paths = [], []
    for number, alphas in enumerate([{"q_proj": 5.0}, {"^" + v: 7, "mlp.down_proj": 1}]):
        one: dict[str, Any] = {}
        for module, rank in ranks.items():
            one |= random_adapter(rng, rank, {module: MODULES[module]})
        weights.append(rounded(one, "F32"))
        patterns = {"self_attn.v_proj": 4, "^model.layers.1.mlp.down_proj": 3}
        paths.append(
            write_adapter(
                tmp_path / str(number), one, r=2, lora_alpha=3 + number, rank_pattern=patterns,
                alpha_pattern=alphas,
            )
        )  # fmt: skip
    configs = [read_adapter(path)[1] for path in paths]
    dfmerge.merge(None, paths, "lora_cat", options={"weights": [1, -2]}, out=tmp_path / "cat")
    found, config = read_adapter(tmp_path / "cat")
    assert config["rank_pattern"] == {"^" + q: 4, "^" + down: 6} or config["r"] in (4, 6, 8)
    assert config["rank_pattern"] == config["alpha_pattern"]
    merged = {name: stored.exact for name, stored in found.items()}
    for module in MODULES:
        expected = update(weights[0], configs[0], module) - 2 * update(
            weights[1], configs[1], module
        )
        np.testing.assert_allclose(update(merged, config, module), expected, rtol=1e-4, atol=1e-5)
    # What was written is understood again.
    dfmerge.merge(None, [tmp_path / "cat"], "lora_linear", out=tmp_path / "again")
    again, config = read_adapter(tmp_path / "again")
    for module in MODULES:
        np.testing.assert_allclose(
            update({n: s.exact for n, s in again.items()}, config, module),
            update(merged, {**config}, module), rtol=1e-4, atol=1e-5,
        )  # fmt: skip


def test_a_regular_expression_needs_the_scaling_to_be_given(tmp_path: Path) -> None:
    paths = two(tmp_path, alpha_pattern={r".*\d+\.self_attn": 4})
    assert "regular expression" in refused(paths, "lora_linear")
    plan = dfmerge.plan(None, paths, method="lora_linear", options={"scaling": [2, 1]})
    assert plan["possible"]
    # Where all have it and the scaling stays, it means the same for all.
    (paths[0] / "adapter_config.json").write_bytes((paths[1] / "adapter_config.json").read_bytes())
    assert dfmerge.plan(None, paths, method="copa")["possible"]


def test_missing_modules(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    one = random_adapter(rng)
    down, up = factors("model.layers.0.self_attn.v_proj")
    less = {name: value for name, value in random_adapter(rng).items() if name not in (down, up)}
    paths = [write_adapter(tmp_path / "a", one), write_adapter(tmp_path / "b", less)]
    for method in ALL:
        plan = dfmerge.plan(None, paths, method=method)
        assert [problem["tensor"] for problem in plan["problems"]] == [down, up]
        report = dfmerge.merge(None, paths, method=method, missing="common", out=tmp_path / method)
        assert report["left_out"] == [down, up]
        assert set(read_adapter(tmp_path / method)[0]) == set(less)
    assert "leave out missing: base" in refused(paths, "lora_cat", missing="base")
    dfmerge.merge(None, paths, "copa", missing="base", out=tmp_path / "base")
    np.testing.assert_array_equal(
        read_adapter(tmp_path / "base")[0][down].exact, one[down].astype(np.float32)
    )


def test_large_configurations_take_no_time(tmp_path: Path) -> None:
    names = [f"m{number}" for number in range(40_000)]
    pattern = {f"layers.{number}.q_proj": 4 for number in range(20_000)}
    changes = {"alpha_pattern": pattern, "rank_pattern": dict.fromkeys(pattern, 8)}
    rng = np.random.default_rng(8)
    tensors = {}
    for number in range(300):
        for side, shape in (("A", (8, 2)), ("B", (2, 8))):
            name = f"base_model.model.layers.{number}.x_proj.lora_{side}.weight"
            tensors[name] = rng.normal(size=shape).astype(np.float32)
    paths = [
        write_adapter(tmp_path / "a", tensors, target_modules=names, **changes),
        write_adapter(tmp_path / "b", tensors, target_modules=names[::-1], **changes),
    ]
    start = time.monotonic()
    dfmerge.plan(None, paths, method="lora_cat")
    # Comparing all with all takes minutes.
    assert time.monotonic() - start < 10


def test_a_large_plan_names_the_adapter(tmp_path: Path) -> None:
    """The recipe has the adapters' fingerprints; the card none of their paths."""
    paths = two(tmp_path)
    dfmerge.merge(None, paths, method="copa", out=tmp_path / "out")
    recipe = json.loads((tmp_path / "out" / "dfmerge_recipe.json").read_text())
    assert [model["fingerprint"]["files"] for model in recipe["models"]] == [1, 1]
    assert str(tmp_path) not in (tmp_path / "out" / "README.md").read_text()
