"""The figure of benchmarks/enrolling.py: how much of a movement is there."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.fixture(scope="module")
def bench() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "benchmarks"))
        yield importlib.import_module("enrolling")


def test_gain_is_the_share_of_a_movement(bench: Any) -> None:
    wanted = np.random.default_rng(0).random(50)
    assert bench.gain(0.3 * wanted + 2, wanted, 0.03) == pytest.approx(0.3)
    assert bench.gain(np.full(50, 0.4), wanted, 0.03) == pytest.approx(0)
    lost = np.where(wanted > 0.8, np.nan, 0.3 * wanted)
    assert bench.gain(lost, wanted, 0.03) == pytest.approx(0.3)


def test_a_still_clip_says_nothing(bench: Any) -> None:
    assert np.isnan(bench.gain(np.arange(50.0), 0.01 * np.sin(np.arange(50)), 0.03))
    assert np.isnan(bench.gain(np.full(50, np.nan), np.arange(50.0), 0.03))
    assert np.isnan(bench.gain(np.arange(2.0), np.arange(2.0), 0.03))


def test_every_variant_leaves_something_out(bench: Any) -> None:
    whole, *others = bench.VARIANTS.values()
    assert whole == (bench.ours(), True)
    assert all(other != whole for other in others)
    assert len(set(bench.VARIANTS.values())) == len(bench.VARIANTS)
