"""The text tasks: tokenised splits, batches, frozen label anchors, accuracy.

A text's class is the label description whose embedding is nearest: logits = 20 z A^T, with z
[B, D] the texts' embeddings and A [K, D] the anchors, which the *pretrained* encoder gives once.
So the tasks need no heads and the whole model is merged.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch
from model import SentenceEncoder, pretrained_folder
from tokenizers import Encoding, Tokenizer
from torch import Tensor

SPLITS = ("train", "val", "test")
LOGIT_SCALE = 20.0
MAX_TOKENS = 48
# Padded tokens of one evaluation batch: its activations stay in a core's cache, and little of it
# is padding. Measured, one evaluation: 5.2 s, against 6.5 s with 3,072 tokens.
BATCH_TOKENS = 512


class Row(NamedTuple):
    """One tokenised text."""

    ids: list[int]
    types: list[int]
    label: int


class Batch(NamedTuple):
    """Padded texts: ids, mask, types [B, T] and labels [B]."""

    ids: Tensor
    mask: Tensor
    types: Tensor
    labels: Tensor


@dataclass
class Task:
    """One task's splits and label anchors [K, D]."""

    name: str
    rows: dict[str, list[Row]]
    anchors: Tensor
    fingerprint: str
    _batches: dict[str, list[Batch]] = field(default_factory=dict)

    def batches(self, split: str) -> list[Batch]:
        """The split's evaluation batches, collated once."""
        if split not in self._batches:
            self._batches[split] = list(length_sorted(self.rows[split]))
        return self._batches[split]

    def logits(self, module: SentenceEncoder, batch: Batch) -> Tensor:
        """Return the logits [B, K] of a batch."""
        return self.logits_of(module(batch.ids, batch.mask, batch.types))

    def logits_of(self, z: Tensor) -> Tensor:
        """Return the logits [B, K] of embeddings [B, D]."""
        return LOGIT_SCALE * z.float() @ self.anchors.T

    @torch.inference_mode()
    def accuracy(self, module: SentenceEncoder, split: str) -> float:
        """Share of the split's texts whose nearest label is their own."""
        right = sum(
            int(self.logits(module, batch).argmax(1).eq(batch.labels).sum())
            for batch in self.batches(split)
        )
        return right / len(self.rows[split])


def scores(module: SentenceEncoder, tasks: dict[str, Task], split: str) -> dict[str, float]:
    """Accuracy per task on a split."""
    return {name: task.accuracy(module, split) for name, task in tasks.items()}


def collate(rows: Iterable[Row]) -> Batch:
    """Pad rows with token 0 to the longest."""
    rows = list(rows)
    shape = (len(rows), max(len(row.ids) for row in rows))
    ids, mask, types = (torch.zeros(shape, dtype=torch.long) for _ in range(3))
    for i, row in enumerate(rows):
        length = len(row.ids)
        ids[i, :length] = torch.tensor(row.ids)
        types[i, :length] = torch.tensor(row.types)
        mask[i, :length] = 1
    return Batch(ids, mask, types, torch.tensor([row.label for row in rows]))


def length_sorted(rows: Iterable[Row], tokens: int = BATCH_TOKENS) -> Iterator[Batch]:
    """Batches of about `tokens` padded tokens, short texts first."""
    current: list[Row] = []
    for row in sorted(rows, key=lambda row: len(row.ids)):
        if current and len(row.ids) * (len(current) + 1) > tokens:
            yield collate(current)
            current = []
        current.append(row)
    if current:
        yield collate(current)


def load_tasks(folder: Path, pretrained: SentenceEncoder) -> dict[str, Task]:
    """Read tasks.json and the tab-separated splits beside it."""
    index = folder / "tasks.json"
    if not index.is_file():
        raise SystemExit(f"{index} does not exist; pass the folder of the text tasks with --data")
    tokenizer = Tokenizer.from_file(str(pretrained_folder() / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    tasks: dict[str, Task] = {}
    for name, entry in json.loads(index.read_text(encoding="utf-8")).items():
        anchors = _rows(tokenizer.encode_batch(entry["labels"]), [0] * len(entry["labels"]))
        batch = collate(anchors)
        with torch.no_grad():
            z = pretrained(batch.ids, batch.mask, batch.types)
        tasks[name] = Task(
            name,
            {split: _read(folder / f"{name}.{split}.tsv", tokenizer) for split in SPLITS},
            z,
            hashlib.sha256((folder / f"{name}.train.tsv").read_bytes()).hexdigest(),
        )
    return tasks


def _read(path: Path, tokenizer: Tokenizer) -> list[Row]:
    """Lines of: label index, text and, for pairs, a second text."""
    texts: list[str | tuple[str, str]] = []
    labels: list[int] = []
    # Not splitlines(): texts may hold other line separators.
    for line in path.read_text(encoding="utf-8").rstrip("\n").split("\n"):
        label, *parts = line.split("\t")
        texts.append((parts[0], parts[1]) if len(parts) > 1 else parts[0])
        labels.append(int(label))
    return _rows(tokenizer.encode_batch(texts), labels)


def _rows(encodings: list[Encoding], labels: list[int]) -> list[Row]:
    return [
        Row(encoding.ids, encoding.type_ids, label)
        for encoding, label in zip(encodings, labels, strict=True)
    ]
