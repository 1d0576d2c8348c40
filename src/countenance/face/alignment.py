"""The five-point alignment that Deep3DFaceReconstruction and PIRenderer crop faces with.

As in the public code of Deep3DFaceRecon_pytorch: the 224 x 224 crop is the input of the coefficient network,
and (scale, tx, ty) are PIRenderer's three crop numbers (its appendix D.1). The authors' image axes are kept:
y points UP, from the bottom row, y_up = H - 1 - row.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from scipy.sparse import csr_array

from countenance.arrays import Doubles, Floats, Image
from countenance.errors import BadValue
from countenance.face.model_files import ModelFile, read_stored
from countenance.stored.mat_file import read_mat

CROP_PX: Final = 224
_FACE_PX = 102.0  # length in the crop of one unit of the standard face
_WEIGHT_BITS = 22  # Pillow's for bytes
_POINT_PAIRS = ((36, 39), (42, 45), (30, 30), (48, 48), (54, 54))

ARCFACE_PX: Final = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)
"""Where InsightFace puts the eyes (image left first), the nose tip and the mouth's corners in a crop of 112 x 112.
Counted as OpenCV counts: the first pixel's centre is (0, 0)."""


@dataclass(frozen=True, eq=False)
class Alignment:
    """A face cropped to 224 x 224, and how it got there.

    Attributes:
        image: the crop; black where the picture ended.
        landmarks_up_px: (68, 2) in the crop, y up.
        size_px: width and height of the picture.
        scale: crop pixels per picture pixel.
        center_up_px: (tx, ty), where the standard face's origin lies in the picture, y up.
    """

    image: Image
    landmarks_up_px: Doubles
    size_px: tuple[int, int]
    scale: float
    center_up_px: tuple[float, float]

    @property
    def crop_coefficients(self) -> Floats:
        """PIRenderer's three crop numbers: scale, tx, ty."""
        return np.array([self.scale, *self.center_up_px], np.float32)


def five_points(landmarks: Floats | Doubles) -> Doubles:
    """The two eyes' middles, the nose tip and the mouth's corners of 68 iBUG landmarks (68, D) -> (5, D)."""
    pairs = np.array(_POINT_PAIRS)
    points: Doubles = np.asarray(landmarks, np.float64)[pairs].mean(axis=1)
    return points


def align(image: Image, landmarks_px: Floats | Doubles, standard_landmarks: Floats | Doubles) -> Alignment:
    """Scales and crops a picture so that its face lies as the standard face does.

    Args:
        image: H x W x 3, RGB uint8.
        landmarks_px: (68, 2) iBUG order, counted as the authors do: x right, y DOWN from the top row.
        standard_landmarks: (68, 3) ``lm`` of ``similarity_Lm3D_all.mat``: x right, y up.

    Raises:
        BadValue: wrong shapes, NaN, or points so close together that no scale fits them.
    """
    height, width = image.shape[:2]
    flipped = np.array(landmarks_px, np.float64)
    if flipped.shape != (68, 2) or np.shape(standard_landmarks) != (68, 3):
        raise BadValue("alignment takes 68 landmarks (68, 2) and 68 standard landmarks (68, 3) in iBUG order")
    flipped[:, 1] = height - 1 - flipped[:, 1]
    tx, ty, scale = _fit(five_points(flipped), five_points(standard_landmarks))
    scaled = int(width * scale), int(height * scale)
    if min(scaled) < 1:
        raise BadValue(
            f"the landmarks span far more than the picture of {width}x{height} pixels; check their unit"
        )
    left = int(scaled[0] / 2 - CROP_PX / 2 + (tx - width / 2) * scale)
    upper = int(scaled[1] / 2 - CROP_PX / 2 + (height / 2 - ty) * scale)
    moved = (flipped - [tx, ty] + [width / 2, height / 2]) * scale
    return Alignment(
        image=_resized_crop(image, scaled, left, upper),
        landmarks_up_px=moved - (np.array(scaled) / 2 - CROP_PX / 2),
        size_px=(width, height),
        scale=scale,
        center_up_px=(tx, ty),
    )


def load_standard_landmarks(path: Path | str) -> Floats:
    """The 68 points ``lm`` (68, 3) of ``similarity_Lm3D_all.mat``.

    Raises:
        WeightsMissing: there is no such file.
        WeightsDamaged: it is no MATLAB 5 file with such an array.
    """
    path = Path(path)
    fix = "get similarity_Lm3D_all.mat as Deep3DFaceRecon_pytorch describes"
    return ModelFile(path, read_stored(path, read_mat, "MATLAB 5 file", fix), fix).floats("lm", (68, 3))


def _fit(points: Doubles, standard: Doubles) -> tuple[float, float, float]:
    """tx, ty and scale of the least-squares affine camera x = R1 X + tx, y = R2 X + ty."""
    if not (np.isfinite(points).all() and np.isfinite(standard).all()):
        raise BadValue("landmarks to align hold NaN or infinite values")
    design = np.column_stack([standard, np.ones(len(standard))])
    camera = np.linalg.lstsq(design, points, rcond=None)[0]
    pixels_per_unit = np.linalg.norm(camera[:3], axis=0).mean()
    if pixels_per_unit < 1e-6:
        raise BadValue("landmarks to align lie all in one point")
    return float(camera[3, 0]), float(camera[3, 1]), float(_FACE_PX / pixels_per_unit)


def _resized_crop(image: Image, scaled: tuple[int, int], left: int, upper: int) -> Image:
    """The crop from (left, upper) of the picture resized to ``scaled``; black outside.

    The bytes that Pillow's bicubic resize of the whole picture gives, along rows first and rounded in between, of
    the crop's part alone. Pillow's own ``box`` rounds the part's edges, and goes down columns first at some sizes.
    """
    crop = np.zeros((CROP_PX, CROP_PX, 3), np.uint8)
    x0, x1 = max(left, 0), min(left + CROP_PX, scaled[0])
    y0, y1 = max(upper, 0), min(upper + CROP_PX, scaled[1])
    if x0 >= x1 or y0 >= y1:
        return crop
    height, width = image.shape[:2]
    columns, across = _bicubic(width, scaled[0], x0, x1)
    rows, down = _bicubic(height, scaled[1], y0, y1)
    widened = _weighted(across, image[rows, columns].transpose(1, 0, 2)).transpose(1, 0, 2)
    crop[y0 - upper : y1 - upper, x0 - left : x1 - left] = _weighted(down, widened)
    return crop


def _bicubic(length: int, resized: int, first: int, last: int) -> tuple[slice, csr_array]:
    """Which pixels of an axis the resized pixels first .. last - 1 are made of, and their weights in 2^-22.

    Pillow's filter (Keys 1981, a = -1/2), which is widened where the picture shrinks.
    """
    step = length / resized
    wide = max(step, 1.0)
    middles = (np.arange(first, last) + 0.5) * step
    begins = np.maximum((middles - 2 * wide + 0.5).astype(np.int64), 0)
    ends = np.minimum((middles + 2 * wide + 0.5).astype(np.int64), length)
    counts = ends - begins
    of_row = np.repeat(np.arange(last - first), counts)
    firsts = np.concatenate([[0], np.cumsum(counts)])
    pixels = np.arange(firsts[-1]) - firsts[of_row] + begins[of_row]
    x = np.abs((pixels - middles[of_row] + 0.5) / wide)
    near, far = (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
    weights = np.where(x < 1, near, np.where(x < 2, far, 0))
    weights /= np.bincount(of_row, weights)[of_row]
    whole = np.rint(weights * (1 << _WEIGHT_BITS)).astype(np.int32)
    used = slice(int(begins[0]), int(ends[-1]))
    return used, csr_array((whole, pixels - used.start, firsts), (last - first, used.stop - used.start))


def _weighted(weights: csr_array, picture: Image) -> Image:
    """Sums of pixels along the first axis, rounded to bytes."""
    sums = weights @ picture.reshape(picture.shape[0], -1).astype(np.int32)
    levels = (sums + (1 << (_WEIGHT_BITS - 1))) >> _WEIGHT_BITS
    return levels.clip(0, 255).astype(np.uint8).reshape(-1, *picture.shape[1:])
