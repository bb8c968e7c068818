#!/usr/bin/env bash
# Builds the documentation of the Swift package, a static site, into build/docs; every warning is an
# error. Look at it with `python3 -m http.server -d build/docs` and /documentation/dfmerge.
#
#   Scripts/build-docs.sh [CATALOGUE [OUT]]
#
# Only tools of the Swift toolchain are used: a plugin would be a dependency of every user. A user
# imports DFMerge alone, so the pages are those of one module that shows what it re-exports.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
  echo "build-docs.sh: error: $*" >&2
  exit 1
}

catalogue=${1:-Sources/DFMerge/DFMerge.docc}
out=${2:-build/docs}
unset CC CXX

[ -d "$catalogue" ] || fail "there is no catalogue at $catalogue"
info=$(swiftc -print-target-info) ||
  fail "swiftc is not in PATH; install Swift 6.3 or later from https://www.swift.org/install"
target=$(sed -n 's|.*"triple": "\(.*\)".*|\1|p' <<<"$info" | head -n 1)
toolchain=$(sed -n 's|.*"runtimeResourcePath": "\(.*\)/lib/swift".*|\1/bin|p' <<<"$info")
tool() {
  local found="$toolchain/$1"
  [ -x "$found" ] || found=$(command -v "$1") ||
    fail "$1 is neither in the Swift toolchain ($toolchain) nor in PATH; reinstall Swift"
  echo "$found"
}
extract=$(tool swift-symbolgraph-extract)
docc=$(tool docc)

python3 Scripts/check-docs.py

# The debug build that the tests use, so after them there is nothing to do.
swift build --explicit-target-dependency-import-check error
built=$(swift build --show-bin-path)
exports=$(sed -n 's/^@_exported import //p' Sources/DFMerge/Exports.swift | paste -sd,)
[ -n "$exports" ] || fail "Sources/DFMerge/Exports.swift re-exports nothing"

# Re-exported modules come with an option that is called experimental; should a toolchain ignore it,
# the catalogue's links to their types fail below.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
symbols=$work/symbols
mkdir "$symbols"
# The files that the tutorial shows are made of the example's, so that nothing stands twice.
cp -R "$catalogue" "$work/DFMerge.docc"
python3 Scripts/tutorial_steps.py "$work/DFMerge.docc/Resources"
includes=("$built/Modules" Sources/C*/include)
"$extract" -module-name DFMerge -target "$target" "${includes[@]/#/-I}" \
  -output-dir "$symbols" -minimum-access-level public \
  -skip-synthesized-members "-experimental-allowed-reexported-modules=$exports"
mkdir -p "$(dirname "$out")"
rm -rf "$out"
"$docc" convert "$work/DFMerge.docc" --additional-symbol-graph-dir "$symbols" --output-path "$out" \
  --fallback-display-name DFMerge --fallback-bundle-identifier dfmerge \
  --warnings-as-errors --transform-for-static-hosting
echo "$out: $(find "$out/documentation" "$out/tutorials" -name index.html | wc -l) pages," \
  "$(du -sh "$out" | cut -f1)"
