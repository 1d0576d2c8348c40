"""Stages and their listener."""

from __future__ import annotations

import time

import pytest

from countenance.timing import stage, stages


def test_stages_add_up_while_somebody_listens() -> None:
    with stage("unheard"):
        pass
    with stages() as spent:
        for _ in range(2):
            with stage("a"):
                time.sleep(0.002)
        with pytest.raises(KeyError), stage("b"):
            raise KeyError
    assert set(spent) == {"a", "b"}
    assert spent["a"] >= 0.004
    before = dict(spent)
    with stage("a"):
        pass
    assert spent == before
