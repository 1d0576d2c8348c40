"""Two things at once: while one item is used, the next is made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def prefetched(items: Iterable[T]) -> Iterator[T]:
    """The same items in the same order, each made in a thread while its predecessor is used.

    Worth it where the work on both sides leaves Python for long (OpenCV, OpenVINO, the rasterizer, an encoder).

    Args:
        items: taken by one thread, at most one ahead; the first one only when it is asked for.

    Raises:
        Exception: what ``items`` raises, in its place.
    """
    iterator = iter(items)
    with ThreadPoolExecutor(1, "prefetch") as pool:
        coming: Future[tuple[T, ...]] = pool.submit(_next, iterator)
        try:
            while item := coming.result():
                coming = pool.submit(_next, iterator)
                yield item[0]
        finally:  # stopped early, perhaps: whatever is being made is finished, and nothing more
            coming.cancel()
            pool.shutdown()
            if close := getattr(iterator, "close", None):
                close()


def _next(iterator: Iterator[T]) -> tuple[T, ...]:
    """The next item, or nothing; a StopIteration would not survive its way through a generator."""
    for item in iterator:
        return (item,)
    return ()
