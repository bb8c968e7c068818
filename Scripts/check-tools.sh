#!/usr/bin/env bash
# Checks for the tools that building needs, and with the argument `test` for those that the tests use
# beside them; says in one line each what to install. As root on a system with apt-get, missing Debian
# packages are installed.
set -euo pipefail

missing=()
need() { command -v "$1" >/dev/null || missing+=("$2"); }
need gcc gcc
need g++ g++
need nm binutils
need git git
[ -f /usr/include/eigen3/Eigen/Core ] || pkg-config --exists eigen3 2>/dev/null ||
  missing+=(libeigen3-dev)
python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3-venv)
if [ "${1:-}" = test ]; then
  need cmake cmake
  need pkg-config pkg-config
  need valgrind valgrind
  need abidiff abigail-tools
  [ -f /usr/include/doctest/doctest.h ] || missing+=(doctest-dev)
  # The embedding example is built against the system's Python, whatever other `python3` is in PATH.
  pkg-config --exists python3-embed 2>/dev/null || missing+=(libpython3-dev)
fi

if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing ${missing[*]}"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" >/dev/null
  else
    echo "missing Debian packages: run 'apt-get install ${missing[*]}' as root" >&2
    exit 1
  fi
fi

command -v swift >/dev/null || {
  echo "Swift 6.3 or later is missing: install it from https://www.swift.org/install" >&2
  exit 1
}
swift --version 2>/dev/null | grep -qE 'Swift version (6\.([3-9]|[1-9][0-9])|[7-9])' || {
  echo "Swift 6.3 or later is needed; this is: $(swift --version 2>/dev/null | head -n 1)" >&2
  exit 1
}
python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' || {
  echo "Python 3.10 or later is needed; this is $(python3 --version)" >&2
  exit 1
}
