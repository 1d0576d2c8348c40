"""Motion spaces: every coefficient by name, with unit, range, neutral value, region and mirror image.

=========  ====  ===================================================================================
``arkit``  58    52 blendshapes in Apple's order, then yaw, pitch, roll, x, y, logScale
``bfm``    70    64 expressions, then pitch, yaw, roll, tx, ty, tz, as Deep3DFaceReconstruction orders them
``flame``  65    50 expressions, then jaw, head, two eyes (axis times angle), camera, as DECA measures them
=========  ====  ===================================================================================

The signs of angles are stated in :mod:`countenance.motion.pose`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from countenance.arrays import Doubles, Floats
from countenance.errors import BadValue, UnknownName
from countenance.motion.pose import axis_angle_matrix, matrix_axis_angle, rotation_angles, rotation_matrix

Unit: TypeAlias = Literal["weight", "sigma", "rad", "crop sides", "log ratio", "dm", "m", "1/m"]
"""``weight``: 0 neutral, 1 full. ``sigma``: a model's own basis, scaled by its standard deviation. ``crop
sides``: lengths in the picture, 1 = the side of the face crop. ``log ratio``: natural logarithm of a scale.
``1/m``: a scale itself, half crop sides a metre."""

Region: TypeAlias = Literal["pose", "expression", "lips", "eyes", "brows"]

REGIONS: Final[tuple[Region, ...]] = ("pose", "expression", "lips", "eyes", "brows")
"""Names for parts of a motion. ``expression`` is all that is not ``pose``, so it holds lips, eyes, brows,
and what belongs to none of them (cheeks, nose, the bases of morphable models)."""


@dataclass(frozen=True)
class Coefficient:
    """One number of a motion.

    Attributes:
        name: unique in its space.
        unit: see :data:`Unit`.
        minimum: lowest value that makes sense; a slider's left end.
        maximum: highest value that makes sense; a slider's right end.
        neutral: value of a face at rest that looks into the camera.
        region: the narrowest of :data:`REGIONS` that it belongs to.
        mirror: name of the coefficient that holds this one's value in the picture's mirror image; its own
            name where left and right do not matter, None where no single coefficient does.
        mirror_sign: -1 if the value changes its sign as well.
    """

    name: str
    unit: Unit
    minimum: float
    maximum: float
    neutral: float
    region: Region
    mirror: str | None
    mirror_sign: int = 1


@dataclass(frozen=True)
class Rotation:
    """Three coefficients that are one rotation and must be blended as one.

    Attributes:
        name: what turns: ``head``, ``jaw``, ``eye1``, ``eye2``.
        kind: ``angles`` (yaw, pitch, roll) or ``axis-angle`` (x, y, z).
        names: the three coefficients in the order of ``kind``.
    """

    name: str
    kind: Literal["angles", "axis-angle"]
    names: tuple[str, str, str]

    def matrix(self, numbers: ArrayLike) -> Doubles:
        """(..., 3) numbers in the order of ``names`` -> (..., 3, 3)."""
        n = np.asarray(numbers, dtype=np.float64)
        if self.kind == "angles":
            return rotation_matrix(n[..., 0], n[..., 1], n[..., 2])
        return axis_angle_matrix(n)

    def numbers(self, matrix: ArrayLike) -> Doubles:
        """(..., 3, 3) -> (..., 3) in the order of ``names``; undoes :meth:`matrix`."""
        if self.kind == "angles":
            return np.stack(rotation_angles(matrix), axis=-1)
        return matrix_axis_angle(matrix)


@dataclass(frozen=True)
class MotionSpace:
    """A named, ordered list of coefficients. Two spaces are equal when name and coefficients are."""

    name: str
    coefficients: tuple[Coefficient, ...]
    rotations: tuple[Rotation, ...]

    @property
    def size(self) -> int:
        """D, the number of coefficients."""
        return len(self.coefficients)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The coefficients' names in order."""
        return tuple(c.name for c in self.coefficients)

    @cached_property
    def neutral(self) -> Floats:
        """(D,) float32, read-only: a face at rest that looks into the camera."""
        return _constant([c.neutral for c in self.coefficients])

    @cached_property
    def minimum(self) -> Floats:
        """(D,) float32, read-only: the lowest value of each coefficient that makes sense."""
        return _constant([c.minimum for c in self.coefficients])

    @cached_property
    def maximum(self) -> Floats:
        """(D,) float32, read-only: the highest value of each coefficient that makes sense."""
        return _constant([c.maximum for c in self.coefficients])

    @cached_property
    def reach(self) -> tuple[Floats, Floats]:
        """Two (D,) float32, read-only: how far values may lie. Twenty times the range beyond it on either side, twice
        for logarithms: whatever is exaggerated lies within, and a scale of e^1000 does not."""
        times = np.array([2 if c.unit == "log ratio" else 20 for c in self.coefficients], np.float32)
        beyond = times * (self.maximum - self.minimum)
        return _constant((self.minimum - beyond).tolist()), _constant((self.maximum + beyond).tolist())

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.names)}

    def index(self, name: str) -> int:
        """Where a coefficient stands.

        Raises:
            UnknownName: with the nearest names of this space.
        """
        try:
            return self._positions[name]
        except KeyError:
            raise UnknownName(f"coefficient of '{self.name}'", name, self.names) from None

    def indices(self, names: tuple[str, ...] | list[str]) -> NDArray[np.intp]:
        """(K,) positions of several coefficients.

        Raises:
            UnknownName: as :meth:`index`.
        """
        return np.array([self.index(name) for name in names], dtype=np.intp)

    def rotation(self, name: str) -> Rotation:
        """One of :attr:`rotations` by its name; every space has ``head``.

        Raises:
            UnknownName: no such rotation in this space.
        """
        for rotation in self.rotations:
            if rotation.name == name:
                return rotation
        raise UnknownName(f"rotation of '{self.name}'", name, [r.name for r in self.rotations])

    def region_indices(self, region: str) -> NDArray[np.intp]:
        """(K,) positions of a region's coefficients, ascending; empty where the space has none.

        Raises:
            UnknownName: not one of :data:`REGIONS`.
        """
        if region not in REGIONS:
            raise UnknownName("region", region, REGIONS)
        inside = [
            c.region != "pose" if region == "expression" else c.region == region for c in self.coefficients
        ]
        return np.flatnonzero(inside)

    def per_coefficient(self, by_region: Mapping[str, float], default: float) -> Doubles:
        """Spreads one number a region over the coefficients; the narrower region wins over ``expression``.

        Args:
            by_region: region -> number, for any of :data:`REGIONS`.
            default: for what no region covers.

        Returns:
            (D,) float64.

        Raises:
            UnknownName: a key that is no region.
            BadValue: a number that is negative or not finite.
        """
        for region, number in by_region.items():
            if region not in REGIONS:
                raise UnknownName("region", region, REGIONS)
            if not (math.isfinite(number) and number >= 0):
                raise BadValue(f"the strength of '{region}' is {number}; use a number from 0 (none) upward")
        numbers = [
            by_region.get(c.region, by_region.get("expression", default) if c.region != "pose" else default)
            for c in self.coefficients
        ]
        return np.array(numbers, dtype=np.float64)

    def mirror_permutation(self) -> tuple[NDArray[np.intp], Floats]:
        """How a motion changes when its pictures are flipped left to right: ``values[..., order] * signs``.

        Returns:
            order (D,), signs (D,).

        Raises:
            BadValue: a space whose coefficients have no mirror images (the bases of morphable models).
        """
        order = np.empty(self.size, dtype=np.intp)
        for i, c in enumerate(self.coefficients):
            if c.mirror is None:
                raise BadValue(
                    f"motion in '{self.name}' cannot be mirrored, because '{c.name}' has no mirror image; "
                    f"flip the pictures and track them again"
                )
            order[i] = self.index(c.mirror)
        return order, _constant([c.mirror_sign for c in self.coefficients])

    def clamp(self, values: ArrayLike) -> Floats:
        """(..., D) values moved into each coefficient's range."""
        return np.clip(np.asarray(values, dtype=np.float32), self.minimum, self.maximum)


def _constant(numbers: list[float] | list[int]) -> Floats:
    array = np.array(numbers, dtype=np.float32)
    array.setflags(write=False)
    return array


# fmt: off
ARKIT_SHAPES: Final[tuple[str, ...]] = (
    "eyeBlinkLeft", "eyeLookDownLeft", "eyeLookInLeft", "eyeLookOutLeft", "eyeLookUpLeft", "eyeSquintLeft",
    "eyeWideLeft",
    "eyeBlinkRight", "eyeLookDownRight", "eyeLookInRight", "eyeLookOutRight", "eyeLookUpRight",
    "eyeSquintRight", "eyeWideRight",
    "jawForward", "jawLeft", "jawRight", "jawOpen", "mouthClose", "mouthFunnel", "mouthPucker", "mouthLeft",
    "mouthRight",
    "mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft", "mouthFrownRight", "mouthDimpleLeft",
    "mouthDimpleRight", "mouthStretchLeft", "mouthStretchRight", "mouthRollLower", "mouthRollUpper",
    "mouthShrugLower", "mouthShrugUpper", "mouthPressLeft", "mouthPressRight", "mouthLowerDownLeft",
    "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight",
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
    "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "noseSneerLeft", "noseSneerRight", "tongueOut",
)
# fmt: on
"""Apple's 52 names in Apple's order (ARFaceAnchor.BlendShapeLocation). Left and right are the person's."""

_REGION_BY_PREFIX: Final[dict[str, Region]] = {
    "eye": "eyes",
    "brow": "brows",
    "jaw": "lips",
    "mouth": "lips",
    "tongue": "lips",
    "cheek": "expression",
    "nose": "expression",
}

_SWAPPED: Final = {"Left": "Right", "Right": "Left"}
_HALF_TURN, _QUARTER_TURN = math.pi, math.pi / 2


def _arkit_shape(name: str) -> Coefficient:
    region = next(r for prefix, r in _REGION_BY_PREFIX.items() if name.startswith(prefix))
    mirror = next((name.removesuffix(a) + b for a, b in _SWAPPED.items() if name.endswith(a)), name)
    return Coefficient(name, "weight", 0.0, 1.0, 0.0, region, mirror)


def _angles(*names: str) -> tuple[Coefficient, ...]:
    limits = {"yaw": _QUARTER_TURN, "pitch": _QUARTER_TURN, "roll": _HALF_TURN}
    return tuple(
        Coefficient(n, "rad", -limits[n], limits[n], 0.0, "pose", n, 1 if n == "pitch" else -1) for n in names
    )


def _axis_angle(joint: str, region: Region, mirror: str) -> tuple[Coefficient, ...]:
    signs = {"x": 1, "y": -1, "z": -1}  # a mirror keeps turns about x and reverses the others
    return tuple(
        Coefficient(
            f"{joint}_{axis}", "rad", -_QUARTER_TURN, _QUARTER_TURN, 0.0, region, f"{mirror}_{axis}", sign
        )
        for axis, sign in signs.items()
    )


def _bases(count: int) -> tuple[Coefficient, ...]:
    return tuple(
        Coefficient(f"exp{i:02d}", "sigma", -5.0, 5.0, 0.0, "expression", None) for i in range(count)
    )


_HEAD_ANGLES: Final = Rotation("head", "angles", ("yaw", "pitch", "roll"))

ARKIT: Final = MotionSpace(
    "arkit",
    (
        *map(_arkit_shape, ARKIT_SHAPES),
        *_angles("yaw", "pitch", "roll"),
        Coefficient("x", "crop sides", -0.5, 0.5, 0.0, "pose", "x", -1),
        Coefficient("y", "crop sides", -0.5, 0.5, 0.0, "pose", "y"),
        Coefficient("logScale", "log ratio", -1.5, 1.5, 0.0, "pose", "logScale"),
    ),
    (_HEAD_ANGLES,),
)
"""The default. ``x`` and ``y`` are the head's position relative to the crop's centre, x to image right and y
UP. ``logScale`` is ln(pixels_per_cm * 25 / crop_side_px): 0 where the crop's side spans 25 cm at the head."""

BFM: Final = MotionSpace(
    "bfm",
    (
        *_bases(64),
        *_angles("pitch", "yaw", "roll"),
        Coefficient("tx", "dm", -2.0, 2.0, 0.0, "pose", "tx", -1),
        Coefficient("ty", "dm", -2.0, 2.0, 0.0, "pose", "ty"),
        Coefficient("tz", "dm", -5.0, 5.0, 0.0, "pose", "tz"),
    ),
    (_HEAD_ANGLES,),
)
"""What Deep3DFaceReconstruction measures and PIRenderer is driven by; translations are in the model's
decimetres, relative to a head 10 dm before the camera. PIRenderer's three crop numbers are not motion; they
travel in ``Motion.crop``."""

FLAME: Final = MotionSpace(
    "flame",
    (
        *_bases(50),
        *_axis_angle("jaw", "lips", "jaw"),
        *_axis_angle("head", "pose", "head"),
        *_axis_angle("eye1", "eyes", "eye2"),
        *_axis_angle("eye2", "eyes", "eye1"),
        Coefficient("cam_scale", "1/m", 1.0, 30.0, 8.0, "pose", "cam_scale"),
        Coefficient("cam_x", "m", -0.25, 0.25, 0.0, "pose", "cam_x", -1),
        Coefficient("cam_y", "m", -0.25, 0.25, 0.0, "pose", "cam_y"),
    ),
    tuple(
        Rotation(joint, "axis-angle", (f"{joint}_x", f"{joint}_y", f"{joint}_z"))
        for joint in ("jaw", "head", "eye1", "eye2")
    ),
)
"""What DECA measures (GDPW, PVP). ``head`` is DECA's global rotation. The camera is its weak perspective:
cam_scale * (x + cam_x, y + cam_y), in half crop sides."""

SPACES: Final[dict[str, MotionSpace]] = {space.name: space for space in (ARKIT, BFM, FLAME)}


def get_space(name: str) -> MotionSpace:
    """One of :data:`SPACES` by its name.

    Raises:
        UnknownName: with the names there are.
    """
    try:
        return SPACES[name]
    except KeyError:
        raise UnknownName("motion space", name, SPACES) from None
