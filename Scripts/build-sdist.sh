#!/usr/bin/env bash
# Builds the sdist and leaves exactly one, checked for completeness, in the folder $2.
# $1 is a virtual environment with what Scripts/requirements-packaging.txt lists.
set -euo pipefail
venv=$(realpath -s "$1")
mkdir -p "$2"
sdists=$(realpath "$2")
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The time of every file in the sdist, in seconds since 1970: what hatchling takes by itself.
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1580601600}
umask 022
"$venv/bin/python" -m build --sdist --no-isolation --outdir "$work" bindings/python >/dev/null
"$venv/bin/python" -m twine check --strict "$work"/*.tar.gz
python3 Scripts/check-sdist.py "$work"/*.tar.gz
rm -f "$sdists"/*.tar.gz
mv "$work"/*.tar.gz "$sdists/"
