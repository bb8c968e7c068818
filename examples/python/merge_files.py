"""Merge checkpoints from files to files: look at the plan, then carry it out.

    python examples/python/merge_files.py [folder]

makes a base and two fine-tunes of a few thousand parameters in the folder (build/merge-files), as
Hugging Face folders. With your own, everything before the plan goes away.
"""

import json
import sys
from pathlib import Path

import numpy as np

import dfmerge

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "build/merge-files")
shapes = {"embed.weight": (100, 32), "layer.weight": (32, 32), "head.weight": (100, 32)}
rng = np.random.default_rng(0)
base = {name: rng.standard_normal(shape, np.float32) for name, shape in shapes.items()}
for name in ("base", "maths", "code"):
    moved = {
        key: value + np.float32(0.1) * rng.standard_normal(value.shape, np.float32)
        for key, value in base.items()
    }
    dfmerge.save(base if name == "base" else moved, folder / name)
    (folder / name / "config.json").write_text(json.dumps({"model_type": "example"}))

merge = {
    "base": folder / "base",
    "models": {"maths": folder / "maths", "code": folder / "code"},
    "method": "ties",
    # What every model has in common is a number, what each has of its own goes by its name.
    "options": {"density": 0.5, "weights": {"maths": 1.0, "code": 0.5}},
    "out": folder / "merged",
    "dtype": "BF16",
    "max_memory": "200MB",
}
plan = dfmerge.plan(**merge)
print(plan)
if not plan["possible"]:
    sys.exit("nothing was written")  # the plan says why, and what can be done about it

report = dfmerge.merge(**merge)
print(f"rounding to BF16 changed the weights by {report['rounding_error']:.2%}")
for path in sorted((folder / "merged").iterdir()):
    print(path)
