#!/usr/bin/env bash
# Installs the built library for C and C++ (headers, libdfmerge.so, pkg-config and CMake files) and the
# program dfmerge.
#
#     PREFIX=/usr/local DESTDIR= LIBDIR=lib Scripts/install.sh [install | uninstall]
#
# PREFIX   where it is to be found, an absolute path
# DESTDIR  put in front of every path, for packaging; nothing that is installed names it
# LIBDIR   where the library goes, within PREFIX: lib, lib64, lib/x86_64-linux-gnu
#
# Nothing that is installed names PREFIX either: the prefix may be moved as a whole. Everything is
# written beside its place first and then renamed, so that a failure leaves what was there before.
# What was installed, folders included, is written down in share/doc/dfmerge/install_manifest.txt;
# uninstalling removes just that.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)

fail() {
  echo "install.sh: error: $*" >&2
  exit 1
}

# Takes . and // and a slash at the end out of a path.
plain() { printf '%s\n' "$1" | sed -e 's|/\./|/|g; s|//*|/|g; s|/\.$||; s|\(.\)/$|\1|'; }

action=${1:-install}
case $action in
  install | uninstall) ;;
  *) fail "'$action' is neither install nor uninstall" ;;
esac
prefix=$(plain "${PREFIX:-/usr/local}")
destdir=${DESTDIR:+$(plain "$DESTDIR")}
libdir=$(plain "${LIBDIR:-lib}")
[[ $prefix == /* ]] ||
  fail "PREFIX is '$prefix', a relative path; give an absolute one, such as \"\$PWD/$prefix\""
[[ -z $destdir || $destdir == /* ]] ||
  fail "DESTDIR is '$destdir', a relative path; give an absolute one, such as \"\$PWD/$destdir\""
if [[ $libdir == /* ]]; then
  [[ $libdir == "${prefix%/}"/* ]] ||
    fail "LIBDIR is '$libdir', outside PREFIX '$prefix'; give a folder within it, such as lib64"
  libdir=${libdir#"${prefix%/}"/}
fi
[[ $prefix != *$'\n'* && $destdir != *$'\n'* && $libdir != *$'\n'* ]] ||
  fail "a line break stands in PREFIX, DESTDIR or LIBDIR; choose paths without one"
for path in "$prefix" "$libdir"; do
  [[ /$path/ != */../* ]] || fail "'$path' contains '..'; write the path without it"
done
place=${destdir%/}${prefix%/}
manifest=share/doc/dfmerge/install_manifest.txt

# The lines of the manifest that is there: paths within the prefix, folders with a slash at the end.
recorded() {
  if [ -f "$place/$manifest" ]; then cat "$place/$manifest"; fi
}

uninstall() {
  [ -f "$place/$manifest" ] ||
    fail "nothing is installed in '${place:-/}' ($manifest is not there); give the PREFIX and" \
      "DESTDIR that it was installed with"
  local path
  while IFS= read -r path; do
    [[ -n $path && $path != /* && /$path/ != */../* ]] ||
      fail "'$place/$manifest' has the line '$path', no path within the prefix; it is damaged:" \
        "remove the files that it lists by hand"
  done < <(recorded)
  local lines
  mapfile -t lines < <(recorded)
  for path in "${lines[@]}"; do
    if [[ $path != */ ]]; then
      rm -f -- "$place/$path" ||
        fail "cannot remove '$place/$path'; run it as the user who installed it"
    fi
  done
  # The deepest first. One that others use by now is not empty, and stays.
  while IFS= read -r path; do
    case $path in
      ./) rmdir -- "$place" 2>/dev/null || true ;;
      */) rmdir -- "$place/${path%/}" 2>/dev/null || true ;;
    esac
  done < <(printf '%s\n' "${lines[@]}" | LC_ALL=C sort -r)
  echo "removed dfmerge from ${place:-/}"
}

if [ "$action" = uninstall ]; then
  uninstall
  exit
fi

numbers=$root/Sources/DFMergeCore/DFMergeVersion.swift
version=$(sed -n 's/.*static let string = "\(.*\)".*/\1/p' "$numbers")
abi=$(sed -n 's/.*static let abi: Int32 = \([0-9]*\).*/\1/p' "$numbers")
[ -n "$version" ] && [ -n "$abi" ] ||
  fail "$numbers does not state the version and the ABI number"
library=$root/build/lib/libdfmerge.so.$version
[ -f "$library" ] || fail "$library is not built; run 'make lib' first"
program=$root/build/bin/dfmerge
[ -f "$program" ] || fail "$program is not built; run 'make cli' first"

# ---- Everything under temporary names, in the file system where it belongs ------------------------

made=()     # folders that were made, the outermost first
stage=      # where everything is put together
is_done=false

undo() {
  local i
  if [ -n "$stage" ]; then rm -rf -- "$stage"; fi
  if ! $is_done; then
    for ((i = ${#made[@]} - 1; i >= 0; i--)); do rmdir -- "${made[i]}" 2>/dev/null || true; done
  fi
}
trap undo EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Makes a folder and those above it, and remembers them.
folder() {
  [ ! -d "$1" ] || return 0
  folder "$(dirname "$1")"
  mkdir -m 755 -- "$1" 2>/dev/null ||
    fail "cannot make the folder '$1'; give a PREFIX that you may write to, such as" \
      "PREFIX=\"\$HOME/.local\", or run it as a user who may"
  made+=("$1")
}

folder "${place:-/}"
stage=$(mktemp -d "$place/.dfmerge-install.XXXXXX" 2>/dev/null) ||
  fail "cannot write to '${place:-/}'; give a PREFIX that you may write to, such as" \
    "PREFIX=\"\$HOME/.local\", or run it as a user who may"

put() { # mode, file, where in the prefix
  install -D -m "$1" -- "$2" "$stage/$3" || fail "cannot write '$stage/$3'; is the disk full?"
}

# One "../" for each folder of a path.
way_up() { printf '%s\n' "$1" | sed -e 's|[^/][^/]*|..|g'; }

template() { # file in Scripts/install, where in the prefix
  local text
  text=$(sed -e "s|@VERSION@|$version|g; s|@ABI@|$abi|g" \
    -e "s|@MAJOR@|${version%%.*}|g; s|@MINOR@|$(cut -d. -f2 <<<"$version")|g" \
    -e "s|@PREFIX_FROM_LIBDIR@|$(way_up "$libdir")|g" \
    -e "s|@PREFIX_FROM_PKGCONFIG@|$(way_up "$libdir/pkgconfig")|g" "$root/Scripts/install/$1")
  install -d -m 755 -- "$(dirname "$stage/$2")"
  printf '%s\n' "$text" >"$stage/$2" || fail "cannot write '$stage/$2'; is the disk full?"
  chmod 644 "$stage/$2"
}

put 644 "$root/include/dfmerge.h" include/dfmerge.h
put 644 "$root/bindings/cpp/dfmerge.hpp" include/dfmerge.hpp
for header in "$root"/bindings/cpp/dfmerge/*.hpp; do
  put 644 "$header" "include/dfmerge/$(basename "$header")"
done
put 755 "$program" bin/dfmerge
put 755 "$library" "$libdir/libdfmerge.so.$version"
ln -s "libdfmerge.so.$version" "$stage/$libdir/libdfmerge.so.$abi"
ln -s "libdfmerge.so.$abi" "$stage/$libdir/libdfmerge.so"
template dfmerge.pc.in "$libdir/pkgconfig/dfmerge.pc"
template dfmergeConfig.cmake "$libdir/cmake/dfmerge/dfmergeConfig.cmake"
template dfmergeConfigVersion.cmake.in "$libdir/cmake/dfmerge/dfmergeConfigVersion.cmake"
template dfmergeTargets.cmake.in "$libdir/cmake/dfmerge/dfmergeTargets.cmake"
put 644 "$root/LICENSE" share/doc/dfmerge/LICENSE
put 644 "$root/NOTICE" share/doc/dfmerge/NOTICE

mapfile -t files < <(cd "$stage" && find . ! -type d -printf '%P\n' | LC_ALL=C sort)
for path in "${files[@]}" "$manifest"; do
  [ ! -d "$place/$path" ] || [ -L "$place/$path" ] ||
    fail "'$place/$path' is a folder where a file belongs; move it away"
  folder "$(dirname "$place/$path")"
  [ -w "$(dirname "$place/$path")" ] ||
    fail "cannot write to '$(dirname "$place/$path")'; run it as a user who may"
done
# What an older version has installed stays for the programs that use it, and on the list.
{
  printf '%s\n' "${files[@]}" "$manifest"
  for path in ${made[@]+"${made[@]}"}; do
    # Those above the prefix, such as DESTDIR's own, are not the installation's.
    case $path in
      "$place") echo ./ ;;
      "$place"/*) printf '%s\n' "${path#"$place"/}/" ;;
    esac
  done
  recorded
} | LC_ALL=C sort -u >"$stage/manifest"

# ---- Into place, by renaming: the manifest first, so that nothing is ever there without it --------

install -D -m 644 -- "$stage/manifest" "$stage/$manifest"
mv -fT -- "$stage/$manifest" "$place/$manifest" ||
  fail "cannot write '$place/$manifest'; run it as a user who may"
is_done=true
for path in "${files[@]}"; do
  mv -fT -- "$stage/$path" "$place/$path" ||
    fail "cannot write '$place/$path'; run 'install.sh uninstall' with the same PREFIX to clean up"
done
echo "installed dfmerge $version in ${place:-/} (libraries in $libdir)"
