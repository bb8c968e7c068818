"""`dfmerge merge`, `plan`, `methods`: results, reports, exit statuses."""

from __future__ import annotations

import json
import os
import pty
import re
from pathlib import Path

import numpy as np
import pytest
from checkpoints import read, write_folder
from conftest import PROGRAM, Workplace

MODELS = ("--base", "base", "--model", "maths", "--model", "code")


def test_merges_from_the_command_line(work: Workplace) -> None:
    run = work.run(
        "merge", "out", "--method", "task_arithmetic", *MODELS,
        "--option", "coefficients=[0.25,0.5]", "--setting", "threads=1",
    )  # fmt: skip
    assert run.stderr == ""
    assert re.fullmatch(
        r"out: 9 tensors merged by task_arithmetic, 1 copied; [\d.]+ KB written in \S+ s\n",
        run.stdout,
    )
    base, maths, code = (work.states[name] for name in ("base", "maths", "code"))
    for name, found in read(work.folder / "out").items():
        if name == "steps":
            assert found == base[name]
            continue
        expected = base[name].astype(float)
        expected += 0.25 * (maths[name].astype(float) - base[name])
        expected += 0.5 * (code[name].astype(float) - base[name])
        np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-8)
    assert json.loads((work.folder / "out/tokenizer.json").read_text()) == {"of": "base"}


def test_names_of_models_and_settings(work: Workplace) -> None:
    report = work.json(
        "merge", "out.safetensors", "--method", "average",
        "--model", "m=maths", "--model", "c=code", "--option", 'weights={"m": 1, "c": 3}',
        "--setting", "max_memory=60MB", "--setting", "dtype=BF16",
    )  # fmt: skip
    (step,) = report["steps"]
    assert step["method"] == "average" and step["out"] == "out.safetensors"
    assert step["tensors"] == {"merged": 9, "copied": 1, "left_out": 0}
    assert 0 < step["rounding_error"] < 0.01
    assert work.json("inspect", "out.safetensors")["dtypes"]["BF16"]["tensors"] == 9


def test_a_recipe_makes_the_merge_again(work: Workplace) -> None:
    work.run("merge", "out", "--method", "ties", *MODELS, "--option", "density=0.3")
    run = work.run("merge", "out/dfmerge_recipe.json", "again")
    assert run.stderr == ""
    assert work.json("diff", "out", "again")["identical"]
    state = work.states["maths"]
    state["model.norm.weight"] = state["model.norm.weight"] + np.float32(1)
    (work.folder / "maths").rename(work.folder / "old")
    write_folder(work.folder / "maths", state)
    run = work.run("merge", "out/dfmerge_recipe.json", "other")
    assert "note: maths is not the checkpoint that the recipe was made with" in run.stderr


def test_plan_says_what_will_be_done(work: Workplace) -> None:
    before = work.files()
    text = work.run("plan", "--method", "ties", *MODELS).stdout
    assert "9 tensors merged" in text and "of memory" in text
    plan = work.json("plan", "out", "--method", "ties", *MODELS, "--option", "density=0.5")
    assert plan["possible"] and plan["peak_memory"] > 0
    (step,) = plan["steps"]
    assert step["recipe"]["options"] == {"density": 0.5}
    assert step["bytes_written"] > 0 and not step["replaces"]
    assert work.files() == before


def test_plan_lists_problems(work: Workplace) -> None:
    state = dict(work.states["code"])
    del state["model.norm.weight"]
    write_folder(work.folder / "short", state)
    arguments = ("--method", "average", "--model", "maths", "--model", "short")
    plan = work.json("plan", *arguments, status=1)
    assert not plan["possible"]
    assert "model.norm.weight" in json.dumps(plan["steps"][0]["problems"])
    assert "refused" in work.run("plan", *arguments, status=1).stdout
    error = work.json("merge", "out", *arguments, status=1)["error"]
    assert error["name"] == "missing_tensor"
    assert work.json("plan", *arguments, "--setting", "missing=base")["possible"]


def test_methods_are_described(work: Workplace) -> None:
    listing = work.run("methods").stdout
    methods = work.json("methods")
    for method in methods:
        assert method["id"] in listing
        text = work.run("methods", method["id"]).stdout
        assert method["title"] in text
        assert all(f"  {option['name']}: " in text for option in method["options"])
        assert all(len(line) < 120 for line in text.splitlines())
    assert work.json("methods", "ties") == next(m for m in methods if m["id"] == "ties")
    assert work.json("methods", "teis", status=1)["error"]["name"] == "unknown_name"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "SUBCOMMAND"),
        (("mrege",), "mrege"),
        (("merge",), "Give where to write"),
        (("merge", "out"), "Nothing says what to merge"),
        (("merge", "a.yml", "out", "extra"), "Give where to write"),
        (("merge", "out", "--method", "ties"), "--model"),
        (("merge", "a.yml", "out", "--method", "ties"), "both say what to merge"),
        (("merge", "out", "--method", "ties", "--model", "a", "--option", "density"), "--option"),
        (("merge", "out", "--method", "t", "--model", "a", "--model", "a"), "Two models"),
        (("plan", "--method", "t", "--model", "a", "--option", "x=1", "--option", "x=2"), "twice"),
        (("diff", "a"), "b"),
        (("search", "out", "--method", "ties", "--model", "a"), "behind '--'"),
    ],
)  # fmt: skip
def test_wrong_usage(work: Workplace, arguments: tuple[str, ...], says: str) -> None:
    status = 0 if arguments == () else 64
    run = work.run(*arguments, status=status)
    assert says.lower() in (run.stderr + run.stdout).lower()
    assert status == 0 or run.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "name", "says"),
    [
        (("--method", "teis", "--model", "maths"), "unknown_name", "There is no method 'teis'"),
        (("--method", "ties", "--model", "maths"), "invalid_argument", "needs a base"),
        (("--method", "average", "--model", "nowhere"), "file_not_found", "nowhere does not exist"),
        (("--method", "average", "--model", "a/b"), "file_not_found", "hf download a/b"),
        (("--method", "average", "--model", "maths", "--option", "w=1"), "unknown_name", "'w'"),
        (("--method", "average", "--model", "code", "--setting", "dtype=8"), "invalid_option", "8"),
        (("--method", "fisher", "--model", "maths"), "invalid_argument", "Fisher"),
    ],
)  # fmt: skip
def test_failures(work: Workplace, arguments: tuple[str, ...], name: str, says: str) -> None:
    before = work.files()
    run = work.run("merge", "out", *arguments, status=1)
    assert run.stdout == "" and run.stderr.startswith("dfmerge: error: ") and says in run.stderr
    error = work.json("merge", "out", *arguments, status=1)["error"]
    assert error["name"] == name and says in error["message"]
    assert work.files() == before


def test_models_of_the_hugging_face_cache(work: Workplace) -> None:
    cache = work.folder / ".cache/huggingface/hub/models--owner--maths"
    write_folder(cache / "snapshots/abc123", work.states["maths"])
    (cache / "refs").mkdir()
    (cache / "refs/main").write_text("abc123")
    (cache / "refs/v2").write_text("abc123\n")
    for name in ("owner/maths", "owner/maths@v2", "owner/maths@abc123"):
        work.run("merge", "out.safetensors", "--method", "average", "--model", name)
        assert work.json("diff", "out.safetensors", "maths")["identical"]
    error = work.run("inspect", "owner/maths@v3", status=1).stderr
    assert "hf download owner/maths --revision v3" in error


def test_progress_is_for_terminals(work: Workplace) -> None:
    master, terminal = pty.openpty()
    arguments = ("merge", "out.safetensors", "--method", "average", "--model", "maths")
    with work.start(*arguments, stderr=terminal) as process:
        os.close(terminal)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    shown = os.read(master, 100_000).decode()
    os.close(master)
    assert "merging" in shown and "100 %" in shown and shown.endswith("\r\x1b[K")
    assert out.startswith("out.safetensors: 9 tensors")


def test_output_that_cannot_be_written(work: Workplace) -> None:
    with Path("/dev/full").open("w") as full, work.start("methods", stdout=full) as process:
        _, error = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Standard output cannot be written" in error


def test_completion_scripts(work: Workplace) -> None:
    script = work.run("--generate-completion-script", "bash").stdout
    work.write("complete.sh", script)
    assert os.system(f"bash -n {work.folder}/complete.sh") == 0
    assert "search" in script and PROGRAM.name


def test_version(work: Workplace) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", work.run("--version").stdout)


def test_layers_that_share_and_their_recipe(work: Workplace) -> None:
    arguments = ("--method", "share", "--model", "maths", "--option", "distinct_layers=2")
    text = work.run("merge", "out", *arguments).stdout
    assert "9 tensors merged by share, 1 copied" in text and "with the values of others" in text
    (step,) = work.json("merge", "named", *arguments, "--option", 'tensors=["*mlp*"]')["steps"]
    ties = json.loads((work.folder / "out/dfmerge_recipe.json").read_text())["ties"]
    assert ties and set(step["ties"].items()) < set(ties.items())
    found = read(work.folder / "out")
    for name, first in ties.items():
        np.testing.assert_array_equal(found[name], found[first])
    assert work.run("merge", "out/dfmerge_recipe.json", "again").stderr == ""
    assert work.json("diff", "out", "again")["identical"]
    error = work.run("merge", "more", "--method", "share", "--model", "maths",
                     "--option", "distinct_layers=9", status=1).stderr  # fmt: skip
    assert "distinct_layers" in error and "ask for" in error
