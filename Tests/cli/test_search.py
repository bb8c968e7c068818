"""`dfmerge search`: a command as the score, failures, resuming, and what it refuses."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import read
from conftest import Workplace

SCORER = (sys.executable, "-S", str(Path(__file__).parent / "scorer.py"))
MERGE = ("--method", "task_arithmetic", "--base", "base", "--model", "m=maths", "--model", "c=code")
SPACE = ("--coefficient", "0,1")


def journal(work: Workplace, folder: str = "out.search") -> list[Any]:
    lines = (work.folder / folder / "journal.jsonl").read_text().splitlines()
    events = [json.loads(line)["event"] for line in lines]
    return [event for event in events if event["type"] not in ("session", "timing")]


def test_finds_the_coefficients(work: Workplace) -> None:
    result = work.json("search", "out", *MERGE, *SPACE, "--trials", "14", "--", *SCORER, "{model}")
    params = result["best"]["params"]
    assert params["coefficients.m"] == pytest.approx(0.3, abs=0.1)
    assert params["coefficients.c"] == pytest.approx(0.6, abs=0.1)
    assert len(result["trials"]) == 14 and result["ended"] == "trials"
    assert [trial["origin"] for trial in result["trials"][:2]] == ["informed"] * 2
    options = result["recipe"]["options"]
    assert options == {"coefficients": [params["coefficients.m"], params["coefficients.c"]]}
    models = ("base", "maths", "code")
    base, maths, code = (work.states[name]["model.norm.weight"] for name in models)
    expected = base.astype(float)
    expected += options["coefficients"][0] * (maths.astype(float) - base)
    expected += options["coefficients"][1] * (code.astype(float) - base)
    np.testing.assert_allclose(read(work.folder / "out")["model.norm.weight"], expected, rtol=1e-6)
    assert (work.folder / "out/tokenizer.json").is_file()
    assert not (work.folder / "out.search/candidate").exists()


def test_continues_where_it_stopped(work: Workplace) -> None:
    command = ("--", *SCORER)
    work.run("search", "out", *MERGE, *SPACE, "--trials", "6", *command)
    run = work.run("search", "out", *MERGE, *SPACE, "--trials", "10", *command)
    assert "note: continuing out.search after 6 trials" in run.stderr
    assert "10 trials; ended by the number of trials" in run.stdout
    whole = ("--work", "whole")
    work.run("search", "out2", *MERGE, *SPACE, "--trials", "10", *whole, *command)
    # The options in the first line have the number of trials.
    assert journal(work)[1:] == journal(work, "whole")[1:]
    assert work.json("diff", "out", "out2")["identical"]


def test_a_journal_belongs_to_its_merge(work: Workplace) -> None:
    command = ("--trials", "2", "--", *SCORER)
    work.run("search", "out", *MERGE, *SPACE, *command)
    for other in (("--setting", "dtype=BF16"), ("--model", "again=maths")):
        error = work.json("search", "out", *MERGE, *other, *SPACE, *command, status=1)["error"]
        assert error["name"] == "journal_mismatch" and "--work" in error["message"]
    error = work.json("search", "out", *MERGE, "--coefficient", "0,2", *command, status=1)["error"]
    assert error["name"] == "journal_mismatch"
    # What changes no candidate may change.
    work.run("search", "out", *MERGE, "--setting", "threads=1", *SPACE, *command)


def test_tasks_and_options_of_the_optimiser(work: Workplace) -> None:
    result = work.json(
        "search", "out", *MERGE, *SPACE, "--task", "low", "--task", "high", "--trials", "4",
        "--study", "aggregate=minimum", "--study", 'floors={"high": 0.5}', "--seed", "3",
        "--", *SCORER, "--tasks", "{model}",
    )  # fmt: skip
    assert result["options"]["seed"] == 3
    best = result["best"]
    assert best["value"] == best["scores"]["low"] == pytest.approx(best["scores"]["high"] - 1)


def test_other_options_of_other_methods(work: Workplace) -> None:
    result = work.json(
        "search", "out.safetensors", "--method", "ties", "--base", "base",
        "--model", "m=maths", "--model", "c=code", "--option", "weights=[1,0.5]",
        "--option", 'density={"m": 0.7, "c": 0.1}', "--trial-seconds", "30",
        "--space", "density.c=0.2,0.9", "--space", "lambda=0.5,1.5",
        "--trials", "3", "--", *SCORER, "{model}",
    )  # fmt: skip
    params = result["best"]["params"]
    assert set(params) == {"density.c", "lambda"}
    # What is given for c is outside of what is searched.
    assert result["trials"][0]["origin"] == "initial"
    assert result["recipe"]["options"] == {
        "weights": [1, 0.5],
        "density": [0.7, params["density.c"]],
        "lambda": params["lambda"],
    }
    assert (work.folder / "out.safetensors").is_file()


def test_the_first_trial_is_the_merge_as_it_is(work: Workplace) -> None:
    result = work.json(
        "search", "out", "--method", "ties", *MERGE[2:], "--option", "density=[0.3,0.6]",
        "--space", "density.c=0.2,0.9", "--space", "lambda=0.5,1.5", "--trials", "2", "--", *SCORER,
    )  # fmt: skip
    assert result["trials"][0]["params"] == {"density.c": 0.6, "lambda": 1}


def test_a_configuration_is_searched(work: Workplace) -> None:
    work.write(
        "config.yml",
        "merge_method: task_arithmetic\nbase_model: base\n"
        "models:\n  - {model: maths, parameters: {weight: 0.3}}\n"
        "  - {model: code, parameters: {weight: 1}}\n",
    )
    result = work.json(
        "search", "config.yml", "out", "--space", "coefficients.*=0,1", "--trials", "3",
        "--", *SCORER,
    )  # fmt: skip
    assert result["trials"][0]["params"] == {"coefficients.maths": 0.3, "coefficients.code": 1}
    best = result["best"]["params"]
    assert list(best.values()) == result["recipe"]["options"]["coefficients"][::-1]


def test_the_commands_surroundings(work: Workplace) -> None:
    script = (
        'echo said on error >&2; echo "{\\"score\\": 0.5, \\"variance\\": 0.01}"; '
        'echo "$@ $DFMERGE_MODEL $DFMERGE_TRIAL $DFMERGE_PARAMETERS" >> seen'
    )
    result = work.json(
        "search", "out", *MERGE, *SPACE, "--trials", "2",
        "--", "sh", "-c", script, "sh", "at:{model}", "{model}",
    )  # fmt: skip
    candidate = "out.search/candidate"
    seen = (work.folder / "seen").read_text().splitlines()
    params = json.dumps(result["trials"][1]["params"], separators=(",", ":"), sort_keys=True)
    assert seen[1] == f"at:{candidate} {candidate} {candidate} 1 {params}"
    assert result["trials"][0]["variance"] == 0.01
    assert (work.folder / "out.search/logs/1.txt").read_text() == "said on error\n"


def test_failed_commands_are_failed_trials(work: Workplace) -> None:
    run = work.run(
        "search", "out", *MERGE, *SPACE, "--trials", "6",
        "--", *SCORER, "--fail-at=0", "--fail-at=3",
    )  # fmt: skip
    assert "trial 0 failed: The command exited with 1; see out.search/logs/0.txt" in run.stderr
    assert "6 trials, 2 of them failed" in run.stdout
    assert (work.folder / "out.search/logs/3.txt").read_text() == "no luck\n"


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("exit 7", "exited with 7"),
        ("kill -SEGV $$", "ended by signal 11"),
        ("true", "printed nothing"),
        ("echo 0.5", "is no JSON object: 0.5"),
        ("echo '{\"score\": NaN}'", "is no JSON object"),
        ("echo '{\"score\": null}'", "null as a score"),
        ('echo \'{"score": "high"}\'', "is no number"),
        ("sleep 60", "took more than 0.200 seconds"),
    ],
)
def test_ways_to_fail(work: Workplace, script: str, says: str) -> None:
    run = work.run(
        "search", "out", *MERGE, *SPACE, "--trials", "3", "--failures", "2",
        "--trial-seconds", "0.2", "--", "sh", "-c", script, status=1,
    )  # fmt: skip
    assert run.stderr.count("warning: trial") == 2
    assert "error: 2 trials failed in a row" in run.stderr and says in run.stderr
    assert not (work.folder / "out").exists()
    assert [event["type"] for event in journal(work)].count("result") == 2


@pytest.mark.parametrize(
    ("arguments", "command", "says"),
    [
        (("--method", "df_merge"), ("true",), "a command that prints a score cannot do that"),
        (("--method", "fisher"), ("true",), "with --fisher"),
        (("--method", "teis"), ("true",), "There is no method 'teis'"),
        (("--method", "ties", "--space", "scope=0,1"), ("true",), "no number called 'scope'"),
        (("--method", "ties", "--space", "density=0,2"), ("true",), "it takes 0.0 to 1.0"),
        (("--method", "ties", "--space", "lambda.m=0,1"), ("true",), "one value for all models"),
        (("--method", "ties", "--space", "density.x=0,1"), ("true",), "no model 'x'"),
        (("--method", "ties"), ("true",), "Nothing is searched"),
        (
            ("--method", "ties", "--coefficient", "0,1", "--space", "weights=0,1"),
            ("true",),
            "searched twice",
        ),
        (("--method", "ties", "--coefficient", "0,1", "--study", "tirals=1"), ("true",), "tirals"),
        (("--method", "ties", "--coefficient", "0,1"), ("no-such-program",), "cannot be started"),
        (
            ("--method", "ties", "--coefficient", "0,1"),
            ("echo", '{"scores": {"a": 1}}'),
            "--task a",
        ),
        (
            ("--method", "ties", "--coefficient", "0,1", "--task", "a"),
            ("echo", '{"score": 1}'),
            "printed no 'scores'",
        ),
        (
            ("--method", "ties", "--coefficient", "0,1", "--task", "a", "--task", "b"),
            ("echo", '{"scores": {"a": 1}}'),
            "no score for 'b'",
        ),
    ],
)
def test_refuses(work: Workplace, arguments: Any, command: Any, says: str) -> None:
    models = ("--base", "base", "--model", "m=maths", "--model", "c=code")
    if says.startswith(("a command", "with --fisher")):
        models = models if arguments[1] == "df_merge" else models[2:]
    if command[0] == "echo":
        # The candidate's path would be a second line.
        command = ("sh", "-c", f"echo '{command[1]}'")
    run = work.run("search", "out", *models, *arguments, "--trials", "2", "--", *command, status=1)
    assert says in run.stderr, run.stderr
    assert not (work.folder / "out").exists()


def test_a_journal_in_use_is_refused(work: Workplace) -> None:
    command = ("search", "out", *MERGE, *SPACE, "--trials", "2", "--", "sh", "-c", "sleep 60")
    with work.start(*command) as process:
        wait_for(work.folder / "out.search/logs/0.txt")
        assert "in use by another search" in work.run(*command, status=1).stderr
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode == 130


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_and_its_command(work: Workplace, number: int) -> None:
    script = "echo $$ > pid; sleep 60 & echo $! >> pid; wait"
    command = ("search", "out", *MERGE, *SPACE, "--trials", "3")
    with work.start(*command, "--json", "--", "sh", "-c", script) as process:
        wait_for(work.folder / "pid", lines=2)
        process.send_signal(number)
        out, error = process.communicate(timeout=20)
    assert process.returncode == 128 + number
    assert json.loads(out)["error"]["name"] == "cancelled"
    assert error.startswith("dfmerge: stopped: ")
    for line in (work.folder / "pid").read_text().split():
        assert not alive(int(line))
    assert not (work.folder / "out").exists()
    # The trial that was being scored is the first to be scored again.
    work.run(*command, "--", *SCORER)
    assert [event["number"] for event in journal(work) if event["type"] == "ask"] == [0, 1, 2]


def wait_for(path: Path, lines: int = 0) -> None:
    limit = time.monotonic() + 20
    while not path.exists() or len(path.read_text().splitlines()) < lines:
        assert time.monotonic() < limit, f"{path} did not appear"
        time.sleep(0.02)


def alive(process: int) -> bool:
    """Whether it still runs; one that was ended may wait for its parent a while."""
    limit = time.monotonic() + 5
    while time.monotonic() < limit:
        try:
            os.kill(process, 0)
            state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (ProcessLookupError, FileNotFoundError):
            return False
        if state == "Z":
            return False
        time.sleep(0.02)
    return True
