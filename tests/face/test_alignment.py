"""The five-point alignment against the numbers of Deep3DFaceRecon_pytorch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from safetensors.numpy import load_file
from scipy.io import savemat

from countenance.errors import BadValue, WeightsDamaged, WeightsMissing
from countenance.face.alignment import CROP_PX, align, five_points, load_standard_landmarks


@pytest.fixture
def case(shared: Path) -> tuple[dict, dict]:
    folder = shared / "parity/bfm/align"
    return load_file(folder / "inputs.safetensors"), load_file(folder / "outputs.safetensors")


def standard_face() -> np.ndarray:
    points = np.zeros((68, 3))
    points[36:42, :2], points[42:48, :2] = (-0.3, 0.3), (0.3, 0.3)
    points[30] = 0, 0, 0.3
    points[48:60:6, :2] = (-0.25, -0.35), (0.25, -0.35)
    return points


def test_published_numbers(case) -> None:
    given, expected = case
    found = align(given["image_u8"], given["landmarks68_image"], given["standard_landmarks68"])
    parameters = np.array([*found.size_px, *found.crop_coefficients])
    np.testing.assert_allclose(parameters, expected["transform_params"], rtol=1e-4)
    scale = np.abs(expected["landmarks68_aligned"]).max()
    np.testing.assert_allclose(found.landmarks_up_px, expected["landmarks68_aligned"], atol=1e-4 * scale)
    assert np.abs(found.image.astype(int) - expected["aligned_u8"]).max() <= 1
    standard = five_points(given["standard_landmarks68"])
    np.testing.assert_allclose(standard, expected["standard_points5"], rtol=1e-4)
    up = given["landmarks68_image"] * [1, -1] + [0, given["image_u8"].shape[0] - 1]
    np.testing.assert_allclose(five_points(up), expected["points5"], rtol=1e-4)


def test_the_comparison_can_fail(case) -> None:
    """Negative control: the rows counted from the picture's edge, half a pixel off."""
    given, expected = case
    found = align(given["image_u8"], given["landmarks68_image"] + [0, 0.5], given["standard_landmarks68"])
    assert abs(found.crop_coefficients[2] / expected["transform_params"][4] - 1) > 1e-4


SIZES = [(180, 140), (141, 187), (640, 360), (77, 611), (512, 512)]
"""Width and height; the fourth is so tall that Pillow itself would shrink its columns first."""


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("face_px", [12.0, 30.0, 101.0, 102.7, 150.0, 333.0, 900.0])
@pytest.mark.parametrize("middle", [(0.5, 0.5), (0.07, 0.9), (1.1, -0.1)])
def test_the_crop_has_the_bytes_of_pillows_resize_of_the_whole_picture(
    size: tuple[int, int], face_px: float, middle: tuple[float, float]
) -> None:
    """Shrunk, enlarged, as it is, and beyond the border; black and white noise makes both passes overshoot."""
    width, height = size
    image = np.random.default_rng(0).integers(0, 2, (height, width, 3), np.uint8) * np.uint8(255)
    landmarks = standard_face()[:, :2] * [face_px, -face_px] + np.array(middle) * size
    found = align(image, landmarks, standard_face())
    scaled = int(width * found.scale), int(height * found.scale)
    rows_first = Pillow.fromarray(image).resize((scaled[0], height), Pillow.Resampling.BICUBIC)
    whole = rows_first.resize(scaled, Pillow.Resampling.BICUBIC)
    tx, ty = found.center_up_px
    left = int(scaled[0] / 2 - 112 + (tx - width / 2) * found.scale)
    upper = int(scaled[1] / 2 - 112 + (height / 2 - ty) * found.scale)
    crop = np.asarray(whole.crop((left, upper, left + CROP_PX, upper + CROP_PX)))
    np.testing.assert_array_equal(found.image, crop)


def test_a_face_outside_the_picture_leaves_the_crop_black() -> None:
    image = np.full((50, 50, 3), 255, np.uint8)
    far = standard_face()[:, :2] * [100, -100] + [5000, 25]
    assert not align(image, far, standard_face()).image.any()


@pytest.mark.parametrize(
    ("landmarks", "said"),
    [
        (np.zeros((68, 2)), "one point"),
        (np.full((68, 2), np.nan), "NaN"),
        (np.zeros((5, 2)), "68 landmarks"),
        (standard_face()[:, :2] * 1e6, "check their unit"),
    ],
)
def test_landmarks_that_fit_nothing(landmarks: np.ndarray, said: str) -> None:
    with pytest.raises(BadValue, match=said):
        align(np.zeros((50, 50, 3), np.uint8), landmarks, standard_face())


def test_standard_landmarks_file(tmp_path: Path) -> None:
    path = tmp_path / "similarity_Lm3D_all.mat"
    with pytest.raises(WeightsMissing):
        load_standard_landmarks(path)
    savemat(path, {"lm": standard_face()})
    np.testing.assert_allclose(load_standard_landmarks(path), standard_face(), rtol=1e-6)
    savemat(path, {"lm": np.zeros((5, 3))})
    with pytest.raises(WeightsDamaged, match="'lm' has shape"):
        load_standard_landmarks(path)
