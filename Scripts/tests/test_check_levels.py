"""The check of the CPU levels must find what it is there for, in files made for the purpose."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "check-levels.py"

V3 = "$s16DFMergeKernelsV310InnerLoopsO3addyyFZ"
V4 = "$s16DFMergeKernelsV410InnerLoopsO3addyyFZ"
DENSE_V3 = "dfmd_multiply_v3"
DENSE_V4 = "dfmd_multiply_v4"
STRANGER = "$s11DFMergeCore7genericyyF"

AVX2 = "vaddpd %ymm0, %ymm1, %ymm2"
AVX512 = "vaddpd %zmm0, %zmm1, %zmm2"
SSE2 = "addpd %xmm0, %xmm1"


def function(name: str, *instructions: str, binding: str = "globl") -> str:
    quoted = f'"{name}"'
    head = [f".{binding} {quoted}", f".type {quoted}, @function", f"{quoted}:"]
    return "\n".join([*head, *instructions, "ret", f".size {quoted}, .-{quoted}", ""])


class Build:
    """Objects of the two levels and a library of them, as a build leaves them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.library = folder / "libsample.so"
        self.levels = {
            "DFMergeKernelsV3": function(V3, AVX2),
            "DFMergeKernelsV4": function(V4, AVX512),
            "CDFMergeDense/loops_v3.c": function(DENSE_V3, AVX2),
            "CDFMergeDense/loops_v4.c": function(DENSE_V4, AVX512),
        }
        self.rest = function("dfm_merge", SSE2)

    def run(self, *options: str) -> subprocess.CompletedProcess[str]:
        objects = [self.assemble("Rest", self.rest)]
        objects += [self.assemble(module, text) for module, text in self.levels.items()]
        link = ["gcc", "-shared", "-nostdlib", *options, "-o", str(self.library)]
        subprocess.run([*link, *map(str, objects)], check=True)
        return self.check()

    def check(self) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(SCRIPT), str(self.folder), str(self.library)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def assemble(self, module: str, text: str) -> Path:
        folder, _, file = module.partition("/")
        path = self.folder / f"{folder}.build" / f"{file or 'Loops.swift'}.o"
        path.parent.mkdir(exist_ok=True)
        command = ["gcc", "-c", "-x", "assembler", "-", "-o", str(path)]
        subprocess.run(command, input=".text\n" + text, text=True, check=True)
        return path


@pytest.fixture
def build(tmp_path: Path) -> Build:
    return Build(tmp_path)


def test_code_in_its_place_passes(build: Build) -> None:
    # A weak function of the level's own module has a name of its own: nothing to merge it with.
    build.levels["DFMergeKernelsV4"] += function(V4 + "Ttg5", AVX512, binding="weak")
    build.levels["DFMergeKernelsV4"] += function("$sSa6appendyyF", SSE2, binding="weak")
    result = build.run()
    assert result.returncode == 0, result.stderr
    assert "where it belongs" in result.stdout


@pytest.mark.parametrize("instruction", [AVX2, AVX512, "kmovw %k1, %eax", "shlxq %rax, %rbx, %rcx"])
def test_weak_function_of_another_module(build: Build, instruction: str) -> None:
    build.levels["DFMergeKernelsV3"] += function(STRANGER, instruction, binding="weak")
    result = build.run()
    assert result.returncode == 1
    assert f"weak function with 1 vector instructions: {STRANGER}" in result.stderr


def test_specialisation_of_foreign_code_for_a_type_of_the_level(build: Build) -> None:
    name = "$sSa6append16DFMergeKernelsV44ItemVTg5"
    build.levels["DFMergeKernelsV4"] += function(name, AVX512, binding="weak")
    result = build.run()
    assert result.returncode == 1
    assert name in result.stderr


def test_fused_multiply_add(build: Build) -> None:
    build.levels["DFMergeKernelsV3"] += function(V3 + "Tf", "vfmadd231pd %ymm0, %ymm1, %ymm2")
    result = build.run()
    assert result.returncode == 1
    assert f"1 fused multiply-adds in {V3}Tf" in result.stderr


def test_fused_multiply_add_in_c(build: Build) -> None:
    name = "dfmd_tile_v4"
    build.levels["CDFMergeDense/loops_v4.c"] += function(name, "vfmadd231pd %zmm0, %zmm1, %zmm2")
    result = build.run()
    assert result.returncode == 1
    assert f"CDFMergeDense v4, loops_v4.c.o: 1 fused multiply-adds in {name}" in result.stderr


def test_vector_code_in_the_rest_of_the_dense_code(build: Build) -> None:
    build.levels["CDFMergeDense/thin.cpp"] = function("_ZN5Eigen4fillEv", AVX2)
    result = build.run()
    assert result.returncode == 1
    assert "outside of the levels' modules: _ZN5Eigen4fillEv" in result.stderr


@pytest.mark.parametrize("instruction", [AVX2, "vmovaps %xmm0, (%rax)", "lzcntq %rax, %rbx"])
def test_vector_code_elsewhere_in_the_library(build: Build, instruction: str) -> None:
    build.rest = function("dfm_merge", SSE2, instruction)
    result = build.run()
    assert result.returncode == 1
    assert "1 vector instructions outside of the levels' modules: dfm_merge" in result.stderr


def test_level_that_lost_its_flags(build: Build) -> None:
    build.levels["DFMergeKernelsV4"] = function(V4, SSE2)
    result = build.run()
    assert result.returncode == 1
    assert "DFMergeKernelsV4: no vector code" in result.stderr


def test_stripped_library(build: Build) -> None:
    result = build.run("-s")
    assert result.returncode == 2
    assert "is stripped" in result.stderr


@pytest.mark.parametrize(
    ("objects", "name"),
    [("DFMergeKernelsV4", "DFMergeKernelsV4"), ("CDFMergeDense/loops_v3.c", "CDFMergeDense v3")],
)
def test_level_that_was_not_built(build: Build, objects: str, name: str) -> None:
    del build.levels[objects]
    result = build.run()
    assert result.returncode == 2
    assert f"no objects of {name}" in result.stderr


def test_library_that_is_not_there(build: Build) -> None:
    result = build.check()
    assert result.returncode == 2
    assert "there is no library" in result.stderr
