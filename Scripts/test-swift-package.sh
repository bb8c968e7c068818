#!/usr/bin/env bash
# Tests the Swift package as its users have it: examples/swift, with `import DFMerge` only.
#
#   Scripts/test-swift-package.sh [TAG]
#
# 1. By path, as it stands in the repository: the manifests are loaded and resolved together.
# 2. By version: a repository is made of this checkout's files and tagged (TAG, by default the
#    library's own version), and a copy of the example, whose manifest names that repository and
#    version, is built, tested and run. The run's merged checkpoint must be there.
#
# Everything is in build/swift-package and made anew each time; SwiftPM's shared caches are neither used nor filled.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
  echo "test-swift-package.sh: error: $*" >&2
  exit 1
}

# As users build it: without the command-line program.
unset CC CXX DFMERGE_COMMAND
version=$(sed -n 's/.*static let string = "\(.*\)".*/\1/p' Sources/DFMergeCore/DFMergeVersion.swift)
[ -n "$version" ] || fail "Sources/DFMergeCore/DFMergeVersion.swift does not state the version"
tag=${1:-v$version}

work=$PWD/build/swift-package
repository=$work/dfmerge
consumer=$work/consumer
# From nothing: SwiftPM would find versions that it has seen before in an older build, and test those.
# It knows a package by its folder's name, which is dfmerge here whatever this checkout is called.
rm -rf "$work"
mkdir -p "$repository"
tar -c --exclude=.build Package.swift Sources Tests examples/swift | tar -x -C "$repository"
swiftpm=(--cache-path "$work/cache" --config-path "$work/config" --security-path "$work/security")

echo "by path"
swift package "${swiftpm[@]}" --package-path "$repository/examples/swift" \
  --scratch-path "$work/path" show-dependencies --format json | grep -q '"name": "dfmerge"' ||
  fail "examples/swift does not resolve to the package two folders above"

echo "by version, $tag"
git=(git -C "$repository" -c user.name=test -c user.email=test@localhost -c commit.gpgsign=false
  -c tag.gpgsign=false -c core.autocrlf=false)
"${git[@]}" init --quiet
"${git[@]}" add --all --force
"${git[@]}" commit --quiet --message "the checkout"
"${git[@]}" tag "$tag"

cp -R examples/swift "$consumer"
rm -rf "$consumer/.build" "$consumer/Package.resolved"
by_path='.package(name: "dfmerge", path: "../..")'
by_version=".package(url: \"file://$repository\", from: \"$version\")"
grep -qF "$by_path" "$consumer/Package.swift" ||
  fail "examples/swift/Package.swift no longer holds the line $by_path"
manifest=$(<"$consumer/Package.swift")
printf '%s\n' "${manifest//"$by_path"/"$by_version"}" >"$consumer/Package.swift"

build=("${swiftpm[@]}" --package-path "$consumer" --scratch-path "$work/version")
swift package "${build[@]}" resolve
grep -q "\"version\" : \"$version\"" "$consumer/Package.resolved" ||
  fail "the package was not resolved by version; see $consumer/Package.resolved"
[ "$(grep -c '"identity"' "$consumer/Package.resolved")" = 1 ] ||
  fail "users of the package get dependencies of its own; see $consumer/Package.resolved"
swift build "${build[@]}" --build-tests
swift test "${build[@]}" --skip-build
swift run "${build[@]}" --skip-build merge-specialists "$work/checkpoints" | tail -n 9
[ -f "$work/checkpoints/merged/model.safetensors" ] ||
  fail "the example has not written $work/checkpoints/merged/model.safetensors"
