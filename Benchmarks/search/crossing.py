"""When one regret curve is where another one ends."""

from __future__ import annotations

import numpy as np


def needed(curve: np.ndarray, regret: float) -> float:
    """Evaluations after which a curve that only falls is at a regret, interpolated between two of
    them; all of them where it does not come to that."""
    reached = int(np.argmax(curve <= regret))
    if curve[reached] > regret:
        return float(len(curve))
    if reached == 0:
        return 1.0
    before, after = curve[reached - 1], curve[reached]
    return reached + float((before - regret) / (before - after))
