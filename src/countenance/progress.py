"""How far a long step has come: what functions that take long accept, and the display that shows nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias, TypeVar

T = TypeVar("T")
Progress: TypeAlias = Callable[[Iterable[T], str, int | None], Iterable[T]]
"""Wraps an iterable, given a label and the expected number of items (or None), and yields the same items."""


def silent(items: Iterable[T], label: str, total: int | None) -> Iterable[T]:
    """No progress display."""
    return items
