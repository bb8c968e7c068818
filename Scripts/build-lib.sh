#!/usr/bin/env bash
# Builds the shared library for C and Python: build/lib/libdfmerge.so -> .so.<abi> -> .so.<version>.
#
# The result needs no Swift installation: the Swift runtime is linked in, only the functions of
# include/abi/dfmerge.map are exported, and the file is stripped (the one with symbols stays in
# .build/abi/release). Arguments are handed to `swift build`, for example -j 2.
# The flags stand here and not in Package.swift, where they would bar the package from being used
# as a dependency and would also reach the test bundles.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
  echo "build-lib.sh: error: $*" >&2
  exit 1
}

# Swift's build takes CC for the linker driver and then passes it flags that gcc does not know.
unset CC CXX
# Without the command-line program, whose dependencies would have to be fetched.
unset DFMERGE_COMMAND

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

numbers=Sources/DFMergeCore/DFMergeVersion.swift
version=$(sed -n 's/.*static let string = "\(.*\)".*/\1/p' "$numbers")
abi=$(sed -n 's/.*static let abi: Int32 = \([0-9]*\).*/\1/p' "$numbers")
[ -n "$version" ] && [ -n "$abi" ] ||
  fail "$numbers does not state the version and the ABI number"

# A folder that holds only the static libstdc++, searched first, makes -lstdc++ mean that one.
mkdir -p .build/stdcxx
stdcxx=$("$toolchain/clang" -print-file-name=libstdc++.a)
[ -f "$stdcxx" ] || fail "libstdc++.a is missing; install the development files of libstdc++"
ln -sfn "$(realpath "$stdcxx")" .build/stdcxx/libstdc++.a

# Swift's Glibc module brings along a wrapper of hypotf that nothing calls, and the newest hypotf is
# of glibc 2.35. With a definition in the library, glibc 2.34 (RHEL 9) is enough.
"$toolchain/clang" -O2 -fPIC -fno-math-errno -c -x c - -o .build/stdcxx/hypotf.o <<'SOURCE'
__attribute__((visibility("hidden"))) float hypotf(float x, float y) {
  if (__builtin_isinf(x) || __builtin_isinf(y)) return __builtin_inff();
  return (float)__builtin_sqrt((double)x * x + (double)y * y);
}
SOURCE

# The build does not know that the link depends on these two files.
for input in include/abi/dfmerge.map Scripts/build-lib.sh; do
  if [ "$input" -nt .build/abi/release/libdfmerge.so ]; then
    rm -f .build/abi/release/libdfmerge.so
  fi
done

# nodelete: the runtime leaves thread-local destructors behind, so unloading would crash the host.
swift build -c release --product dfmerge --scratch-path .build/abi \
  --explicit-target-dependency-import-check error \
  --static-swift-stdlib --disable-local-rpath \
  -Xswiftc -static-stdlib -Xswiftc -use-ld=lld \
  -Xlinker "--version-script=$PWD/include/abi/dfmerge.map" -Xlinker --no-undefined-version \
  -Xlinker -soname -Xlinker "libdfmerge.so.$abi" \
  -Xlinker -z -Xlinker nodelete -Xlinker -z -Xlinker now \
  -Xlinker "-L$PWD/.build/stdcxx" -Xlinker "$PWD/.build/stdcxx/hypotf.o" "$@"

mkdir -p build/lib
library=build/lib/libdfmerge.so.$version
"$toolchain/llvm-objcopy" --strip-all .build/abi/release/libdfmerge.so .build/stripped.so
# An unchanged library keeps its time, so that nothing that is made from it is made again.
if ! cmp -s .build/stripped.so "$library"; then
  rm -f build/lib/libdfmerge.so*
  cp .build/stripped.so "$library"
fi
rm .build/stripped.so
ln -sfn "libdfmerge.so.$version" "build/lib/libdfmerge.so.$abi"
ln -sfn "libdfmerge.so.$abi" build/lib/libdfmerge.so
echo "$library: $(stat -c %s "$library") bytes"
