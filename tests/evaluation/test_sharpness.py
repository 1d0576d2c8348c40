from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest
from skimage import data

from countenance.errors import BadValue
from countenance.evaluation.metrics.sharpness import cpbd

PICTURES = {
    "astronaut": data.astronaut(),
    "face": data.astronaut()[:256, 96:352],
    "rest at the right and bottom": data.astronaut()[7:207, 100:331],
    "camera": np.repeat(data.camera()[..., None], 3, axis=2),
}


def _blurred(picture: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(picture, (0, 0), sigma) if sigma else picture


def _edge(dark: int, bright: int, *ramp: int) -> np.ndarray:
    """64 x 64: dark left of a ramp of the given levels, bright right of it."""
    row = np.full(64, dark)
    row[30 : 30 + len(ramp)] = ramp
    row[30 + len(ramp) :] = bright
    return np.tile(row[None, :, None], (64, 1, 3)).astype(np.uint8)


# From the package cpbd 1.0.7 (compute), on pictures made grey by Pillow's convert("L"). Its import is broken since
# SciPy 1.2; scipy.ndimage.imread, which compute does not use, was set to None before. scikit-image 0.26.0, NumPy 2.4.6.
@pytest.mark.parametrize(
    ("name", "sigma", "expected"),
    [
        ("astronaut", 0, 0.38368206916594016),
        ("astronaut", 1, 0.12453084399961505),
        ("astronaut", 2, 0.007119921820466285),
        ("face", 0, 0.4947038054138878),
        ("face", 0.6, 0.28808243727598565),
        ("face", 1.5, 0.0504983388704319),
        ("rest at the right and bottom", 0, 0.4772972972972973),
        ("rest at the right and bottom", 1, 0.0840064620355412),
        ("camera", 0, 0.7481657466284677),
        ("camera", 1, 0.3443747781852597),
        ("camera", 3, 0.006510416666666667),
    ],
)
def test_agrees_with_the_package_cpbd(name: str, sigma: float, expected: float) -> None:
    assert cpbd(_blurred(PICTURES[name], sigma)) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", PICTURES)
def test_blur_lowers_it_every_time(name: str) -> None:
    scores = [cpbd(_blurred(PICTURES[name], sigma)) for sigma in (0, 0.5, 0.8, 1.2, 1.6, 2)]
    assert all(more > less for more, less in pairwise(scores))
    assert 0 <= scores[-1] < 0.05 < scores[0] <= 1


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        pytest.param(_edge(20, 200, 110), 1, id="2 px wide: sharp"),
        pytest.param(_edge(20, 200, 50, 110, 170), 0, id="4 px wide, high contrast: seen"),
        pytest.param(_edge(100, 140, 107, 120, 133), 1, id="4 px wide, low contrast: not seen"),
        pytest.param(_edge(100, 140, 102, 107, 120, 133, 138), 0, id="6 px wide, low contrast: seen"),
    ],
)
def test_an_edge_is_sharp_up_to_the_noticeable_width(picture: np.ndarray, expected: float) -> None:
    assert cpbd(picture) == expected
    assert cpbd(np.ascontiguousarray(picture[:, ::-1])) == expected


def test_the_share_counts_edges_of_all_blocks() -> None:
    sharp, soft = _edge(20, 200, 110), _edge(20, 200, 50, 110, 170)
    assert cpbd(np.vstack([sharp, sharp, soft])) == pytest.approx(2 / 3, abs=0.02)


def test_a_picture_without_edges_has_0() -> None:
    assert cpbd(np.full((128, 128, 3), 77, np.uint8)) == 0
    assert cpbd(_edge(40, 40)) == 0


def test_a_picture_smaller_than_a_block_is_refused() -> None:
    with pytest.raises(BadValue, match="64 x 64 px or more, not 100 x 63"):
        cpbd(np.zeros((63, 100, 3), np.uint8))
