"""When frames are shown: rates counted from stamps, gaps and leaps closed up, frames sampled at even moments."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Final, TypeVar

from countenance.ranges import FRAME_RATE

T = TypeVar("T")

LONGEST_GAP_S: Final = 10.0
"""Between two frames; what is longer is taken for a wrong stamp, or for nobody's film, and closed up to this."""

_STANDARD: Final = (
    *(24000 / 1001, 24.0, 25.0, 30000 / 1001, 30.0, 48.0, 50.0, 60000 / 1001, 60.0, 120.0, 240.0),
)
_SNAP: Final = 0.01  # a counted rate this near to a standard one is that one
_BACK_STEPS: Final = 2  # stamps that run back by less are late, by more begin anew


class Clock:
    """Seconds since the first frame, never running back, from stamps that may be missing, leap or begin anew.

    Args:
        step_s: between two frames where stamps don't say.

    Attributes:
        longest_gap_s: the longest that was closed up, or 0.
    """

    def __init__(self, step_s: float) -> None:
        self.longest_gap_s = 0.0
        self._step_s = step_s
        self._last: float | None = None
        self._shift: float | None = None

    def moment(self, stamp_s: float | None) -> float:
        """The time of the next frame."""
        last, due = self._last, 0.0 if self._last is None else self._last + self._step_s
        if stamp_s is None or not math.isfinite(stamp_s):
            now = due
        else:
            if self._shift is None:
                self._shift = due - stamp_s
            now = stamp_s + self._shift
            if last is not None and not last - _BACK_STEPS * self._step_s <= now <= last + LONGEST_GAP_S:
                self.longest_gap_s = max(self.longest_gap_s, now - last)
                now = last + LONGEST_GAP_S if now > last else due
                self._shift = now - stamp_s
        self._last = now if last is None else max(last, now)
        return self._last


def counted_rate(stamps_s: Iterable[float]) -> float | None:
    """Frames a second, counted from their stamps in any order; gaps are left out.

    Returns:
        A standard rate if one is within a percent; None if fewer than two moments tell, or the rate is none that a
        film has (:data:`countenance.ranges.FRAME_RATE`).
    """
    steps = [after - before for before, after in pairwise(sorted(stamps_s))]
    usual = [step for step in steps if 0 < step <= LONGEST_GAP_S]
    if not usual:
        return None
    rate = len(usual) / sum(usual)
    rate = standard_rate(rate, _SNAP) or rate
    return rate if FRAME_RATE.holds(rate) else None


def standard_rate(rate: float, share: float) -> float | None:
    """The standard rate nearest to ``rate``, if they differ by no more than a share of it."""
    standard = min(_STANDARD, key=lambda candidate: abs(candidate - rate))
    return standard if abs(standard - rate) <= share * standard else None


def nearest(timed: Iterator[tuple[float, T]], rate: float, source_rate: float) -> Iterator[T]:
    """For each moment i / rate the item nearest in time, until the last item's time is over."""
    index, before = 0, None
    for moment, item in timed:
        if before is not None:
            while index / rate <= (before[0] + moment) / 2:
                yield before[1]
                index += 1
        before = (moment, item)
    if before is not None:
        while index / rate < before[0] + 0.5 / source_rate or index == 0:
            yield before[1]
            index += 1


def held(timed: Iterable[tuple[float, T]], rate: float) -> Iterator[T]:
    """For each moment i / rate the item that is shown then.

    Args:
        timed: how many seconds each item is shown, and the item.
        rate: moments a second.
    """
    index, end = 0, 0.0
    for seconds, item in timed:
        end += seconds
        while index / rate < end - 1e-6 or index == 0:
            yield item
            index += 1
