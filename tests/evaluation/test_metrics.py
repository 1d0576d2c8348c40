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
    lip_distance_percent,
    lip_opening_percent,
    opening_correlation,
    pose_error_deg,
)
from countenance.evaluation.metrics.pixels import psnr, ssim
from countenance.face.mediapipe_topology import REGIONS
from countenance.motion.spaces import ARKIT

UPPER_LIP, LOWER_LIP = 13, 14  # MediaPipe's numbers of the inner lips' middles


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


def faces(*gaps: float) -> np.ndarray:
    """Faces 200 px high, whose inner lips are so many px apart."""
    points = np.zeros((len(gaps), 478, 3))
    points[:, 0, 1], points[:, 1, 1] = -100, 100
    points[:, LOWER_LIP, 1] = points[:, UPPER_LIP, 1] + gaps
    return points


def test_lips_are_compared_wherever_the_mouth_is_and_however_large_the_face() -> None:
    lips = list(REGIONS["lips"])
    truth = np.random.default_rng(0).uniform(0, 100, (3, 478, 3))
    top, chin = [i for i in range(478) if i not in lips][:2]
    truth[:, top, 1], truth[:, chin, 1] = -50, 150  # 200 px high
    assert lip_distance_percent(truth, truth) == 0
    moved = truth + np.array([7.0, -9.0, 3.0])
    assert lip_distance_percent(moved, truth) == pytest.approx(0), "all of the face is aside"
    assert landmark_distance_percent(moved, truth) == pytest.approx(np.hypot(7, 9) / 2)
    apart, pairs = truth.copy(), len(lips) // 2
    apart[:, lips[:pairs], 0] += 6
    apart[:, lips[pairs : 2 * pairs], 0] -= 6
    assert lip_distance_percent(apart, truth) == pytest.approx(3 * 2 * pairs / len(lips)), (
        "6 px of 200 are 3 %"
    )
    larger = lip_distance_percent(2 * apart[..., :2], 2 * truth[..., :2])
    assert larger == pytest.approx(lip_distance_percent(apart, truth))
    elsewhere = truth.copy()
    elsewhere[:, [i for i in range(478) if i not in lips]] += 50
    assert lip_distance_percent(elsewhere, truth) == 0, "what is no lip does not count"


def test_opening_of_the_lips_counts_in_face_heights() -> None:
    assert lip_opening_percent(faces(0, 10, 30)) == pytest.approx([0, 5, 15])
    assert lip_opening_percent(3 * faces(0, 10, 30)[..., :2] + 40) == pytest.approx([0, 5, 15])
    assert lip_opening_percent(faces(20)[0]) == pytest.approx(10), "a single face"


def test_lips_that_open_together_correlate() -> None:
    wanted = faces(0, 10, 20, 10)
    assert opening_correlation(wanted, wanted) == pytest.approx(1)
    assert opening_correlation(faces(5, 8, 11, 8), wanted) == pytest.approx(1), "less wide, but in time"
    assert opening_correlation(faces(20, 10, 0, 10), wanted) == pytest.approx(-1)
    assert opening_correlation(faces(10, 20, 10, 0), wanted) == pytest.approx(0), "a quarter turn late"
    assert opening_correlation(faces(7, 7, 7, 7), wanted) == 0, "a still mouth"
    assert opening_correlation(faces(7, 7.01, 7, 7.01), wanted) == 0, "the tracker's noise"


def test_correlation_needs_a_mouth_that_moves_and_frames_to_see_it() -> None:
    wanted, unseen = faces(0, 10, 20, 10), faces(0, 10, 20, 10)
    unseen[1] = np.nan
    assert opening_correlation(unseen, wanted) == pytest.approx(1), "frames without a face are left out"
    assert opening_correlation(wanted, unseen) == pytest.approx(1)
    unseen[2] = np.nan
    assert np.isnan(opening_correlation(unseen, wanted)), "two frames are left"
    assert np.isnan(opening_correlation(wanted, faces(5, 5, 5, 5))), "the driver is silent"
    assert np.isnan(opening_correlation(wanted[:2], wanted[:2]))


def test_identity_prefers_the_same_person() -> None:
    picture, box = data.astronaut(), np.array([177, 70, 270, 190], np.float32)
    own = face_embedding(picture, box)
    brighter = np.clip(picture * 1.15, 0, 255).astype(np.uint8)
    blotted = picture.copy()
    blotted[110:190, 180:270] = blotted[110:190, 180:270][::-1]
    same = identity_cosine_dlib(face_embedding(brighter, box), own)
    assert same > 0.97
    assert identity_cosine_dlib(face_embedding(blotted, box), own) < same - 0.03
