"""Code that documents print is taken out as printed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parent.parent / "code_blocks.py"
GUIDE = """# Guide

```cpp
int main() {}
```

```text
not run
```

```cpp
check(true);
```

```cpp
// -fno-exceptions -fno-rtti
int main() { return 0; }
```

```sh
true one
```

```cmake
project(one)
```
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_blocks_of_a_guide(tmp_path: Path) -> None:
    (tmp_path / "guide.md").write_text(GUIDE)
    told = run("document", str(tmp_path / "guide.md"), str(tmp_path))
    assert told.returncode == 0, told.stderr
    assert "1 cmake, 3 cpp, 1 sh, 1 text" in told.stdout
    assert (tmp_path / "program.cpp").read_text() == "int main() {}\n"
    assert "void run() {\ncheck(true);\n}" in (tmp_path / "blocks.cpp").read_text()
    assert "block_2().run();" in (tmp_path / "blocks.cpp").read_text()
    assert (tmp_path / "plain-3.cpp").exists()
    assert (tmp_path / "commands.sh").read_text() == "set -euo pipefail\ntrue one\n"


def test_a_guide_without_a_program(tmp_path: Path) -> None:
    (tmp_path / "guide.md").write_text("```cpp\nint x;\n```\n")
    told = run("document", str(tmp_path / "guide.md"), str(tmp_path))
    assert told.returncode == 1
    assert "is no program" in told.stderr


def test_commands_of_a_head_comment(tmp_path: Path) -> None:
    for name, text in {
        "a.c": "/* Text.\n *\n *     gcc a.c\n *     ./a\n */\nint x;\n/*     not this */\n",
        "b.cpp": "// Text.\n//\n//     gcc a.c\n//     ./a\n#include <x.h>\n",
    }.items():
        (tmp_path / name).write_text(text)
        assert run("head", str(tmp_path / name)).stdout.splitlines() == ["gcc a.c", "./a"]
    (tmp_path / "c.c").write_text("/* Text. */\nint x;\n")
    told = run("head", str(tmp_path / "c.c"))
    assert told.returncode == 1
    assert "no commands in its head comment" in told.stderr
