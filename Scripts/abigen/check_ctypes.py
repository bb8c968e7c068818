"""Does the ctypes table agree with what a C++ compiler makes of the header?

Written against the header only, by way of templates: nothing of the generator takes part, so a
mistake in its type mapping shows.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from abigen.toolchain import Toolchain

_PROGRAM = """\
#include <cstdio>
#include <type_traits>
#include "%(header)s"
template <class T> void show() {
  if constexpr (std::is_void_v<T>) std::printf(" void");
  else std::printf(" %%s%%zu", std::is_pointer_v<T> ? "pointer" : std::is_floating_point_v<T> ?
      "float" : std::is_signed_v<T> ? "signed" : "unsigned", sizeof(T));
}
template <class R, class... A> void shape(const char *name, R (*)(A...)) {
  std::printf("%%s", name);
  show<R>();
  (show<A>(), ...);
  std::printf("\\n");
}
int main() {
%(body)s}
"""


def check(header: Path, table: Path, record: Path) -> list[str]:
    """Compares the table (a Python file) with the header, function by function.

    record names the functions, callbacks and constants to ask the compiler about.
    """
    module = load(table)
    content = json.loads(record.read_text(encoding="utf-8"))
    functions = [entry["name"] for entry in content["functions"]]
    callbacks, constants = list(content["callbacks"]), list(content["constants"])
    body = [f'  shape("{n}", static_cast<decltype(&{n})>(nullptr));\n' for n in functions]
    body += [f'  shape("{n}", static_cast<{n}>(nullptr));\n' for n in callbacks]
    constants.append("DFM_ABI_VERSION")
    body += [f'  std::printf("{n} %d\\n", static_cast<int>({n}));\n' for n in constants]
    compiled = dict(line.split(" ", 1) for line in _run(header, "".join(body)).splitlines())
    problems = []
    if sorted(module.PROTOTYPES) != sorted(functions):
        problems.append(f"{table.name} lists other functions than {record.name}")
    for name in functions:
        result, parameters = module.PROTOTYPES.get(name, (None, ()))
        problems += _differs(name, compiled[name], [result, *parameters])
    for name in callbacks:
        kind = getattr(module, name)
        problems += _differs(name, compiled[name], [kind._restype_, *kind._argtypes_])
    for name in constants:
        if compiled[name] != str(getattr(module, name, None)):
            problems.append(
                f"{name} is {compiled[name]} in C, {getattr(module, name, None)} in Python"
            )
    return problems


def _differs(name: str, compiled: str, types: list[Any]) -> list[str]:
    found = " ".join(_shape(kind) for kind in types)
    return [] if found == compiled else [f"{name} is ({compiled}) in C, ({found}) in Python"]


def _shape(kind: Any) -> str:
    """Class and size of a ctypes type, in the words of the C++ program."""
    if kind is None:
        return "void"
    size = ctypes.sizeof(kind)
    if issubclass(kind, (ctypes.c_void_p, ctypes.c_char_p)) or hasattr(kind, "_argtypes_"):
        return f"pointer{size}"
    if hasattr(kind, "contents"):
        return f"pointer{size}"
    if issubclass(kind, (ctypes.c_double, ctypes.c_float)):
        return f"float{size}"
    return f"{'signed' if kind(-1).value < 0 else 'unsigned'}{size}"


def _run(header: Path, body: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder) / "shapes.cpp", Path(folder) / "shapes"
        text = _PROGRAM % {"header": header.resolve(), "body": body}
        source.write_text(text, encoding="utf-8")
        Toolchain.run(["g++", "-std=c++17", "-o", str(program), str(source)])
        return Toolchain.run([str(program)])


def load(path: Path) -> ModuleType:
    """Imports a Python file by its path, without keeping it."""
    spec = importlib.util.spec_from_file_location("checked_ffi", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
