"""Where the time goes: code names its stages, and whoever wants to know listens. Costs nothing noticeable otherwise."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

_listening: dict[str, float] | None = None


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Add the time of a ``with`` block to a stage; stages must not contain each other."""
    if _listening is None:
        yield
        return
    start = time.perf_counter()
    try:
        yield
    finally:
        if _listening is not None:
            _listening[name] = _listening.get(name, 0.0) + time.perf_counter() - start


@contextmanager
def stages() -> Iterator[dict[str, float]]:
    """Listen: stage name -> seconds, filled while the ``with`` block runs. One listener at a time."""
    global _listening
    _listening = {}
    try:
        yield _listening
    finally:
        _listening = None
