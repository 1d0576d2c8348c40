"""Sliders for the shape of a face: nose, eyes, jaw and so on, by name (GDPW, Sec. 4.4).

The default mesh has no identity basis, so these sliders are ours: smooth displacement fields over the canonical
mesh, placed and sized by its landmarks, the same on both sides. They say how far a shape is from the person's own,
and travel in :attr:`countenance.motion.sequence.Motion.identity`. FLAME has an identity basis, and its sliders
are that basis.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from countenance.arrays import Doubles, Floats
from countenance.errors import MotionInvalid
from countenance.face.mediapipe_model import mediapipe_model
from countenance.face.mediapipe_topology import (
    FACE_OVAL,
    INNER_LIPS_LOWER,
    INNER_LIPS_UPPER,
    LEFT_BROW,
    LEFT_EYE_LOWER,
    LEFT_EYE_UPPER,
    LIPS_LOWER,
    LIPS_UPPER,
)
from countenance.motion.sequence import Motion

_FLAME_BETAS = 100  # as many as DECA measures
_NOSE_ROOT, _NOSE_BASE, _NOSE_WINGS = 168, 2, (129, 358)
_JAW_CORNER, _LEFT_CHEEK = 288, (425, 454, 361)


@dataclass(frozen=True)
class ShapeSlider:
    """One way to change a face's shape.

    Attributes:
        name: for ``--set``; in no motion space.
        minimum: lowest value; 0 is the person's own shape.
        maximum: highest value.
        effect: what values above 0 do.
        unit: ``share`` of the most that looks natural, or ``sigma`` of a model's own basis.
    """

    name: str
    minimum: float
    maximum: float
    effect: str
    unit: str = "share"


ARKIT_SLIDERS: Final = tuple(
    ShapeSlider(name, -1.0, 1.0, effect)
    for name, effect in (
        ("faceWidth", "wider, most at the outline"),
        ("faceLength", "longer, from the eyes up and down"),
        ("foreheadHeight", "higher hairline"),
        ("cheekFullness", "rounder cheeks"),
        ("jawWidth", "wider below the ears"),
        ("chinLength", "longer below the lips"),
        ("eyeSize", "larger"),
        ("eyeDistance", "farther apart"),
        ("browHeight", "higher"),
        ("noseWidth", "wider at the wings"),
        ("noseLength", "longer, tip lower"),
        ("mouthWidth", "wider"),
        ("lipFullness", "fuller"),
    )
)
"""The sliders of ``arkit``, in the order of :attr:`Motion.identity`."""

_FLAME_SLIDERS: Final = tuple(
    ShapeSlider(f"shape{i:02}", -3.0, 3.0, "along FLAME's basis", "sigma") for i in range(_FLAME_BETAS)
)


def shape_sliders(space: str) -> tuple[ShapeSlider, ...]:
    """The sliders that go with a motion space, in the order of :attr:`Motion.identity`; none for ``bfm``."""
    return {"arkit": ARKIT_SLIDERS, "flame": _FLAME_SLIDERS}.get(space, ())


def shape_change(motion: Motion, own: Motion) -> Floats | None:
    """By how much the sliders of a motion differ from those of the person whose picture is shown.

    Args:
        motion: in ``arkit``.
        own: the picture's, likewise.

    Returns:
        (S,) slider values, or None where nothing differs.

    Raises:
        MotionInvalid: an identity that is not S slider values.
    """
    change = _values(motion) - _values(own)
    return change if change.any() else None


def _values(motion: Motion) -> Floats:
    count = len(ARKIT_SLIDERS)
    if motion.identity is None:
        return np.zeros(count, np.float32)
    if motion.identity.shape != (count,):
        raise MotionInvalid(
            f"the motion's identity holds {motion.identity.size} numbers, but '{motion.space.name}' has {count} "
            f"shape sliders; give one number a slider, or leave the identity out"
        )
    return motion.identity


@cache
def shape_basis() -> Floats:
    """(S, 478, 3) cm in the head frame, read-only: where each slider at 1 moves the default mesh's vertices."""
    face = _Face(mediapipe_model().mean.astype(np.float64))
    fields = np.stack([_FIELDS[slider.name](face) for slider in ARKIT_SLIDERS]).astype(np.float32)
    fields.setflags(write=False)
    return fields


class _Face:
    """The canonical mesh with the measures that the fields share, cm.

    Attributes:
        x: (V,) to the person's left.
        y: (V,) up.
        side: (V,) -1, 0 or 1: the half of the face.
    """

    def __init__(self, points: Doubles) -> None:
        self.points = points
        self.x, self.y = points[:, 0], points[:, 1]
        self.side = np.sign(np.round(self.x, 4))
        self.half_width = float(np.abs(self.x).max())
        outline = self.y[list(FACE_OVAL)]
        self.top, self.chin = float(outline.max()), float(outline.min())
        self.eye = self.middle((*LEFT_EYE_UPPER, *LEFT_EYE_LOWER))
        self.brow = self.middle(LEFT_BROW)
        self.brow_top = float(self.y[list(LEFT_BROW)].max())
        self.lips = self.middle((*LIPS_UPPER, *LIPS_LOWER))
        self.lips_bottom = float(self.y[list(LIPS_LOWER)].min())
        self.lips_top = float(self.y[list(LIPS_UPPER)].max())

    def middle(self, vertices: tuple[int, ...]) -> Doubles:
        """(3,) of some vertices."""
        return np.asarray(self.points[list(vertices)].mean(0), np.float64)

    def near(
        self, center: Doubles, reach: tuple[float, float], plateau: float, *, mirrored: bool = False
    ) -> Doubles:
        """(V,) weights around a place as seen from the front: 1 inside, 0 beyond ``reach`` (x and y, cm).

        ``mirrored``: around the same place of the other half as well, each half by its own.
        """
        x = np.abs(self.x) if mirrored else self.x
        away = np.hypot((x - center[0]) / reach[0], (self.y - center[1]) / reach[1])
        return _fade(away, plateau)

    def field(self, x: _Numbers = 0.0, y: _Numbers = 0.0, z: _Numbers = 0.0) -> Doubles:
        """(V, 3) of its parts."""
        return np.stack(np.broadcast_arrays(x, y, z, self.x)[:3], axis=1).astype(np.float64)


_Numbers = NDArray[np.floating[Any]] | float


def _step(t: Doubles) -> Doubles:
    """0 below 0, 1 above 1, with two continuous derivatives between."""
    t = np.clip(t, 0, 1)
    return np.asarray(t**3 * (t * (6 * t - 15) + 10), np.float64)


def _fade(away: Doubles, plateau: float) -> Doubles:
    """1 up to ``plateau``, 0 from 1 on."""
    return 1 - _step((away - plateau) / (1 - plateau))


# Amounts and reaches are cm of the canonical face, or shares of a distance. Chosen by eye on photographs: clearly seen
# at 1 and -1, still believable, and nowhere so steep that skin folds.


def _face_width(face: _Face) -> Doubles:
    return face.field(x=0.1 * face.x * (np.abs(face.x) / face.half_width) ** 2)


def _face_length(face: _Face) -> Doubles:
    from_eyes = face.y - face.eye[1]
    return face.field(y=0.08 * from_eyes * _step(np.abs(from_eyes) / 4))


def _forehead_height(face: _Face) -> Doubles:
    rise = np.clip((face.y - face.brow_top) / (face.top - face.brow_top), 0, None)
    return face.field(y=1.1 * rise**1.5)


def _cheek_fullness(face: _Face) -> Doubles:
    cheek = face.middle(_LEFT_CHEEK)
    around = face.near(cheek, (4.2, 5.0), 0.1, mirrored=True)
    return face.field(x=0.55 * face.side * around, z=0.5 * around)


def _jaw_width(face: _Face) -> Doubles:
    corner = face.points[_JAW_CORNER]
    beside = np.minimum(np.abs(face.x) / corner[0], 1)
    return face.field(x=0.115 * face.x * beside**2 * _fade(np.abs(face.y - corner[1]) / 6.5, 0.1))


def _chin_length(face: _Face) -> Doubles:
    below = (face.lips_bottom - face.y) / (face.lips_bottom - face.chin)
    return face.field(y=-0.8 * np.clip(below, 0, None) ** 1.5 * _fade(np.abs(face.x) / 7, 0.15))


def _eye_size(face: _Face) -> Doubles:
    around = face.near(face.eye, (2.9, 2.0), 0.5, mirrored=True)
    return face.field(
        x=0.16 * face.side * (np.abs(face.x) - face.eye[0]) * around, y=0.16 * (face.y - face.eye[1]) * around
    )


def _eye_distance(face: _Face) -> Doubles:
    reach = float(face.eye[0])
    return face.field(x=0.33 * face.side * face.near(face.eye, (reach, reach), 0.45, mirrored=True))


def _brow_height(face: _Face) -> Doubles:
    above = face.y > face.brow[1]
    along = np.abs(face.x) - face.brow[0]
    up = np.where(above, (face.y - face.brow[1]) / 3.4, (face.brow[1] - face.y) / 1.8)
    return face.field(y=0.32 * _fade(np.hypot(along / 4.5, up), 0.3))


def _nose_width(face: _Face) -> Doubles:
    wings = np.array([0.0, face.middle(_NOSE_WINGS)[1]])
    return face.field(x=0.2 * face.x * face.near(wings, (3.6, 2.8), 0.45))


def _nose_length(face: _Face) -> Doubles:
    root, base = face.y[_NOSE_ROOT], face.y[_NOSE_BASE]
    along = _step((root - face.y) / (root - base)) * _step((face.y - face.lips_top) / (base - face.lips_top))
    return face.field(y=-0.4 * along * _fade(np.abs(face.x) / 3.4, 0.4))


def _mouth_width(face: _Face) -> Doubles:
    return face.field(x=0.15 * face.x * face.near(face.lips * (0, 1, 1), (5.2, 3.0), 0.45))


def _lip_fullness(face: _Face) -> Doubles:
    """Both lips grow away from the line between them, so that the mouth neither opens nor closes."""
    rims = list(INNER_LIPS_UPPER), list(INNER_LIPS_LOWER)
    high, low = (np.interp(face.x, face.x[rim], face.y[rim]) for rim in rims)
    away = np.maximum(face.y - high, 0) + np.minimum(face.y - low, 0)
    around = _fade(np.abs(away) / 2.2, 0.35) * _fade(np.abs(face.x) / 3.4, 0.3)
    return face.field(y=0.3 * away * around, z=0.12 * around)


_FIELDS: Final[dict[str, Callable[[_Face], Doubles]]] = {
    "faceWidth": _face_width,
    "faceLength": _face_length,
    "foreheadHeight": _forehead_height,
    "cheekFullness": _cheek_fullness,
    "jawWidth": _jaw_width,
    "chinLength": _chin_length,
    "eyeSize": _eye_size,
    "eyeDistance": _eye_distance,
    "browHeight": _brow_height,
    "noseWidth": _nose_width,
    "noseLength": _nose_length,
    "mouthWidth": _mouth_width,
    "lipFullness": _lip_fullness,
}
