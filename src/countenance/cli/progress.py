"""Progress bars, on standard error and only for a person at a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")


def bar(items: Iterable[T], label: str, total: int | None) -> Iterable[T]:
    """Show how far a long step has come.

    Args:
        items: what is worked on.
        label: says what is done.
        total: how many, if known.
    """
    if not sys.stderr.isatty():
        return items
    from rich.console import Console
    from rich.progress import track

    return track(items, label, total=total, console=Console(stderr=True), transient=True)


def enrolling(step: int, steps: int, loss: float) -> None:
    """One line that is written over again, for a person at a terminal: how far an avatar is."""
    if sys.stderr.isatty():
        line = f"enrolling: step {step} of {steps}, loss {loss:.3f}"
        print(f"\r{line}\033[K", end="\n" if step == steps else "", file=sys.stderr, flush=True)


def say(line: str) -> None:
    """One line for the person, beside the result."""
    print(line, file=sys.stderr)
