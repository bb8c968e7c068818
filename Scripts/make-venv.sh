#!/usr/bin/env bash
# Makes the virtual environment at $1 with everything that demo, tests and benchmarks use.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$1

echo "making the Python environment $venv (torch is large; this takes a while the first time)"
python3 -m venv "$venv"
pip=("$venv/bin/python" -m pip install --quiet --disable-pip-version-check)
# The CPU build of torch is a tenth of the size; where it cannot be had, the plain one does.
"${pip[@]}" "torch==2.13.0+cpu" 2>/dev/null || "${pip[@]}" torch || {
  echo "torch could not be installed from PyPI; check the network and try again" >&2
  exit 1
}
"${pip[@]}" -r Scripts/requirements.txt
