"""Fixtures of tests that download."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from websites import Site, served


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A web site on this machine; nothing is waited for between tries."""
    monkeypatch.setattr("pooch.core.time.sleep", lambda _: None)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with served() as found:
        yield found
