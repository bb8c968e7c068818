"""`dfmerge search --strategy greedy_soup`."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from checkpoints import read
from conftest import Workplace

MODELS = ("--model", "m=maths", "--model", "c=code", "--model", "b=base")
SOUP = ("search", "out", "--strategy", "greedy_soup", *MODELS)

#: Scores of the sets of models, by the names in DFMERGE_PARAMETERS that are 1.
SCORER = """
import json, os, sys
models = json.loads(os.environ["DFMERGE_PARAMETERS"])
soup = "".join(sorted(name for name, part in models.items() if part))
score = json.loads(os.environ["SCORES"]).get(soup)
print(json.dumps({"score": score} if "TASKS" not in os.environ else
                 {"scores": {"x": score, "y": score}}))
sys.exit(score is None and "TASKS" in os.environ)
"""


def scorer(work: Workplace, **scores: float | None) -> tuple[str, ...]:
    work.write("score.py", SCORER)
    work.environment["SCORES"] = json.dumps(scores)
    return ("--", "python3", "-S", "score.py", "{model}")


def test_averages_the_models_that_help(work: Workplace) -> None:
    command = scorer(work, m=0.5, c=0.7, b=0.6, bc=0.7, cm=0.8)
    result = work.json(*SOUP, *command)
    assert [trial["params"] for trial in result["trials"]] == [
        {"m": 1, "c": 0, "b": 0},
        {"m": 0, "c": 1, "b": 0},
        {"m": 0, "c": 0, "b": 1},
        {"m": 0, "c": 1, "b": 1},
        {"m": 1, "c": 1, "b": 0},
    ]
    assert result["soup"] == {
        "models": ["c", "m"],
        "decisions": [
            {"model": "c", "alone": 0.7, "number": 1, "value": 0.7, "accepted": True},
            {"model": "b", "alone": 0.6, "number": 3, "value": 0.7, "accepted": False},
            {"model": "m", "alone": 0.5, "number": 4, "value": 0.8, "accepted": True},
        ],
    }
    assert result["ended"] == "complete" and result["best"]["number"] == 4
    assert not {"slices", "importance", "length_scales"} & result.keys()
    # The output is the merge of its models.
    assert work.json("merge", "plain", "--method", "average", *MODELS[:4])
    assert work.json("diff", "out", "plain")["identical"]
    found = read(work.folder / "out")["model.norm.weight"]
    pair = [work.states[name]["model.norm.weight"].astype(float) for name in ("maths", "code")]
    np.testing.assert_allclose(found, (pair[0] + pair[1]) / 2, rtol=1e-6)


def test_says_what_it_decided(work: Workplace) -> None:
    run = work.run(*SOUP, *scorer(work, m=0.5, c=0.7, cm=0.8, b=None, bcm=1.0))
    lines = [line.split() for line in run.stdout.splitlines()]
    assert lines[:4] == [
        ["model", "alone", "with", "the", "soup", "in", "the", "soup"],
        ["c", "0.700", "yes"],
        ["m", "0.500", "0.800", "yes"],
        ["b", "failed", "no"],
    ]
    assert "4 trials, 1 of them failed; ended by having tried every model" in run.stdout


def test_continues_where_it_stopped(work: Workplace) -> None:
    command = scorer(work, m=0.5, c=0.7, b=0.6, bc=0.75, bcm=0.8)
    for trials in range(1, 6):
        work.json(*SOUP, "--trials", str(trials), *command)
    result = work.json(*SOUP, *command)
    assert [trial["number"] for trial in result["trials"]] == [0, 1, 2, 3, 4]
    whole = work.json("search", "whole", *SOUP[2:], *command)
    assert whole["soup"] == result["soup"] and whole["soup"]["models"] == ["c", "b", "m"]
    assert work.json("diff", "out", "whole")["identical"]
    # A limit ends with the soup so far.
    short = work.json("search", "short", *SOUP[2:], "--trials", "4", *command)
    assert short["ended"] == "trials" and short["soup"]["models"] == ["c", "b"]


def test_a_kill_between_two_lines_of_the_journal_loses_nothing(work: Workplace) -> None:
    command = scorer(work, m=0.5, c=0.7, b=0.6, bc=0.75, bcm=0.8)
    whole = work.json(*SOUP, *command)
    path = work.folder / "out.search/journal.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    kinds = [json.loads(line)["event"]["type"] for line in lines]
    # A candidate that was queued and not asked for, one that was not scored, and one that was.
    for kind in ("enqueue", "ask", "result"):
        last = len(kinds) - 1 - kinds[::-1].index(kind)
        path.write_text("".join(lines[: last + 1]))
        result = work.json(*SOUP, *command)
        assert result["soup"] == whole["soup"] and len(result["trials"]) == 5


def test_a_folder_belongs_to_its_strategy(work: Workplace) -> None:
    command = scorer(work, m=0.5)
    work.run(*SOUP, "--trials", "1", *command)
    bayesian = ("search", "out", "--method", "average", *MODELS, "--coefficient", "0,1")
    error = work.json(*bayesian, *command, status=1)["error"]
    assert error["name"] == "journal_mismatch" and "strategy" in error["message"]


def test_tasks_and_their_floors(work: Workplace) -> None:
    work.environment["TASKS"] = "1"
    result = work.json(
        *SOUP, "--task", "x", "--task", "y", "--study", "aggregate=minimum",
        "--study", 'floors={"x": 0.55}', "--target", "0.7",
        *scorer(work, m=0.5, c=0.6, b=0.58, bc=0.7),
    )  # fmt: skip
    assert result["best"]["scores"] == {"x": 0.7, "y": 0.7} and result["ended"] == "target"


def test_a_configuration_names_the_models(work: Workplace) -> None:
    text = (
        "merge_method: linear\nmodels:\n  - {model: maths, parameters: {weight: 1}}\n"
        "  - {model: code, parameters: {weight: W}}\n"
    )
    command = scorer(work, maths=0.5, code=0.7, codemaths=0.8)
    work.write("config.yml", text.replace("W", "1"))
    result = work.json("search", "config.yml", "out", "--strategy", "greedy_soup", *command)
    assert result["soup"]["models"] == ["code", "maths"]
    work.write("config.yml", text.replace("W", "2"))
    error = work.json(
        "search", "config.yml", "out", "--strategy", "greedy_soup", *command, status=1
    )["error"]
    assert error["name"] == "invalid_option" and "'weights'" in error["message"]


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("--coefficient", "0,1"), 64, "--coefficient is for --strategy bayesian"),
        (("--space", "weights=0,1"), 64, "--space is for"),
        (("--seed", "1"), 64, "--seed is for"),
        (("--study", "initial=3"), 64, "--study initial is for"),
        (("--method", "ties"), 1, "the method is 'ties'; use 'average'"),
        (("--option", "normalize=false"), 1, "the option 'normalize' says something else"),
        (("--strategy", "greedy"), 64, "greedy_soup"),
    ],
)
def test_refuses(work: Workplace, arguments: Any, status: int, says: str) -> None:
    run = work.run(*SOUP, *arguments, *scorer(work, m=1), status=status)
    assert says in run.stderr, run.stderr
    assert not (work.folder / "out").exists()


def test_all_models_failed(work: Workplace) -> None:
    run = work.run(*SOUP, *scorer(work, m=None), status=1)
    assert "No model has a score" in run.stderr and "null as a score" in run.stderr
