"""Models of the Hugging Face hub by their ids, downloaded by ``huggingface_hub``."""

from __future__ import annotations

import os
import re

from . import _ffi
from ._errors import Error, from_status

_ID = re.compile(r"(?P<id>(?P<owner>[\w.-]+)/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")
# The weights and what a merged folder takes along: of several formats of the same weights one.
_WANTED = [
    "*.safetensors", "*.json", "*.jinja", "*.model", "*.tiktoken", "*.txt", "*.py", "*.md",
    "LICENSE*",
]  # fmt: skip


def is_id(path: str) -> bool:
    """Whether a path that leads nowhere reads like ``owner/name``, with no such owner's folder."""
    parts = _ID.fullmatch(os.fsdecode(path))
    return parts is not None and not os.path.exists(parts["owner"])


def snapshot(path: str, missing: Error) -> str:
    """The folder of a model of the hub, downloaded where it is not on this machine yet.

    Where the files lie, tokens, and whether the hub may be asked at all are up to
    ``huggingface_hub`` and its environment variables (``HF_HOME``, ``HF_TOKEN``,
    ``HF_HUB_OFFLINE``).

    Parameters
    ----------
    path : str
        ``owner/name`` or ``owner/name@revision``, a branch, tag or commit.
    missing : Error
        What was raised for it as a path.

    Raises
    ------
    InputOutputError
        Where ``huggingface_hub`` is not installed, or does not get the model.
    """
    parts = _ID.fullmatch(os.fsdecode(path))
    if parts is None:
        raise missing
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise from_status(
            missing.code,
            f"{missing} If {parts['id']} is a model of the Hugging Face hub, "
            "pip install 'dfmerge[hf]' lets dfmerge download it; or pass the folder that "
            "huggingface_hub.snapshot_download returns.",
        ) from None
    try:
        return str(
            snapshot_download(
                parts["id"],
                revision=parts["revision"],
                allow_patterns=_WANTED,
                ignore_patterns=["*/*"],
            )
        )
    except Exception as error:
        raise from_status(
            _ffi.DFM_ERROR_FILE_NOT_FOUND,
            f"There is no file or folder {os.fsdecode(path)}, and huggingface_hub could not get "
            f"the model {parts['id']}: {type(error).__name__}: {error}. Correct the path or the "
            "id, or download the model where that works and pass its folder.",
        ) from error
