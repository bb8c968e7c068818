"""Which of this process's memory may be written, by Linux's own account."""

from __future__ import annotations

import bisect


class ReadOnlyMemory:
    """The ranges that may not be written now; none where the system does not say."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        try:
            with open("/proc/self/maps", "rb") as maps:
                for line in maps:
                    span, access = line.split(maxsplit=2)[:2]
                    if access[1:2] != b"w":
                        start, end = (int(bound, 16) for bound in span.split(b"-"))
                        self._starts.append(start)
                        self._ends.append(end)
        except OSError:
            pass

    def touches(self, address: int, nbytes: int) -> bool:
        """Whether any of these bytes may not be written; the kernel lists ranges in order."""
        after = bisect.bisect_left(self._starts, address + nbytes)
        return nbytes > 0 and after > 0 and self._ends[after - 1] > address
