#!/usr/bin/env bash
# Runs a command as on a machine without Swift: without-swift.sh COMMAND [ARGUMENT]...
#
# PATH loses the folders with swift, and the variables that lead to libraries are unset. As root, where
# the system allows mounts of one's own, empty folders also cover the toolchain and the checkout's build
# folders, for this command only. Says which of the two it was; what it cannot hide is an error.
set -euo pipefail
checkout=$(realpath "$(dirname "$0")/..")

fail() {
  echo "without-swift.sh: error: $*" >&2
  exit 1
}

[ $# -gt 0 ] || fail "no command; usage: without-swift.sh COMMAND [ARGUMENT]..."
unset LD_LIBRARY_PATH LD_PRELOAD PYTHONPATH DFMERGE_LIBRARY

covered=()
if command -v swiftc >/dev/null; then
  toolchain=$(swiftc -print-target-info |
    sed -n 's|.*"runtimeResourcePath": "\(.*\)/lib/swift".*|\1|p')
  [ -d "$toolchain/lib/swift" ] || fail "swiftc names no folder of its own: '$toolchain'"
  if [ -x "$toolchain/bin/sh" ]; then
    # Installed among the system's own programs: only what is Swift's may go.
    for part in "$toolchain"/lib/swift* "$toolchain"/libexec/swift* "$toolchain"/bin/swift*; do
      if [ -e "$part" ]; then covered+=("$part"); fi
    done
  else
    covered+=("$toolchain")
  fi
fi
for folder in "$checkout/build/lib" "$checkout/.build"; do
  if [ -d "$folder" ]; then covered+=("$folder"); fi
done

path=
IFS=: read -ra folders <<<"$PATH"
for folder in "${folders[@]}"; do
  if [ ! -x "$folder/swift" ] && [ ! -x "$folder/swiftc" ] || [ -x "$folder/sh" ]; then
    path=$path${path:+:}$folder
  fi
done
export PATH=$path

# Prints the covered path that still has something in it, if there is one.
# shellcheck disable=SC2016
cover='
  empty=$1 count=$2
  shift 2
  for part in "${@:1:count}"; do
    if [ -d "$part" ]; then
      mount -t tmpfs -o ro,size=4k without-swift "$part"
      [ -z "$(ls -A "$part")" ] || exit 99
    else
      mount --bind "$empty" "$part"
    fi
  done
  rm -f "$empty"
  shift "$count"
  exec "$@"
'
if [ "$(id -u)" = 0 ] && unshare -m mount -t tmpfs none /tmp 2>/dev/null; then
  echo "without Swift: PATH has none, and empty folders cover ${covered[*]:-nothing}"
  # Not to be run: a program that it covers is then not found.
  empty=$(mktemp)
  hide=(unshare -m bash -euo pipefail -c "$cover" bash "$empty" "${#covered[@]}" "${covered[@]}")
else
  for program in swift swiftc; do
    if found=$(command -v "$program"); then
      fail "$found lies among the system's programs; run this as root, where it can be covered"
    fi
  done
  echo "without Swift: PATH has none (its folders stay: no mounts of our own are possible here)"
  hide=()
fi
exec "${hide[@]}" "$@"
