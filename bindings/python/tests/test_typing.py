"""A user's script under ``mypy --strict``: what the package takes, type checkers accept."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dfmerge

SCRIPT = """
from pathlib import Path
import dfmerge

class Module:
    def state_dict(self, *, prefix: str = "") -> dict[str, memoryview]:
        return {}

model, names = Module(), ["tuned-1/", "tuned-2/"]
by_name: dict[str, Module] = {"a": model}
dfmerge.merge(model, [model, model], method="average")
dfmerge.merge("base/", by_name, method="average", out=model.state_dict())
dfmerge.merge(Path("base"), names, "average", out=Path("merged"))
dfmerge.merge(None, {"a": "b", "c": model}, "fisher", fishers=by_name)
dfmerge.plan(model, names, method="average", out="merged/")
dfmerge.save(model, "x.safetensors")
dfmerge.save(model.state_dict(), Path("x.safetensors"))
weights = dfmerge.load("x")
print("a" in weights, weights.tensor("a").dtype)

def evaluate(trial: dfmerge.Trial) -> float:
    return 1.0

search = dfmerge.Search(model, base=model, models={"a": model}, evaluate=evaluate)
search.run().save("x")
"""
WRONG = ("dfmerge.save(5, 'x')", "dfmerge.merge(None, [5], 'average')", "dfmerge.merge(object())")


def test_a_script_that_works_is_well_typed(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    wrong = "\n".join(WRONG)
    script.write_text(f"{SCRIPT}{wrong}\n", encoding="utf-8")
    # mypy finds an installed package by itself, and refuses to be led to one.
    source = Path(dfmerge.__file__).parents[1]
    path = {} if source.name == "site-packages" else {"MYPYPATH": str(source)}
    found = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--cache-dir",
         str(tmp_path / "cache"), str(script)],
        env={"PATH": "", **path}, cwd=tmp_path,
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    lines = {line.split(":")[1] for line in found.stdout.splitlines() if ": error:" in line}
    first = SCRIPT.count("\n") + 1
    # The three wrong calls at the end and nothing else.
    assert lines == {str(first + n) for n in range(len(WRONG))}, found.stdout + found.stderr
