from __future__ import annotations

import numpy as np
import pytest

from countenance.motion.spaces import ARKIT, BFM
from countenance.speech.curves import curve_sheet


@pytest.mark.parametrize("space", [ARKIT, BFM], ids=lambda space: space.name)
def test_both_curves_are_drawn(space: object) -> None:
    truth = np.random.default_rng(0).random((2, 30, 52)).astype(np.float32)
    sheet = curve_sheet(space, truth, 1 - truth)  # type: ignore[arg-type]
    assert sheet.shape == (2 * 96, 6 * 480, 3)
    assert sheet.dtype == np.uint8
    red = (sheet[..., 0].astype(int) - sheet[..., 2] > 100).any(0)
    dark = (sheet.max(2) < 120).any(0)
    assert red.mean() > 0.9
    assert dark.mean() > 0.9


def test_curves_without_movement_and_of_one_frame() -> None:
    flat = np.zeros((1, 1, 52), np.float32)
    assert curve_sheet(ARKIT, flat, flat).shape == (96, 6 * 480, 3)
    assert curve_sheet(ARKIT, flat.repeat(9, 1), flat.repeat(9, 1)).min() < 255
