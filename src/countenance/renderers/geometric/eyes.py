"""Gaze: the iris slides over the white of the eye, inside the lids."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from countenance.arrays import Floats, Indices, Mask
from countenance.face.mediapipe_topology import IRISES
from countenance.face.rasterizer import Raster
from countenance.renderers.geometric.deformation import Deformed
from countenance.renderers.geometric.head_mesh import EYES, HeadMesh

_STILL_PX = 0.02  # an eye that moves less than this keeps its pixels exactly
_IRIS_EDGE, _WHITE_EDGE = 1.1, 2.3  # in iris radii: up to the first all moves, beyond the second nothing


@dataclass(frozen=True, eq=False)
class EyeBall:
    """One eye of the source.

    Attributes:
        iris_px: (2,) centre of the iris.
        radius_px: of the iris.
        corner_px: (2,) integer: upper left pixel of ``nearest``.
        nearest: (h, w, 2) x and y of the pixel inside the eye that is nearest to each pixel around it.
        triangles: half-open range of triangle numbers of this eye's opening.
    """

    iris_px: Floats
    radius_px: float
    corner_px: Indices
    nearest: Floats
    triangles: tuple[int, int]


def find_eyeballs(mesh: HeadMesh, side: int) -> tuple[EyeBall, EyeBall]:
    """Measure both eyes of the source, the person's right one first."""
    per_eye = 2 * (len(EYES[0][0]) - 1)
    balls = []
    for k, ((upper, lower), ring) in enumerate(zip(EYES, IRISES, strict=True)):
        iris = mesh.rest[list(ring), :2]
        radius = float(np.linalg.norm(iris[1:] - iris[0], axis=1).mean())
        rim = mesh.rest[[*upper, *reversed(lower[1:-1])], :2]
        corner = np.floor(rim.min(0) - 2 * radius).astype(np.int32).clip(0, side - 1)
        size = np.ceil(rim.max(0) + 2 * radius).astype(np.int32).clip(1, side) - corner
        inside = np.zeros((max(size[1], 1), max(size[0], 1)), np.uint8)
        cv2.fillPoly(inside, [np.round(rim - corner - 0.5).astype(np.int32)], 1)
        start = mesh.skin_count + k * per_eye
        balls.append(
            EyeBall(iris[0], radius, corner, _nearest_inside(inside) + corner, (start, start + per_eye))
        )
    return balls[0], balls[1]


def add_gaze(
    displacement: Floats, raster: Raster, deformed: Deformed, balls: tuple[EyeBall, EyeBall]
) -> None:
    """Shift what shows in the eye openings, in place.

    Args:
        displacement: (H, W, 2) source minus driven position.
        raster: of the driven mesh.
        deformed: the driven mesh.
        balls: the source's eyes.
    """
    for ball, (upper, lower), ring, gaze in zip(balls, EYES, IRISES, deformed.gaze_px, strict=True):
        if np.abs(gaze).max() < _STILL_PX:
            continue
        rim = deformed.vertices[[*upper, *lower], :2]
        left, top = np.maximum(np.floor(rim.min(0)).astype(int) - 1, 0)
        right, bottom = np.minimum(np.ceil(rim.max(0)).astype(int) + 2, displacement.shape[1::-1])
        if left >= right or top >= bottom:
            continue
        area = (slice(top, bottom), slice(left, right))
        index = raster.triangle_index[area]
        opening: Mask = (index >= ball.triangles[0]) & (index < ball.triangles[1])
        rows, columns = np.nonzero(opening)
        driven = np.stack([columns + left, rows + top], axis=1).astype(np.float32)
        iris = deformed.rigid[ring[0], :2] + gaze
        away = np.linalg.norm(driven + 0.5 - iris, axis=1) / ball.radius_px
        share = np.clip((_WHITE_EDGE - away) / (_WHITE_EDGE - _IRIS_EDGE), 0, 1)[:, None]
        source = driven + displacement[area][opening] - share * gaze
        at = np.round(source - ball.corner_px).astype(int)
        height, width = ball.nearest.shape[:2]
        near = ball.nearest[at[:, 1].clip(0, height - 1), at[:, 0].clip(0, width - 1)]
        outside = np.linalg.norm(near - source, axis=1, keepdims=True) > 1.0
        displacement[area][opening] = np.where(outside, near, source) - driven


def _nearest_inside(inside: np.ndarray) -> Floats:
    """(h, w, 2) x and y of the nearest pixel where ``inside`` is 1; every pixel itself if there is none."""
    height, width = inside.shape
    rows, columns = np.mgrid[:height, :width]
    if not inside.any():
        return np.stack([columns, rows], axis=-1).astype(np.float32)
    _, labels = cv2.distanceTransformWithLabels(1 - inside, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    own = np.zeros((labels.max() + 1, 2), np.float32)
    at = inside > 0
    own[labels[at]] = np.stack([columns[at], rows[at]], axis=1)
    return np.asarray(own[labels], np.float32)
