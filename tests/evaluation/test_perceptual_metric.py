from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm
from skimage import data

from countenance.errors import BadValue
from countenance.evaluation.metrics.perceptual import features_lite0, frechet_lite0, perceptual_lite0


def test_the_perceptual_distance_prefers_the_likeness() -> None:
    portrait = data.astronaut()[:256, 96:352]
    shifted, other = np.roll(portrait, 2, 1), data.chelsea()[:256, 96:352]
    assert perceptual_lite0(portrait, portrait) == 0
    assert 0 < perceptual_lite0(shifted, portrait) < perceptual_lite0(other, portrait)
    assert features_lite0(portrait).shape == (1280,)


def test_the_frechet_distance_is_the_closed_form() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(400, 6)) * 2 + 1, rng.normal(size=(300, 6)) @ rng.normal(size=(6, 6))
    s1, s2 = np.cov(first.T), np.cov(second.T)
    gap = first.mean(0) - second.mean(0)
    expected = gap @ gap + np.trace(s1 + s2 - 2 * sqrtm(s1 @ s2).real)
    assert frechet_lite0(first, second) == pytest.approx(expected, rel=1e-4)
    assert frechet_lite0(first, first) == pytest.approx(0, abs=1e-6)


def test_one_picture_is_no_set() -> None:
    with pytest.raises(BadValue, match="at least 2"):
        frechet_lite0(np.zeros((1, 4)), np.zeros((3, 4)))
