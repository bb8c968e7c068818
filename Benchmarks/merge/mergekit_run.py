"""One merge by mergekit, in mergekit's own environment; prints what it took as JSON.

    python mergekit_run.py CONFIG.yml OUT

Importing mergekit (and with it torch and transformers) takes seconds and is not counted.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path


def main() -> None:
    """Merge as `mergekit-yaml CONFIG OUT` does by default, with the seed 0."""
    import torch
    import yaml
    from mergekit.config import MergeConfiguration
    from mergekit.merge import run_merge
    from mergekit.options import MergeOptions

    config, out = sys.argv[1:]
    text = Path(config).read_text(encoding="utf-8")
    options = MergeOptions(random_seed=0, quiet=True, copy_tokenizer=False)
    options.apply_global_options()
    start = time.perf_counter()
    run_merge(MergeConfiguration.model_validate(yaml.safe_load(text)), out, options, text)
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "threads": torch.get_num_threads()}))


if __name__ == "__main__":
    main()
