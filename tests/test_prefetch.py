"""One ahead, in order, and nothing left behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from countenance.prefetch import prefetched


def numbers(made: list[int], closed: list[bool], stop: int = 10) -> Iterator[int]:
    try:
        for i in range(stop):
            made.append(i)
            yield i
    finally:
        closed.append(True)


def threads() -> int:
    return sum(thread.name.startswith("prefetch") for thread in threading.enumerate())


def test_the_same_items_in_the_same_order_never_more_than_one_ahead() -> None:
    made: list[int] = []
    taken, before = [], threads()
    for item in prefetched(numbers(made, [])):
        taken.append(item)
        assert len(made) <= len(taken) + 1
    assert taken == made == list(range(10))
    assert threads() == before


def test_nothing_is_made_before_it_is_asked_for() -> None:
    made: list[int] = []
    items = prefetched(numbers(made, []))
    assert made == []
    assert next(items) == 0


def test_the_next_is_made_while_one_is_used() -> None:
    going_on = threading.Event()

    def source() -> Iterator[int]:
        yield 0
        going_on.set()
        yield 1

    items = prefetched(source())
    next(items)
    assert going_on.wait(10)


def test_falsy_items_and_none_at_all() -> None:
    assert list(prefetched([0, None, (), ""])) == [0, None, (), ""]
    assert list(prefetched([])) == []


def test_an_error_comes_in_its_place() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    before = threads()
    items = prefetched(source())
    assert next(items) == 1
    with pytest.raises(ValueError, match="broken"):
        next(items)
    assert threads() == before


def test_whoever_stops_early_leaves_no_thread_and_closes_the_source() -> None:
    made: list[int] = []
    closed: list[bool] = []
    before = threads()
    items = prefetched(numbers(made, closed))
    next(items)
    items.close()  # type: ignore[attr-defined]
    assert closed == [True]
    assert len(made) <= 2
    assert threads() == before
