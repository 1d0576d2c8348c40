"""How far a long step is, on standard error: a bar for a person at a terminal, else a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
_FIRST_S, _EVERY_S = (
    10.0,
    30.0,
)  # when the first line is written, where there is no terminal, and the next ones


def bar(items: Iterable[T], label: str, total: int | None) -> Iterable[T]:
    """Show how far a long step has come, and how long it will still take.

    Args:
        items: what is worked on.
        label: says what is done.
        total: how many, if known.
    """
    if not sys.stderr.isatty():
        return _told(items, label, total)
    from rich.console import Console
    from rich.progress import track

    return track(items, label, total=total, console=Console(stderr=True), transient=True)


def _told(items: Iterable[T], label: str, total: int | None) -> Iterator[T]:
    """The same items; a line is written now and then."""
    lines = _Lines(label)
    for done, item in enumerate(items):
        lines.at(done, total)
        yield item


class _Lines:
    """Lines of one step, for a log."""

    def __init__(self, label: str) -> None:
        self._label, self._start = label, time.monotonic()
        self._due = self._start + _FIRST_S

    def at(self, done: int, total: int | None) -> None:
        """So many are done; writes a line if one is due."""
        now = time.monotonic()
        if now < self._due or done == 0:
            return
        self._due = now + _EVERY_S
        if total is None or done > total:
            say(f"{self._label}: {done}")
            return
        left_s = (now - self._start) / done * (total - done)
        say(f"{self._label}: {done} of {total}, {duration(left_s)} left")


def duration(seconds: float) -> str:
    """``45 s``, ``3 min``, ``2.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class Enrolling:
    """How far an avatar is: one line that is written over again, or lines of a log."""

    def __init__(self) -> None:
        self._lines: _Lines | None = None

    def __call__(self, step: int, steps: int, loss: float) -> None:
        """One more step of so many is done, with this loss."""
        if sys.stderr.isatty():
            line = f"enrolling: step {step} of {steps}, loss {loss:.3f}"
            print(f"\r{line}\033[K", end="\n" if step == steps else "", file=sys.stderr, flush=True)
            return
        if self._lines is None or step <= 1:
            self._lines = _Lines("enrolling, step")
        self._lines.at(step, steps)


def say(line: str) -> None:
    """One line for the person, beside the result."""
    print(line, file=sys.stderr, flush=True)
