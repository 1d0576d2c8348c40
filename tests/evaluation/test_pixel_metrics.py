from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pytorch_msssim import ms_ssim as reference_ms_ssim
from skimage import data

from countenance.errors import BadValue
from countenance.evaluation.metrics.pixels import l1, ms_ssim

FACE = data.astronaut()[:256, 96:352]


def _noisy(picture: np.ndarray, sigma: float) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, sigma, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def _reference(picture: np.ndarray, truth: np.ndarray) -> float:
    first, second = (torch.tensor(p).permute(2, 0, 1)[None].double() for p in (picture, truth))
    return float(reference_ms_ssim(first, second, data_range=255))


def test_l1_of_a_hand_made_picture() -> None:
    truth = np.zeros((2, 2, 3), np.uint8)
    picture = truth.copy()
    picture[0, 0] = (255, 51, 0)
    assert l1(picture, truth) == pytest.approx((1 + 0.2) / 12, abs=1e-12)
    assert l1(truth, picture) == l1(picture, truth)
    assert l1(picture, picture) == 0
    assert l1(np.full_like(truth, 255), truth) == 1


@given(st.integers(-100, 100))
def test_a_cast_changes_l1_by_exactly_that(cast: int) -> None:
    truth = np.clip(FACE, 100, 155)
    assert l1((truth.astype(int) + cast).astype(np.uint8), truth) == pytest.approx(abs(cast) / 255, abs=1e-12)


@pytest.mark.parametrize(
    "altered",
    [
        pytest.param(lambda p: cv2.GaussianBlur(p, (0, 0), 2), id="blurred"),
        pytest.param(lambda p: _noisy(p, 25), id="noisy"),
        pytest.param(lambda p: (p // 2 + 60).astype(np.uint8), id="flat"),
        pytest.param(lambda p: np.roll(p, 5, 1), id="shifted"),
        pytest.param(lambda p: 255 - p, id="negative"),
        pytest.param(lambda p: np.ascontiguousarray(p[::-1]), id="upside down"),
    ],
)
@pytest.mark.parametrize(
    "truth",
    [
        pytest.param(FACE, id="256x256"),
        pytest.param(data.chelsea(), id="odd sides"),
        pytest.param(FACE[40:201, 10:187], id="smallest"),
    ],
)
def test_ms_ssim_agrees_with_pytorch_msssim(truth: np.ndarray, altered) -> None:
    # the package's window is rounded to float32: 2e-6
    assert ms_ssim(altered(truth), truth) == pytest.approx(_reference(altered(truth), truth), abs=1e-5)


def test_ms_ssim_of_equal_and_of_opposite_pictures() -> None:
    assert ms_ssim(FACE, FACE) == pytest.approx(1, abs=1e-12)
    noise = np.random.default_rng(0).integers(0, 256, FACE.shape, dtype=np.uint8)
    assert ms_ssim(255 - noise, noise) == 0  # the mean contrast term is below 0, and counts as 0


def test_ms_ssim_falls_with_noise_and_does_not_care_which_comes_first() -> None:
    scores = [ms_ssim(_noisy(FACE, sigma), FACE) for sigma in (2, 8, 20, 50)]
    assert scores == sorted(scores, reverse=True)
    assert ms_ssim(FACE, _noisy(FACE, 20)) == pytest.approx(scores[2], abs=1e-12)


def test_ms_ssim_refuses_pictures_that_its_window_does_not_fit() -> None:
    ms_ssim(FACE[:161, :161], FACE[:161, :161])
    with pytest.raises(BadValue, match="161 x 161 px or more, not 256 x 160"):
        ms_ssim(FACE[:160], FACE[:160])


@pytest.mark.parametrize("metric", [l1, ms_ssim])
def test_pictures_of_two_sizes_are_refused(metric) -> None:
    with pytest.raises(BadValue, match="resize"):
        metric(FACE, FACE[:-1])
