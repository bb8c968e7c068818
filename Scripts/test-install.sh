#!/usr/bin/env bash
# Uses an installed dfmerge as its users do: installs the built library into a fresh prefix, moves the
# prefix, builds every example by the command that its head comment prints and by CMake, with nothing
# of the checkout in any search path, runs them, runs the wrapper's tests and docs/cpp.md's blocks of
# code, and uninstalls. Also checks that every CPU level writes the same bytes.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset CC CXX CPATH C_INCLUDE_PATH CPLUS_INCLUDE_PATH LIBRARY_PATH LD_LIBRARY_PATH LD_RUN_PATH
unset CMAKE_PREFIX_PATH PKG_CONFIG_PATH DESTDIR LIBDIR
export PYTHONDONTWRITEBYTECODE=1
strict="-Wall -Wextra -pedantic -Werror"

say() { echo "test-install: $*"; }
fail() {
  echo "test-install.sh: error: $*" >&2
  exit 1
}

# ---- Install, twice, and move: what is used below lies elsewhere than where it was installed --------

PREFIX=$work/first Scripts/install.sh >/dev/null
PREFIX=$work/first Scripts/install.sh
for name in libdfmerge.so libdfmerge.so.1; do
  [ -L "$work/first/lib/$name" ] || fail "lib/$name is no link"
done
! grep -rIl -e "$work" -e "$root" "$work/first" || fail "an installed file names a path of this machine"
mv "$work/first" "$work/second"
cp -a "$work/second" "$work/a prefix with spaces"
prefix=$work/second
spaced="$work/a prefix with spaces"
mv "$prefix" "$work/prefix"
prefix=$work/prefix
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig

[ "$("$prefix/bin/dfmerge" --version)" = "$(pkg-config --modversion dfmerge)" ] ||
  fail "the installed program is of another version than the library"
"$spaced/bin/dfmerge" methods ties >"$work/out" || fail "the installed program does not run"

# ---- Every example by the command that it prints, and once more from its finished journals ---------

cp -r examples "$work/by-hand"
for source in c/merge.c c/optimize.c c/search.c cpp/search.cpp cpp/inference.cpp embed/host.c; do
  folder=$work/by-hand/$(dirname "$source")
  Scripts/code_blocks.py head "examples/$source" >"$work/commands"
  say "$(head -n 1 "$work/commands")"
  (cd "$folder" && bash -euo pipefail "$work/commands" && tail -n 1 "$work/commands" >"$work/last" &&
    LD_LIBRARY_PATH=$prefix/lib bash -euo pipefail "$work/last") | tail -n 1
done

# The embedded Python's exceptions and Ctrl-C end the program in order.
host=("$work/by-hand/embed/host")
export LD_LIBRARY_PATH=$prefix/lib
printf 'def evaluate(memory):\n    raise ValueError("no data")\n' >"$work/raises.py"
if "${host[@]}" "$work/raises.py" 2>"$work/told"; then fail "the host went on after an exception"; fi
grep -q '^ValueError: no data$' "$work/told" || fail "the host did not tell of the exception"
printf 'import time\ndef evaluate(memory):\n    time.sleep(0.05)\n    print("on", flush=True)\n    return 1.0\n' \
  >"$work/slow.py"
# In a session of its own, because a shell lets its background jobs ignore Ctrl-C.
python3 - "${host[@]}" "$work/slow.py" <<'PYTHON' || fail "the host did not end well by Ctrl-C"
import signal, subprocess, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
with subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
    assert run.stdout.readline() == "on\n"
    run.send_signal(signal.SIGINT)
    told = run.communicate(timeout=20)[1]
    assert run.returncode == 130 and "interrupted" in told, (run.returncode, told)
PYTHON
unset LD_LIBRARY_PATH

# ---- With strict flags, as C99 and as C++, by both compilers ---------------------------------------

flags=$(pkg-config --cflags dfmerge)
libs=$(pkg-config --libs dfmerge)
for compiler in "gcc -std=c99" "clang -std=c99" "g++ -std=c++17 -x c++" "clang++ -std=c++17 -x c++"; do
  for name in merge optimize search; do
    # shellcheck disable=SC2086
    $compiler $strict $flags -c "$work/by-hand/c/$name.c" -o "$work/$name.o"
    # shellcheck disable=SC2086
    gcc "$work/$name.o" $libs -lm "-Wl,-rpath,$prefix/lib" -o "$work/$name"
  done
  (cd "$work" && rm -rf merged search.jsonl optimize.jsonl && ./merge . && ./optimize optimize.jsonl &&
    ./search search.jsonl merged.safetensors) >"$work/out"
  grep -qF '100 % of ./merged' "$work/out" || fail "merge.c by $compiler did not end well"
done
say "the C examples are clean as C99 and C++17, by gcc and clang"
for level in 2 3 4; do
  DFMERGE_CPU_LEVEL=$level "$work/search" "$work/$level.jsonl" "$work/$level.safetensors" >/dev/null
  cmp "$work/merged.safetensors" "$work/$level.safetensors"
done
say "CPU levels 2, 3 and 4 write the same bytes"

# ---- By CMake, from a prefix with spaces; the programs find the library by their rpath --------------

cp -r examples "$work/by cmake"
for language in c cpp embed; do
  (
    cd "$work/by cmake/$language"
    cmake -S . -B build "-DCMAKE_PREFIX_PATH=$spaced" "-DCMAKE_C_FLAGS=$strict" \
      "-DCMAKE_CXX_FLAGS=$strict" -DPython3_FIND_STRATEGY=LOCATION \
      -DPython3_ROOT_DIR="$(pkg-config --variable=prefix python3-embed)" >"$work/log" 2>&1 &&
      cmake --build build -j 2 >>"$work/log" 2>&1 || { cat "$work/log" && exit 1; }
  ) || fail "examples/$language cannot be built by CMake"
  say "examples/$language is built by CMake"
done
cd "$work/by cmake"
ldd c/build/search >"$work/told"
grep -qF "$spaced/lib/libdfmerge.so.1" "$work/told" ||
  fail "a program built by CMake does not find the library in its prefix"
(cd c && build/merge . && build/optimize o.jsonl && build/search s.jsonl m.safetensors) >/dev/null
(cd cpp && build/search s.jsonl m.safetensors && build/inference) >/dev/null
(cd embed && build/host evaluate.py) >/dev/null
cd "$root"

# The same prefix by pkg-config: its paths are escaped, as for eval.
export PKG_CONFIG_PATH=$spaced/lib/pkgconfig
eval "gcc -std=c99 '$work/by-hand/c/optimize.c' $(pkg-config --cflags --libs dfmerge) -lm -o '$work/spaced'"
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig

# ---- The guide and the wrapper's tests ---------------------------------------------------------------

mkdir "$work/guide" "$work/objects"
Scripts/code_blocks.py document docs/cpp.md "$work/guide"
(cd "$work/guide" && bash commands.sh && cmake -S . -B build "-DCMAKE_PREFIX_PATH=$prefix" >/dev/null &&
  cmake --build build >/dev/null && build/program) || fail "docs/cpp.md's program does not run"

cp -r Tests/cpp "$work/tests"
Scripts/test-cpp.sh "$prefix" "$work/tests" "$work/guide" "$work/objects"

# ---- Uninstall leaves nothing -----------------------------------------------------------------------

for place in "$prefix" "$spaced"; do
  PREFIX=$place Scripts/install.sh uninstall >/dev/null
  [ ! -e "$place" ] || fail "uninstalling left files: $(find "$place")"
done
say "uninstalling leaves nothing"
