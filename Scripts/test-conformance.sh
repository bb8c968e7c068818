#!/usr/bin/env bash
# Calls every function of the built library with everything that can be wrong, and makes, uses and
# frees every type of handle, from a C program whose tables Scripts/conformance writes from the ABI
# record: compiled by gcc and run plainly, compiled by the Swift toolchain's clang with the address,
# leak and undefined-behaviour sanitizers, and under valgrind.
#
#   Scripts/test-conformance.sh           the library in build/lib
#   Scripts/test-conformance.sh --long    a library that is itself built with the address sanitizer
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD

fail() {
  echo "test-conformance.sh: error: $*" >&2
  exit 1
}

out=build/conformance
runtime=Scripts/conformance/runtime
record=include/abi/dfmerge.json
toolchain=$(swiftc -print-target-info |
  sed -n 's|.*"runtimeResourcePath": "\(.*\)/lib/swift".*|\1/bin|p')
[ -x "$toolchain/clang" ] || fail "the Swift toolchain has no clang ($toolchain); reinstall it"
# Swift's own reports of crashes would hide those of the sanitizers.
export SWIFT_BACKTRACE=enable=no

# Journals are synced at every step: in memory, where there is a file system for that.
if [ -d /dev/shm ] && [ -w /dev/shm ]; then export TMPDIR=/dev/shm; fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

compile() { # compiler, program, folder of the library, flags...
  local compiler=$1 program=$2 library=$3
  shift 3
  "$compiler" -std=c11 -D_GNU_SOURCE -O1 -g -Wall -Wextra -pedantic -Werror "$@" \
    -Iinclude -I"$runtime" "$runtime"/*.c "$out/tables.c" -o "$program" \
    -L"$library" -ldfmerge -lm -lpthread -Wl,-rpath,"$library"
}

run() { # title, command...
  local title=$1 start=$SECONDS
  shift
  rm -rf "$work/run"
  mkdir "$work/run"
  echo "-- $title"
  "$@" || fail "$title: the conformance program failed"
  echo "   $((SECONDS - start)) s"
}

python3 Scripts/conformance --record "$record" --out "$out/tables.c"
sanitize=(-fuse-ld=lld -fsanitize=address,undefined -fno-sanitize-recover=all)
sanitize+=(-fno-omit-frame-pointer)
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:strict_string_checks=1
export UBSAN_OPTIONS=print_stacktrace=1

if [ "${1:-}" = --long ]; then
  swift build -c release --product dfmerge --scratch-path .build/sanitized \
    --explicit-target-dependency-import-check error --sanitize address
  library=$root/.build/sanitized/release
  compile "$toolchain/clang" "$out/whole" "$library" "${sanitize[@]}" -shared-libasan \
    -Wl,-rpath,"$("$toolchain/clang" -print-resource-dir)/lib/linux" \
    -Wl,-rpath,"$("$toolchain/clang" -print-resource-dir)/lib/x86_64-unknown-linux-gnu"
  run "the library and the program with the address sanitizer" \
    "$out/whole" "$work/run" --unmeasured --cycles 1000
  exit
fi

library=$root/build/lib
[ -e "$library/libdfmerge.so" ] || fail "$library/libdfmerge.so is missing; run 'make lib'"

# All of the library: its own list of symbols, not the record, says what must be covered.
exported=$("$toolchain/llvm-nm" --dynamic --defined-only --format=just-symbols \
  "$library/libdfmerge.so" | sed 's/@.*//' | grep '^dfm_' | sort -u)
covered=$(sed -n 's/^static void call_\(dfm_[a-z0-9_]*\)(.*/\1/p' "$out/tables.c" | sort -u)
if [ "$exported" != "$covered" ]; then
  diff <(echo "$exported") <(echo "$covered") >&2 || true
  fail "the library's functions (<) are not those that the program calls (>)"
fi
echo "$(wc -l <<<"$exported") of $(wc -l <<<"$covered") exported functions are called"

compile gcc "$out/plain" "$library"
compile "$toolchain/clang" "$out/sanitized" "$library" "${sanitize[@]}"
run "gcc" "$out/plain" "$work/run"
run "clang, address, leak and undefined-behaviour sanitizers" \
  "$out/sanitized" "$work/run" --unmeasured --cycles 100
run "valgrind" valgrind --quiet --error-exitcode=9 --leak-check=full \
  --errors-for-leak-kinds=definite,indirect --show-leak-kinds=definite,indirect \
  "$out/plain" "$work/run" --no-pairs --unmeasured --cycles 5
echo "conformance: all runs passed"
