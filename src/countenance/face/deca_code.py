"""DECA's 236 numbers and its camera (Feng et al. 2021; public code of DECA)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from array_api_compat import array_namespace

from countenance.errors import BadValue
from countenance.face.model_arrays import Array

CODE_SIZE: Final = 236
CROP_PX: Final = 224


@dataclass(frozen=True, eq=False)
class DecaCode:
    """What DECA's coarse encoder says about a face; each (B, ...).

    Attributes:
        identity: (B, 100).
        texture: (B, 50).
        expression: (B, 50).
        pose: (B, 6) global and jaw, axis times angle in radians; see ``flame.full_pose``.
        camera: (B, 3) scale, tx, ty of :func:`project`.
        light: (B, 9, 3) spherical harmonics for red, green, blue.
    """

    identity: Array
    texture: Array
    expression: Array
    pose: Array
    camera: Array
    light: Array

    @classmethod
    def split(cls, code: Array) -> DecaCode:
        """Takes (B, 236) apart: identity, texture, expression, pose, camera, light.

        Raises:
            BadValue: another number of numbers.
        """
        if code.ndim != 2 or code.shape[1] != CODE_SIZE:
            raise BadValue(f"DECA codes have shape (batch, {CODE_SIZE}), not {tuple(code.shape)}")
        xp = array_namespace(code)
        return cls(
            identity=code[:, :100],
            texture=code[:, 100:150],
            expression=code[:, 150:200],
            pose=code[:, 200:206],
            camera=code[:, 206:209],
            light=xp.reshape(code[:, 209:], (-1, 9, 3)),
        )


def project(points: Array, camera: Array) -> Array:
    """DECA's weak perspective: scale (x + tx, y + ty, z), in the head frame's axes.

    Args:
        points: (B, N, 3) in metres.
        camera: (B, 3) scale, tx, ty.

    Returns:
        (B, N, 3); x and y in [-1, 1] over the crop, y UP. z is scaled, too, but not moved.
    """
    xp = array_namespace(points, camera)
    shift = xp.concat([camera[:, 1:], xp.zeros_like(camera[:, :1])], axis=1)
    return camera[:, None, :1] * (points + shift[:, None])


def image_axes(points: Array) -> Array:
    """(x, -y, -z): y down as in pictures, and larger z farther away. Undoes itself."""
    xp = array_namespace(points)
    return xp.concat([points[..., :1], -points[..., 1:]], axis=-1)


def to_picture(points: Array, crop_to_picture: Array) -> Array:
    """From the crop's [-1, 1] to pixels of the picture that it was cut from.

    Args:
        points: (B, N, 3) from :func:`image_axes`.
        crop_to_picture: (B, 3, 3) from pixels of the 224 x 224 crop to pixels of the picture, for column
            vectors (DECA's own function takes the transpose).

    Returns:
        (B, N, 3): x and y in pixels, y down; z as it was.
    """
    xp = array_namespace(points, crop_to_picture)
    pixels = (points[..., :2] * 0.5 + 0.5) * CROP_PX
    moved = (
        xp.matmul(pixels, xp.matrix_transpose(crop_to_picture[:, :2, :2])) + crop_to_picture[:, None, :2, 2]
    )
    return xp.concat([moved, points[..., 2:]], axis=-1)


def normalised(points_px: Array, height: int, width: int) -> Array:
    """Pixels (B, N, 3) of a picture -> [-1, 1] over it, as GDPW renders; z as it was."""
    xp = array_namespace(points_px)
    x, y = points_px[..., :1] * (2 / width) - 1, points_px[..., 1:2] * (2 / height) - 1
    return xp.concat([x, y, points_px[..., 2:]], axis=-1)
