"""Progress on the terminal."""

from __future__ import annotations

import math
import sys
from typing import Any


def _new_bar(shown: bool, **settings: Any) -> Any:
    """A tqdm bar, or None where nobody would see it or tqdm is not installed."""
    # tqdm's import takes 60 ms and swallows what handlers of signals raise meanwhile: only where
    # somebody watches. A notebook shows widgets though its standard error is no terminal.
    has_terminal = sys.stderr is not None and sys.stderr.isatty()
    if not shown or not (has_terminal or "ipykernel" in sys.modules):
        return None
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return None
    # disable=None: silent where the output turns out to be no terminal.
    return tqdm(disable=None, **settings)


class Progress:
    """A tqdm bar over trials, where tqdm is installed and the output is a terminal."""

    def __init__(self, shown: bool, total: int, title: str = "DF-Merge") -> None:
        self._bar = _new_bar(shown, total=total, unit="trial", desc=title)
        self._moved = False

    @property
    def is_shown(self) -> bool:
        """Whether somebody sees the bar."""
        return self._bar is not None and not self._bar.disable

    def update(self, phase: str, done: int, best: float) -> None:
        """Show one step."""
        if self._bar is None:
            return
        if phase == "trial":
            if not self._moved:
                # What a journal brought along took no time: the rate is that of this run.
                self._bar.initial = done - 1
            self._moved = True
            self._bar.n = done
            if not math.isnan(best):
                self._bar.set_postfix(best=f"{best:.4f}", refresh=False)
        elif phase == "fisher":
            self._bar.set_postfix(fisher=done, refresh=False)
        self._bar.refresh()

    def close(self) -> None:
        """Leave the bar as it is, or remove it where no trial was made."""
        if self._bar is not None:
            self._bar.leave = self._moved
            self._bar.close()


class BytesBar:
    """A tqdm bar over the bytes of a merge, where tqdm is installed and there is a terminal."""

    def __init__(self, shown: bool) -> None:
        self._bar = _new_bar(shown, unit="B", unit_scale=True, desc="merging")
        if self._bar is not None and self._bar.disable:
            self._bar = None

    def update(self, done: int, total: int) -> None:
        """Show how far the merge is; tqdm decides when to draw."""
        if self._bar is None:
            return
        self._bar.total = total
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()
