"""Results of merges as bytes, for tests that compare them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from conftest import torch

Arrays = dict[str, np.ndarray[Any, Any]]


def stored_bytes(path: Path) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    """Dtype, shape and bytes of every tensor of a file, or of all files of a folder.

    Reads the format itself, so that nothing of the library stands between the test and the file.
    """
    files = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
    found: dict[str, tuple[str, tuple[int, ...], bytes]] = {}
    for file in files:
        data = file.read_bytes()
        start = 8 + int.from_bytes(data[:8], "little")
        for name, entry in json.loads(data[8:start]).items():
            if name != "__metadata__":
                low, high = (start + offset for offset in entry["data_offsets"])
                assert name not in found
                found[name] = (entry["dtype"], tuple(entry["shape"]), data[low:high])
    return found


def array_bytes(arrays: Mapping[str, Any]) -> dict[str, bytes]:
    """The bytes of every numpy array or torch tensor."""
    found = {}
    for name, array in arrays.items():
        if torch and isinstance(array, torch.Tensor):
            array = array.reshape(-1).view(torch.uint8).numpy()
        found[name] = array.tobytes()
    return found
