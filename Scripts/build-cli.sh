#!/usr/bin/env bash
# Builds the command-line program: build/bin/dfmerge.
#
# It needs no Swift installation and no libdfmerge.so: library and Swift runtime are linked in, and
# the file is stripped. Arguments are handed to `swift build`, for example -j 2.
#
# The build shares its folder with Scripts/build-lib.sh, and whatever the compiler is told is the same
# in both, so that the library's modules are compiled once; only the linker's flags differ.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
  echo "build-cli.sh: error: $*" >&2
  exit 1
}

unset CC CXX
export DFMERGE_COMMAND=1

command -v swift >/dev/null && command -v swiftc >/dev/null ||
  fail "swift is not in PATH; install Swift 6.3 or later from https://www.swift.org/install"
toolchain=$(swiftc -print-target-info |
  sed -n 's|.*"runtimeResourcePath": "\(.*\)/lib/swift".*|\1/bin|p')
[ -x "$toolchain/ld.lld" ] || command -v ld.lld >/dev/null ||
  fail "ld.lld is neither in the Swift toolchain ($toolchain) nor in PATH; install lld"
[ -d "$toolchain/../lib/swift_static" ] ||
  fail "the Swift toolchain has no static runtime ($toolchain/../lib/swift_static); reinstall it"

# Swift Package Manager goes by the same file.
[ -f /usr/share/pkgconfig/eigen3.pc ] || pkg-config --exists eigen3 2>/dev/null ||
  fail "Eigen is missing; install libeigen3-dev (Debian), eigen3-devel (Fedora) or eigen (others)"

# As for the library: a folder that holds only the static libstdc++, searched first.
mkdir -p .build/stdcxx build/bin
stdcxx=$("$toolchain/clang" -print-file-name=libstdc++.a)
[ -f "$stdcxx" ] || fail "libstdc++.a is missing; install the development files of libstdc++"
ln -sfn "$(realpath "$stdcxx")" .build/stdcxx/libstdc++.a
# As there: with functions of its own, which nothing needs to the last bit, glibc 2.34 is enough.
"$toolchain/clang" -O2 -fno-math-errno -c -x c - -o .build/stdcxx/hypot.o <<'SOURCE'
double hypot(double x, double y) {
  if (__builtin_isinf(x) || __builtin_isinf(y)) return __builtin_inf();
  return (double)__builtin_sqrtl((long double)x * x + (long double)y * y);
}
float hypotf(float x, float y) { return (float)hypot(x, y); }
SOURCE

swift build -c release --product dfmerge-cli --scratch-path .build/abi \
  --explicit-target-dependency-import-check error \
  --static-swift-stdlib --disable-local-rpath \
  -Xswiftc -static-stdlib -Xswiftc -use-ld=lld \
  -Xlinker --gc-sections -Xlinker -z -Xlinker now \
  -Xlinker "-L$PWD/.build/stdcxx" -Xlinker "$PWD/.build/stdcxx/hypot.o" "$@"

# Beside its place first: the program that is there may be running.
"$toolchain/llvm-objcopy" --strip-all .build/abi/release/dfmerge-cli build/bin/.dfmerge.new
mv -f build/bin/.dfmerge.new build/bin/dfmerge
echo "build/bin/dfmerge: $(stat -c %s build/bin/dfmerge) bytes"
