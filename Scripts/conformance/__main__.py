"""Entry point of ``python3 Scripts/conformance``."""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

# Not at the top: the line above is what makes the package importable.
from conformance.render import GeneratorError, tables


def main() -> int:
    """Write the tables. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="conformance", description="Writes tables.c.")
    parser.add_argument("--record", type=Path, required=True, help="include/abi/dfmerge.json")
    parser.add_argument("--out", type=Path, required=True, help="the C file to write")
    options = parser.parse_args()
    try:
        text = tables(json.loads(options.record.read_text(encoding="utf-8")))
    except GeneratorError as error:
        print(f"conformance: error: {error}", file=sys.stderr)
        return 1
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
