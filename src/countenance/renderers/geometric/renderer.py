"""Enroll and render: rasterise the driven mesh's displacement, warp the source once, draw the mouth's inside."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from cv2.typing import MatLike

from countenance.arrays import Floats, Image, Mask
from countenance.errors import MotionSpaceMismatch
from countenance.face.rasterizer import interpolate, rasterize
from countenance.face.shape_sliders import shape_change
from countenance.motion.sequence import Motion
from countenance.portrait.portrait import Portrait
from countenance.renderers.geometric import SPEC
from countenance.renderers.geometric.avatar import GeometricAvatar
from countenance.renderers.geometric.deformation import Deformed
from countenance.renderers.geometric.eyes import add_gaze
from countenance.renderers.geometric.mouth import draw_mouth
from countenance.renderers.spec import RendererSpec
from countenance.timing import stage

_SOFT = 0.02  # blur of the displacement around the face, in sides of the crop
_JUMP_PX = 1.5  # neighbouring pixels that come from places farther apart lie on a silhouette
_RIM = 0.04  # of the side: over this width the field fades to nothing at the border
_COARSE = 4  # the blurred field is computed at 1/4 of the size


class GeometricRenderer:
    """See :class:`countenance.renderers.renderer.Renderer`."""

    @property
    def spec(self) -> RendererSpec:
        """Name and needs."""
        return SPEC

    def enroll(self, portrait: Portrait) -> GeometricAvatar:
        """Cut the crop and lay the mesh onto it; a few milliseconds."""
        own = portrait.motion.space.name
        if own != SPEC.motion_space:
            raise MotionSpaceMismatch(own, SPEC.motion_space, "the geometric renderer")
        return GeometricAvatar(
            portrait.square, portrait.landmarks_in_crop_px, portrait.motion[0], portrait.crop
        )

    def load_avatar(self, path: Path) -> GeometricAvatar:
        """Read a saved avatar."""
        return GeometricAvatar.load(path)

    def render(self, avatar: GeometricAvatar, motion: Motion) -> Iterator[Image]:
        """Pictures of the crop; the avatar's own motion gives the source back, pixel for pixel."""
        if motion.space.name != SPEC.motion_space:
            raise MotionSpaceMismatch(motion.space.name, SPEC.motion_space, "the geometric renderer")
        shape = shape_change(motion, avatar.motion)
        return (self._frame(avatar, values, shape) for values in motion.values)

    def _frame(self, avatar: GeometricAvatar, values: Floats, shape: Floats | None) -> Image:
        with stage("geometry"):
            return drive(avatar, values, shape).picture


class Driven(NamedTuple):
    """One frame.

    Attributes:
        picture: S x S x 3 uint8, the crop.
        field: (S, S, 2) the way from each pixel to the source's, in px; 0 at the border.
        mesh: of this frame.
    """

    picture: Image
    field: Floats
    mesh: Deformed


def drive(avatar: GeometricAvatar, coefficients: Floats, shape: Floats | None = None) -> Driven:
    """Pose, warp and complete one frame.

    Args:
        avatar: the person.
        coefficients: (58,) of ``arkit``, relative to the avatar's crop.
        shape: (S,) values of the shape sliders, relative to the avatar's own shape; None for that shape.
    """
    mesh, side = avatar.mesh, avatar.crop.side
    deformed = avatar.deformation.at(coefficients, shape)
    raster = rasterize(deformed.vertices, mesh.triangles, (side, side), cull_back_faces=True)
    carried = np.column_stack([deformed.displacement, deformed.mouth_overflow_px])
    spread = interpolate(raster, carried)
    exact = np.ascontiguousarray(spread[..., :2])
    add_gaze(exact, raster, deformed, avatar.eyeballs)
    inner = mesh.skin_count + mesh.opening_count
    on_face = (raster.triangle_index >= 0) & (raster.triangle_index < inner)
    field = _softened_outside(exact, on_face)
    grid = _grid(side)
    field = np.asarray(cv2.multiply(field, grid.hold), np.float32)
    columns, rows = grid.columns + field[..., 0], grid.rows + field[..., 1]
    warped = cv2.remap(avatar.square, columns, rows, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    picture = _antialiased(warped, field)
    draw_mouth(picture, avatar.mouth, deformed, spread[..., 2])
    return Driven(picture, field, deformed)


def _softened_outside(exact: Floats, on_face: Mask) -> Floats:
    """The field as it is on the face; around it without the kinks and folds of the coarse rings.

    The blur leaves the face out: at a silhouette, where the face hides what is behind it, a mixture of both
    motions would show the face's edge twice.
    """
    side = exact.shape[0]
    sigma = max(_SOFT * side / _COARSE, 0.5)
    sampled = slice(_COARSE // 2, None, _COARSE) if side > _COARSE else slice(None)
    beside = 1 - on_face[sampled, sampled].astype(np.float32)
    seen = cv2.GaussianBlur(beside, (0, 0), sigma)
    total = cv2.GaussianBlur(exact[sampled, sampled] * beside[..., None], (0, 0), sigma)
    mean = total / np.maximum(seen, 1e-3)[..., None]
    soft = cv2.resize(mean, (side, side), interpolation=cv2.INTER_LINEAR)
    near = cv2.resize(np.clip(2 - 2 * seen, 0, 1), (side, side), interpolation=cv2.INTER_LINEAR)
    share = np.maximum(near, on_face.astype(np.float32))
    return np.asarray(
        cv2.add(soft, cv2.multiply(cv2.subtract(exact, soft), cv2.merge([share, share]))), np.float32
    )


def _antialiased(warped: MatLike, field: Floats) -> Image:
    """Soften the stairs along a silhouette, where the field jumps from the face to what it hides."""
    picture = np.asarray(warped, np.uint8)
    jumps = np.zeros(field.shape[:2], np.uint8)
    for plane in cv2.split(field):
        jumps[:, 1:] |= cv2.absdiff(plane[:, 1:], plane[:, :-1]) > _JUMP_PX
        jumps[1:] |= cv2.absdiff(plane[1:], plane[:-1]) > _JUMP_PX
    if not jumps.any():
        return picture
    left, top, width, height = cv2.boundingRect(jumps)
    area = (slice(max(top - 2, 0), top + height + 2), slice(max(left - 2, 0), left + width + 2))
    part = np.ascontiguousarray(picture[area])
    edge = np.minimum(cv2.GaussianBlur(jumps[area].astype(np.float32), (0, 0), 0.8) * 2, 1)
    picture[area] = cv2.blendLinear(cv2.GaussianBlur(part, (0, 0), 0.9), part, edge, 1 - edge)
    return picture


class _Grid:
    """Arrays that depend on the size alone."""

    def __init__(self, side: int) -> None:
        self.rows, self.columns = np.mgrid[:side, :side].astype(np.float32)
        to_border = np.minimum(np.arange(side), np.arange(side)[::-1]).astype(np.float32)
        near = np.minimum(to_border / max(_RIM * side, 1.0), 1)
        hold = np.minimum(near[:, None], near[None, :])
        self.hold = np.dstack([hold, hold])  # 0 at the border, so that it never moves; 1 inside


@lru_cache(maxsize=2)
def _grid(side: int) -> _Grid:
    return _Grid(side)


def load(name: str = SPEC.name, device: str = "cpu") -> GeometricRenderer:
    """For the catalogue; it computes on the CPU, whatever the device."""
    return GeometricRenderer()
