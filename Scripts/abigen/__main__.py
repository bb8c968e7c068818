"""Entry point of ``python3 Scripts/abigen``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

# Not at the top: the line above is what makes the package importable.
from abigen.cli import main

if __name__ == "__main__":
    sys.exit(main())
