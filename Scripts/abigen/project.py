"""Where things are in the repository, and how the interface is read from it."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path

from abigen import clang_ast, symbol_graph
from abigen.model import AbigenError, Interface, Version
from abigen.toolchain import Toolchain

MODULE = "DFMergeCAPI"


class Project:
    """A working copy; scratch is the build folder of SwiftPM."""

    def __init__(self, root: Path, scratch: Path) -> None:
        self.root = root
        self.scratch = scratch
        self.sources = root / "Sources" / MODULE
        self.shims = root / "Sources/CDFMergeShims/include"
        # Of the other C modules, on which Swift modules below the interface are built.
        self.includes = sorted(set(root.glob("Sources/C*/include")) - {self.shims})
        self.types_header = self.shims / "dfmerge_types.h"
        self.modules = scratch / "debug/Modules"

    def version(self) -> Version:
        """The numbers of DFMergeVersion.swift."""
        path = self.root / "Sources/DFMergeCore/DFMergeVersion.swift"
        text = path.read_text(encoding="utf-8")
        string = re.search(r'static let string = "(\d+\.\d+\.\d+[^"]*)"', text)
        abi = re.search(r"static let abi: Int32 = (\d+)", text)
        if string is None or abi is None:
            raise AbigenError(f"{path} does not state `string` and `abi` as literals")
        return Version(string[1], int(abi[1]))

    def build(self, toolchain: Toolchain) -> None:
        """Compiles the module in the debug configuration."""
        command = ["swift", "build", "--scratch-path", str(self.scratch), "--target", MODULE]
        toolchain.run(command, cwd=self.root)

    def package_name(self) -> str:
        """The name that SwiftPM compiles with, which `package` declarations are checked against."""
        plan = (self.scratch / "debug.yaml").read_text(encoding="utf-8")
        # Packages that this one depends on have names of their own.
        lines = [line for line in plan.splitlines() if f'"-module-name","{MODULE}"' in line]
        names = set(re.findall(r'"-package-name","([^"]+)"', "\n".join(lines)))
        if len(names) != 1:
            raise AbigenError(
                f"{self.scratch}/debug.yaml names {len(names)} packages for {MODULE}, not one"
            )
        return str(names.pop())

    def interface(self, toolchain: Toolchain) -> Interface:
        """The interface that the compiled module and the types header declare."""
        types = clang_ast.read(self.types_header, toolchain)
        with tempfile.TemporaryDirectory() as folder:
            command = [toolchain.tool("swift-symbolgraph-extract"), "-module-name", MODULE]
            command += ["-I", str(self.modules), "-I", str(self.shims)]
            command += [f"-I{include}" for include in self.includes]
            command += ["-target", toolchain.triple, "-minimum-access-level", "public"]
            toolchain.run([*command, "-output-dir", folder])
            text = (Path(folder) / f"{MODULE}.symbols.json").read_text(encoding="utf-8")
        return Interface(self.version(), symbol_graph.groups(json.loads(text), types), types)
