"""The mesh that carries the picture: face, mouth and eye openings, and rings out to the crop's border.

The face is MediaPipe's mesh. Around it lie rings of vertices, from the face's outline to the border of the crop.
Near the face they ride rigidly with the head (hair, ears), farther out they follow less and less, and at the
border not at all, so that the crop can be pasted back without a seam.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from countenance.arrays import Floats, Indices
from countenance.face.mediapipe_model import mediapipe_model
from countenance.face.mediapipe_topology import (
    FACE_OVAL,
    INNER_LIPS_LOWER,
    INNER_LIPS_UPPER,
    LEFT_EYE_LOWER,
    LEFT_EYE_UPPER,
    RIGHT_EYE_LOWER,
    RIGHT_EYE_UPPER,
    VERTEX_COUNT,
)

EYES = ((RIGHT_EYE_UPPER, RIGHT_EYE_LOWER), (LEFT_EYE_UPPER, LEFT_EYE_LOWER))
MOUTH = (INNER_LIPS_UPPER, INNER_LIPS_LOWER)

_RINGS = np.array([0.06, 0.15, 0.27, 0.41, 0.56, 0.72, 0.87, 1.0])  # share of the way to the crop's border
_RECEDE = (
    0.12,
    0.9,
)  # the head curves away from the camera: depth lost per distance, and per distance squared
_EXPRESSION_REACH = 0.22  # share of the way over which expressions (a dropping jaw) pull on the surroundings


@dataclass(frozen=True, eq=False)
class HeadMesh:
    """Topology and rest shape; everything in px of the crop, z larger is nearer.

    Vertices: 478 of the face (0..477), then copies of the openings' rims, then R rings of 36.

    Attributes:
        rest: (V, 3).
        triangles: (F, 3), sorted: skin, then openings, then rings.
        skin_count: number of skin triangles.
        opening_count: number of triangles in the openings.
        eye_rims: per eye the vertices (upper, lower) of the copied rim, chains of 9.
        mouth_rim: likewise, chains of 11.
        follow: (R * 36,) how far a ring vertex follows the head, 0..1.
        pull: (R * 36,) how far it follows the expression of the outline vertex that it belongs to.
        bearer: (V,) the vertex of the face that each vertex takes changes of shape from: itself, the one that a rim
            copies, or the outline vertex that a ring vertex belongs to.
    """

    rest: Floats
    triangles: Indices
    skin_count: int
    opening_count: int
    eye_rims: tuple[tuple[Indices, Indices], ...]
    mouth_rim: tuple[Indices, Indices]
    follow: Floats
    pull: Floats
    bearer: Indices

    @property
    def rings(self) -> slice:
        """Where the ring vertices are."""
        return slice(len(self.rest) - len(self.follow), len(self.rest))


def build_head_mesh(landmarks_px: Floats, side: int) -> HeadMesh:
    """Lay the mesh onto a face.

    Args:
        landmarks_px: (478, 3) in px of the crop.
        side: of the crop in px.
    """
    face = np.asarray(landmarks_px, np.float32)
    rims: list[tuple[Indices, Indices]] = []
    rim_points: list[Floats] = []
    rim_triangles: list[Indices] = []
    bearer = list(range(VERTEX_COUNT))
    start = VERTEX_COUNT
    for upper, lower in (*EYES, MOUTH):
        first = np.arange(start, start + len(upper), dtype=np.int32)
        second = first + len(upper)
        start += 2 * len(upper)
        rims.append((first, second))
        rim_points += [face[list(upper)], face[list(lower)]]
        bearer += [*upper, *lower]
        rim_triangles.append(_strip(first, second))
    ring_points, follow, pull = _rings(face, side)
    skin = _skin()
    openings = np.concatenate(rim_triangles)
    around = _ring_triangles(start)
    return HeadMesh(
        rest=np.concatenate([face, *rim_points, ring_points]).astype(np.float32),
        triangles=np.concatenate([skin, openings, around]).astype(np.int32),
        skin_count=len(skin),
        opening_count=len(openings),
        eye_rims=tuple(rims[:2]),
        mouth_rim=rims[2],
        follow=follow,
        pull=pull,
        bearer=np.array(bearer + list(FACE_OVAL) * len(_RINGS), np.int32),
    )


def _skin() -> Indices:
    """The canonical mesh without the triangles that close its eyes and mouth."""
    triangles = mediapipe_model().triangles
    closes = [np.isin(triangles, [*upper, *lower]).all(axis=1) for upper, lower in (*EYES, MOUTH)]
    return np.asarray(triangles[~np.any(closes, axis=0)], np.int32)


def _strip(upper: Indices, lower: Indices) -> Indices:
    """Triangles between two chains of the same length, counter-clockwise as seen."""
    triangles = []
    for i in range(len(upper) - 1):
        triangles.append((upper[i], lower[i], lower[i + 1]))
        triangles.append((upper[i], lower[i + 1], upper[i + 1]))
    return np.array(triangles, np.int32)


def _rings(face: Floats, side: int) -> tuple[Floats, Floats, Floats]:
    outline = face[list(FACE_OVAL)]
    center = outline[:, :2].mean(0)
    outward = outline[:, :2] - center
    outward /= np.linalg.norm(outward, axis=1, keepdims=True) + 1e-6
    reach = _distance_to_border(outline[:, :2], outward, side)
    share = _RINGS[:, None]
    distance = share * reach
    points = np.empty((len(_RINGS), len(FACE_OVAL), 3), np.float32)
    points[..., :2] = outline[None, :, :2] + distance[..., None] * outward
    height = np.ptp(outline[:, 1]) + 1e-6
    points[..., 2] = outline[None, :, 2] - distance * (_RECEDE[0] + _RECEDE[1] * distance / height)
    up = -outward[:, 1]
    plateau = np.interp(up, [-1.0, -0.5, 0.0, 1.0], [0.02, 0.08, 0.25, 0.42])
    follow = 1 - _smoothstep((share - plateau) / (1 - plateau))
    pull = (1 - _smoothstep(share / _EXPRESSION_REACH)) * np.ones_like(reach)
    return points.reshape(-1, 3), follow.ravel().astype(np.float32), pull.ravel().astype(np.float32)


def _distance_to_border(points: Floats, directions: Floats, side: int) -> Floats:
    """How far (N,) rays run until they leave the square [0, side]^2; at least a little, also from outside."""
    with np.errstate(divide="ignore", invalid="ignore"):
        to_far = np.where(directions > 0, (side - points) / directions, np.inf)
        to_near = np.where(directions < 0, -points / directions, np.inf)
    reach: Floats = np.maximum(np.minimum(to_far, to_near).min(1), 0.05 * side).astype(np.float32)
    return reach


def _ring_triangles(start: int) -> Indices:
    count = len(FACE_OVAL)
    inner = np.array(FACE_OVAL)
    triangles = []
    for ring in range(len(_RINGS)):
        outer = start + ring * count + np.arange(count)
        for i in range(count):
            j = (i + 1) % count
            triangles += [(inner[i], inner[j], outer[j]), (inner[i], outer[j], outer[i])]
        inner = outer
    return np.array(triangles, np.int32)


def _smoothstep(x: NDArray[np.floating[Any]]) -> Floats:
    t = np.clip(x, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
