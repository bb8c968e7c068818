"""Puts libdfmerge.so into the wheel, and gives the wheel the platform's tag."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class LibraryHook(BuildHookInterface):  # type: ignore[type-arg]
    """Takes the library from DFMERGE_LIBRARY or the checkout, building it where it is missing."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        build_data["pure_python"] = False
        # No CPython ABI is used: one wheel serves every Python 3 of the platform.
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"
        if version == "editable":
            return
        build_data["force_include"][str(self._library().resolve())] = "dfmerge/lib/libdfmerge.so"

    def _library(self) -> Path:
        if chosen := os.environ.get("DFMERGE_LIBRARY"):
            return Path(chosen)
        checkout = Path(self.root).parents[1]
        library = checkout / "build" / "lib" / "libdfmerge.so"
        if library.exists():
            return library
        script = checkout / "Scripts" / "build-lib.sh"
        if not script.exists() or shutil.which("swift") is None:
            raise RuntimeError(
                "libdfmerge.so is built from Swift sources: install from a checkout with Swift "
                "6.3 or "
                "later in PATH, or set DFMERGE_LIBRARY to a built library"
            )
        subprocess.run([str(script)], check=True)
        return library
