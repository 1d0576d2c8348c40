"""What a mouth shows that the source's mouth does not: cavity and teeth, shaded to the portrait.

Upper teeth are fixed to the skull and lower teeth to the jaw, so lips uncover them as they do in life. The inside
is drawn only below what the source itself shows: a source that smiles keeps its own teeth.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from countenance.arrays import Floats, Image
from countenance.face.mediapipe_topology import INNER_LIPS_LOWER, INNER_LIPS_UPPER
from countenance.renderers.geometric.deformation import Deformed

_UPPER, _LOWER = INNER_LIPS_UPPER[5], INNER_LIPS_LOWER[5]
_CHEEKS = (50, 280, 205, 425, 101, 330)
_OPENS_CM = (0.02, 0.12)  # largest overflow over which the inside fades in
_EDGE_CM = (-0.06, 0.10)  # overflow over which the source's own inside gives way
_SHOWS_TEETH = (0.04, 0.10)  # opening of the source, in mouth widths, from which it shows its own upper teeth
_UPPER_TEETH_CM = 0.28  # how far the upper teeth reach below the resting edge of the upper lip
_TEETH_BELOW_LIP_CM = 0.25  # and at least this far below the driven lip, as in speech
_LOWER_TEETH_CM = 0.12  # how far the lower teeth reach above the edge of the lower lip
_TOOTH_CM = 0.8
_SHADOW_CM = 0.16
_GREY_SATURATION = 0.12


@dataclass(frozen=True, eq=False)
class MouthInside:
    """Colours and the source's own opening.

    Attributes:
        teeth: (3,) RGB 0..255.
        cavity: (3,) RGB 0..255.
        own_opening: of the source, in mouth widths.
    """

    teeth: Floats
    cavity: Floats
    own_opening: float


def prepare_mouth(square: Image, landmarks_px: Floats) -> MouthInside:
    """Take the colours from the portrait's skin.

    Args:
        square: the crop, S x S x 3.
        landmarks_px: (478, 3) in px of the crop.
    """
    at = landmarks_px[list(_CHEEKS), :2].astype(int).clip(0, square.shape[0] - 1)
    skin = np.median(square[at[:, 1], at[:, 0]].astype(np.float32), axis=0)
    light = float(skin @ (0.299, 0.587, 0.114))
    colour = min(1.0, float(skin.max() - skin.min()) / (max(float(skin.max()), 1.0) * _GREY_SATURATION))
    warm = np.array([1.02, 0.97, 0.88]) * colour + (1 - colour)
    red = np.array([0.36, 0.15, 0.14]) * colour + 0.2 * (1 - colour)
    teeth = np.clip(1.12 * light + 14, 0, 232) * warm
    return MouthInside(
        teeth.astype(np.float32),
        (light * red).astype(np.float32),
        _opening(landmarks_px[:, :2].astype(np.float32)),
    )


def draw_mouth(picture: Image, inside: MouthInside, deformed: Deformed, overflow_px: Floats) -> None:
    """Draw the inside of the mouth into ``picture`` (S x S x 3), in place.

    Args:
        picture: the warped source.
        inside: colours.
        deformed: the driven mesh.
        overflow_px: (S, S) ``mouth_overflow_px`` spread over the pixels.
    """
    cm = 1 / deformed.pose.scale_px_per_cm
    strength = _rise(float(deformed.mouth_overflow_px.max()) * cm, _OPENS_CM)
    if strength <= 0:
        return
    polygon = deformed.vertices[[*INNER_LIPS_UPPER, *reversed(INNER_LIPS_LOWER[1:-1])], :2]
    side = picture.shape[0]
    left, top = np.maximum(np.floor(polygon.min(0)).astype(int) - 2, 0)
    right, bottom = np.minimum(np.ceil(polygon.max(0)).astype(int) + 2, side)
    if right - left < 3 or bottom - top < 3:
        return
    area = (slice(top, bottom), slice(left, right))
    covered = _coverage(polygon - (left, top), (bottom - top, right - left))
    edge = (overflow_px[area] * cm - _EDGE_CM[0]) / (_EDGE_CM[1] - _EDGE_CM[0])
    rows, columns = np.mgrid[area].astype(np.float32) + 0.5
    colour = _colour(columns, rows, inside, deformed)
    depth = cv2.distanceTransform((covered > 0.5).astype(np.uint8), cv2.DIST_L2, 3)
    shade = 0.5 + 0.5 * np.clip(depth * cm / _SHADOW_CM, 0, 1)
    alpha = (strength * covered * np.clip(edge, 0, 1))[..., None]
    under = picture[area]
    picture[area] = np.round(under * (1 - alpha) + colour * shade[..., None] * alpha).clip(0, 255)


def _colour(x: Floats, y: Floats, inside: MouthInside, deformed: Deformed) -> Floats:
    """(h, w, 3) colours of cavity and teeth at pixel positions."""
    cm = 1.0 / deformed.pose.scale_px_per_cm
    corners = deformed.vertices[[INNER_LIPS_UPPER[0], INNER_LIPS_UPPER[-1]], :2]
    along = corners[1] - corners[0]
    width_cm = max(float(np.linalg.norm(along)) * cm, 0.5)
    along = along / (np.linalg.norm(along) + 1e-6)
    down = np.array([-along[1], along[0]])
    center = deformed.rigid[[INNER_LIPS_UPPER[0], INNER_LIPS_UPPER[-1]], :2].mean(0)
    u = ((x - center[0]) * along[0] + (y - center[1]) * along[1]) * cm
    v = (x * down[0] + y * down[1]) * cm
    skull, lip = (float(points[_UPPER, :2] @ down) * cm for points in (deformed.rigid, deformed.vertices))
    upper_edge = max(skull + _UPPER_TEETH_CM, lip + _TEETH_BELOW_LIP_CM)
    lower_edge = float(deformed.vertices[_LOWER, :2] @ down) * cm - _LOWER_TEETH_CM
    arch = np.clip(np.abs(u) / (0.5 * width_cm), 0, 1.2)
    own_teeth = _rise(inside.own_opening, _SHOWS_TEETH)
    upper = _soft(upper_edge - 0.25 * arch**2 - v, 0.07) * (1 - own_teeth)
    lower = _soft(v - lower_edge + 0.12 * arch**2, 0.07) * 0.75
    grooves = 1 - 0.16 * np.exp(-(((u / _TOOTH_CM + 0.5) % 1 - 0.5) ** 2) / 0.0035)
    fall_off = np.clip(1.0 - 0.75 * arch**2, 0.12, 1)
    teeth = np.maximum(upper, lower) * np.clip(1.35 - arch, 0, 1)
    lit = inside.teeth * (grooves * fall_off)[..., None]
    return np.asarray(inside.cavity * (1 - teeth[..., None]) + lit * teeth[..., None], np.float32)


def _coverage(polygon: Floats, size: tuple[int, int]) -> Floats:
    """(h, w) share of each pixel inside a polygon, edges about a pixel soft."""
    mask = np.zeros(size, np.uint8)
    cv2.fillPoly(mask, [np.round((polygon - 0.5) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return np.asarray(cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), 0.7), np.float32)


def _opening(points_px: Floats) -> float:
    """Gap between the inner lips in mouth widths."""
    corners = points_px[[INNER_LIPS_UPPER[0], INNER_LIPS_UPPER[-1]]]
    gap = np.linalg.norm(
        points_px[list(INNER_LIPS_LOWER[4:7])] - points_px[list(INNER_LIPS_UPPER[4:7])], axis=1
    ).mean()
    return float(gap / (np.linalg.norm(corners[1] - corners[0]) + 1e-6))


def _rise(value: float, between: tuple[float, float]) -> float:
    t = min(max((value - between[0]) / (between[1] - between[0]), 0.0), 1.0)
    return t * t * (3 - 2 * t)


def _soft(distance: Floats, width: float) -> Floats:
    share: Floats = np.clip(distance / width + 0.5, 0, 1).astype(np.float32)
    return share
