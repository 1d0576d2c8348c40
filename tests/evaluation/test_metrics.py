from __future__ import annotations

import numpy as np
import pytest
from skimage import data
from skimage.metrics import peak_signal_noise_ratio

from countenance.errors import BadValue
from countenance.evaluation.metrics.identity import face_embedding, identity_cosine_dlib
from countenance.evaluation.metrics.motion import (
    expression_error_arkit,
    landmark_distance_percent,
    pose_error_deg,
)
from countenance.evaluation.metrics.pixels import psnr, ssim
from countenance.motion.spaces import ARKIT


def test_psnr_agrees_with_scikit_image_and_knows_equal_pictures() -> None:
    picture = data.astronaut()
    noisy = np.clip(picture + np.random.default_rng(0).normal(0, 9, picture.shape), 0, 255).astype(np.uint8)
    assert psnr(noisy, picture) == pytest.approx(peak_signal_noise_ratio(picture, noisy), abs=1e-6)
    assert psnr(picture, picture) == float("inf")
    assert ssim(picture, picture) == pytest.approx(1)
    assert ssim(noisy, picture) < 0.9


def test_pictures_of_two_sizes_are_refused() -> None:
    with pytest.raises(BadValue, match="resize"):
        psnr(data.astronaut(), data.astronaut()[:-1])


def test_pose_error_is_the_angle_between_rotations() -> None:
    truth, turned = np.zeros((2, ARKIT.size)), np.zeros((2, ARKIT.size))
    turned[:, ARKIT.index("yaw")] = np.radians(10)
    turned[1, ARKIT.index("jawOpen")] = 0.52
    assert pose_error_deg(turned, truth) == pytest.approx(10, abs=1e-5)
    assert expression_error_arkit(turned, truth) == pytest.approx(0.005)


def test_landmark_distance_counts_in_face_heights() -> None:
    truth = np.array([[0.0, 0.0], [0.0, 200.0], [50.0, 100.0]])
    assert landmark_distance_percent(truth + np.array([6, 8]), truth) == pytest.approx(5)


def test_identity_prefers_the_same_person() -> None:
    picture, box = data.astronaut(), np.array([177, 70, 270, 190], np.float32)
    own = face_embedding(picture, box)
    brighter = np.clip(picture * 1.15, 0, 255).astype(np.uint8)
    blotted = picture.copy()
    blotted[110:190, 180:270] = blotted[110:190, 180:270][::-1]
    same = identity_cosine_dlib(face_embedding(brighter, box), own)
    assert same > 0.97
    assert identity_cosine_dlib(face_embedding(blotted, box), own) < same - 0.03
