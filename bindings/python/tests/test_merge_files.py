"""Merges from files to files: random ones against NumPy, and whatever may go wrong on the way."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from random_merges import Checkpoint, Interval, Stored, drawn, random_case, read, write

import dfmerge
from dfmerge._progress import BytesBar

PROGRAM = """
import os, resource, signal, sys
import dfmerge
base, model, out = sys.argv[1:4]
def merge(**settings):
    return dfmerge.merge(base, [model], method="average", out=out, progress=False, **settings)
"""


@pytest.mark.parametrize("block", range(8))
def test_random_merges_are_those_of_numpy(tmp_path: Path, block: int, long: bool) -> None:
    """Random dtypes, shapes, shards, mismatches, threads and limits; every element of the result
    is the exact value rounded once."""
    count = 400 if long else 12
    for seed in range(block * count, (block + 1) * count):
        case, choice = random_case(seed), random.Random(seed)
        if not case.expected:
            continue
        folder = tmp_path / str(seed)
        folder.mkdir()

        def stored(kind: str, sources: list[Checkpoint]) -> list[Path]:
            return [
                write(folder / f"{kind}{n}", source, choice.choice([0, 1, 1, 3, 7]))  # noqa: B023
                for n, source in enumerate(sources)
            ]

        base = stored("base", [] if case.base is None else [case.base])
        out = folder / choice.choice(["out", "out.safetensors"])
        dfmerge.merge(
            base[0] if base else None,
            stored("model", case.models),
            method=case.method,
            options=case.options,
            fishers=stored("fisher", case.fishers) or None,
            out=out,
            progress=False,
            **case.settings,
        )
        found = read(out)
        assert set(found) == set(case.expected), seed
        for name, expected in case.expected.items():
            if isinstance(expected, Interval):
                assert expected.holds(found[name]), (seed, name)
            else:
                assert found[name] == expected, (seed, name)
        assert not list(folder.rglob(".dfmerge*"))


def large(path: Path, seed: int, tensors: int = 4, size: int = 6_000_000) -> Path:
    """A checkpoint folder of many BF16 numbers between 1 and 2."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0x3F80, 0x4000, size).astype(np.uint16).tobytes()
    return write(path, {f"t{n}": Stored("BF16", (size,), bits) for n in range(tensors)}, 1)


def threads_and_files() -> tuple[int, int]:
    time.sleep(0.02)  # the thread that was in the library ends just after its call
    return len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))


def interrupted(run: Callable[[], Any], delay: float) -> bool:
    """Whether `run` ended with the interrupt that is sent after `delay`; it is never lost."""
    timer = threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT))
    is_inside, was_interrupted = False, False
    try:
        timer.start()
        is_inside = True
        run()
        is_inside = False
        timer.join()
        time.sleep(5)
    except KeyboardInterrupt:
        was_interrupted = is_inside
    else:
        raise AssertionError("the interrupt was lost")
    timer.join()
    return was_interrupted


def test_ctrl_c_stops_a_merge_to_files_and_leaves_no_trace(tmp_path: Path) -> None:
    base = large(tmp_path / "base", 0)
    models = [large(tmp_path / f"m{n}", n) for n in range(2)]
    out = tmp_path / "out"

    def merge() -> None:
        dfmerge.merge(base, models, method="average", out=out, progress=False, threads=2)

    merge()
    start = time.perf_counter()
    merge()
    whole = time.perf_counter() - start
    before = threads_and_files()
    stopped = 0
    for moment in range(8):
        old = {path.name: path.stat().st_ino for path in out.iterdir()}
        was_interrupted = interrupted(merge, 0.005 + whole * moment / 12)
        new = {path.name: path.stat().st_ino for path in out.iterdir()}
        # A late one comes while the files are given their names: then all are new.
        stopped += was_interrupted and new == old
        assert new == old or not set(new.values()) & set(old.values())
        assert not list(tmp_path.rglob(".dfmerge*"))
        assert threads_and_files() == before
    assert stopped >= 3


def test_ctrl_c_stops_a_merge_in_memory() -> None:
    arrays = {"w": np.ones(20_000_000, np.float32)}
    out = {"w": np.zeros(20_000_000, np.float32)}

    def merge() -> None:
        dfmerge.merge(None, [arrays] * 50, method="average", out=out, threads=1)

    merge()
    start = time.perf_counter()
    merge()
    whole = time.perf_counter() - start
    # A machine that is busy may send it late.
    for _ in range(8):
        out["w"][:] = 0
        if interrupted(merge, whole / 5) and out["w"][-1] == 0:
            return
    raise AssertionError("the merge went on to its end")


def test_a_progress_bar_that_fails_stops_the_merge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def update(self: Any, done: int, total: int) -> None:
        raise RuntimeError("no terminal")

    BytesBar(True).close()  # tqdm has a thread of its own from its first bar on
    monkeypatch.setattr("dfmerge._progress.BytesBar.update", update)
    base = large(tmp_path / "base", 0, tensors=1, size=1000)
    before = threads_and_files()
    with pytest.raises(RuntimeError, match="no terminal"):
        dfmerge.merge(base, [base], method="average", out=tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base"]
    assert threads_and_files() == before


def test_merges_after_a_fork(tmp_path: Path) -> None:
    """In children of a process that has merged, and of one with a merge under way."""
    base = large(tmp_path / "base", 0)
    model = large(tmp_path / "model", 1)

    def merge(name: str) -> None:
        dfmerge.merge(
            base, [model], method="average", out=tmp_path / name, progress=False, threads=2
        )

    def child(name: str) -> int:
        pid = os.fork()
        if pid == 0:
            signal.alarm(60)
            status = 1
            try:
                merge(name)
                status = 0
            finally:
                os._exit(status)
        return os.waitpid(pid, 0)[1]

    merge("first")
    statuses = [child("after")]

    def beside() -> None:
        for _ in range(3):
            merge("beside")

    thread = threading.Thread(target=beside)
    thread.start()
    while thread.is_alive() and len(statuses) < 4:
        statuses.append(child(f"during{len(statuses)}"))
    thread.join()
    assert set(statuses) == {0}
    first = (tmp_path / "first" / "model.safetensors").read_bytes()
    for path in tmp_path.glob("[abd][fe]*/model.safetensors"):
        if path.parent.name != "base":
            assert path.read_bytes() == first
    assert not list(tmp_path.rglob(".dfmerge*"))


@pytest.mark.parametrize("place", ["file", "folder", "link", "inside"])
def test_the_output_may_be_an_input(tmp_path: Path, place: str) -> None:
    rng = np.random.default_rng(1)
    tensors = [
        {f"t{n}": drawn(rng, "F32", (70_000,)) for n in range(5)} for _ in range(2)
    ]  # fmt: skip
    base = write(tmp_path / "base", tensors[0], 0 if place == "file" else 3)
    model = write(tmp_path / "model", tensors[1], 1)
    target = {"link": tmp_path / "link", "inside": base / "merged"}.get(place, base)
    if place == "link":
        target.symlink_to(base, target_is_directory=True)
    dfmerge.merge(base, [base, model], method="average", out=target, progress=False, threads=2)
    found = read(target)
    for name, tensor in tensors[0].items():
        mean = (tensor.exact + tensors[1][name].exact) / 2
        np.testing.assert_array_equal(found[name].exact, mean.astype(np.float32))
    if place == "inside":
        assert read(base) == tensors[0]
    elif place != "file":
        assert sorted(p.name for p in base.glob("*.safetensors*")) == ["model.safetensors"]


def limited(tmp_path: Path, program: str, tensors: int = 100, size: int = 1000) -> str:
    """What `program` prints, run in a process of its own, where limits do no harm."""
    rng = np.random.default_rng(0)
    source = {f"t{n}": drawn(rng, "F32", (size,)) for n in range(tensors)}
    base = write(tmp_path / "base", source, 0)
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM + program, str(base), str(base), str(out)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.returncode, done.stderr)
    assert not list(tmp_path.rglob(".dfmerge*"))
    return done.stdout


def test_a_hundred_shards_with_few_open_files(tmp_path: Path) -> None:
    program = """
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
merge(max_shard_size=1, threads=8)
"""
    limited(tmp_path, program)
    assert len(list((tmp_path / "out").glob("*.safetensors"))) == 100
    assert read(tmp_path / "out") == read(tmp_path / "base.safetensors")


def test_the_limit_on_file_sizes_is_an_error_and_no_signal(tmp_path: Path) -> None:
    """Also for the file that a plan writes to measure the disk."""
    program = """
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
for limit in (1 << 24, 4096):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    assert dfmerge.plan(base, [model], method="average", out=out)["possible"]
try:
    merge()
except dfmerge.InputOutputError as error:
    print(error)
"""
    assert "ulimit -f" in limited(tmp_path, program)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("limit", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_too_little_memory_is_an_error(tmp_path: Path, limit: str) -> None:
    program = f"""
base, model = dfmerge.load(base), dfmerge.load(model)
used = dict(line.split(":") for line in open("/proc/self/status"))
used = int(used["VmSize" if "{limit}" == "RLIMIT_AS" else "VmData"].split()[0]) << 10
resource.setrlimit(resource.{limit}, (used + (12 << 20),) * 2)
try:
    merge(threads=1)
except dfmerge.ResourceError as error:
    print(error)
"""
    assert "could not be had" in limited(tmp_path, program)


def test_an_input_cut_short_is_an_error_in_a_plan_too(tmp_path: Path) -> None:
    """Names that a model lacks are looked for among tied ones, which compares elements."""
    program = """
opened = dfmerge.load(base)
os.truncate(base, 1 << 14)
from numpy import ones, float32
found = dfmerge.plan(opened, [{"t0": ones(1000, float32)}], method="average")
print(len(found["problems"]))
"""
    assert limited(tmp_path, program) == "99\n"


def test_tensors_and_models_in_great_number(tmp_path: Path) -> None:
    """Threads that have nothing to do take no memory; names are compared in linear time."""
    rng = np.random.default_rng(0)
    many = {f"t{n}": Stored("F32", (8,), rng.bytes(16) * 2) for n in range(3000)}
    base = write(tmp_path / "base", many, 0)
    opened = dfmerge.load(base)
    one = dfmerge.plan(opened, [opened], method="average", out=tmp_path / "out", threads=1)
    plan = dfmerge.plan(opened, [opened] * 100, method="average", out=tmp_path / "out", threads=999)
    assert plan["threads"] == 1 and one["threads"] == 1
    usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    dfmerge.merge(
        opened, [opened] * 100, method="average", out=tmp_path / "out", progress=False,
        threads=999, non_finite="allow",
    )  # fmt: skip
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - usage
    # The tables of the plan are counted generously; files in the page cache are mapped.
    assert grown << 10 < plan["peak_memory"] + (64 << 20)
    assert len(read(tmp_path / "out")) == 3000


def test_memory_is_given_back(tmp_path: Path) -> None:
    """The buffers of a merge do not stay with the process, as a freed block of its heap would."""
    base = write(tmp_path / "base", {"t0": Stored("F32", (8,), bytes(32))}, 0)
    program = (
        PROGRAM
        + """
def resident():
    fields = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return int(fields["RssAnon"].split()[0])
merge()
first = resident()
for _ in range(40):
    merge()
print(resident() - first)
"""
    )
    done = subprocess.run(
        [sys.executable, "-c", program, base, base, tmp_path / "out"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert int(done.stdout) < 16 << 10
