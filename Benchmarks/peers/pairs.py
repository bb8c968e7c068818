"""All pairs."""

from __future__ import annotations

import fusion_pairs
import mergekit_pairs
import peft_pairs

PAIRS = [*mergekit_pairs.PAIRS, *fusion_pairs.PAIRS, *peft_pairs.PAIRS]
