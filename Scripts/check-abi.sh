#!/usr/bin/env bash
# Verifies the C interface: the generated files are current, the header compiles and matches the
# Swift functions, and the library exports exactly it. Builds the library first; arguments are
# handed to `swift build` there, for example -j 2.
set -euo pipefail
cd "$(dirname "$0")/.."

Scripts/build-lib.sh "$@"
python3 Scripts/abigen --check --library build/lib/libdfmerge.so
