"""Guidance from the default tracker: the geometric renderer's mesh, which reaches to the crop's border.

A published mesh ends at the face or the scalp. This one has rings around the face as well, so that the displacement
field (Sec. 3.2) says something about hair, neck and background too.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from countenance.arrays import Floats, Image
from countenance.face.rasterizer import Raster, rasterize
from countenance.renderers.geometric.avatar import GeometricAvatar
from countenance.renderers.geometric.renderer import drive


class HeadGuidance(NamedTuple):
    """What guides one frame.

    Attributes:
        start: S x S x 3 uint8, the geometric renderer's picture.
        displacement: (h, w, 2), where 2 is the whole picture.
        driving: the driving mesh, drawn at h x w.
    """

    start: Image
    displacement: Floats
    driving: Raster


def guide(
    avatar: GeometricAvatar, coefficients: Floats, size: int, shape: Floats | None = None
) -> HeadGuidance:
    """Draw the guidance of one frame.

    Args:
        avatar: the person.
        coefficients: (58,) of ``arkit``.
        size: h = w of the patterns in px.
        shape: (S,) values of the shape sliders, relative to the avatar's own shape; None for that shape.
    """
    driven = drive(avatar, coefficients, shape)
    side = driven.picture.shape[0]
    small = cv2.resize(driven.field, (size, size), interpolation=cv2.INTER_AREA)
    displacement = np.asarray(small * (2 / side), np.float32)
    return HeadGuidance(driven.picture, displacement, view(avatar, driven.mesh.vertices, size))


def source_view(avatar: GeometricAvatar, size: int) -> Raster:
    """The mesh as it lies on the source."""
    return view(avatar, avatar.deformation.at(avatar.motion.values[0]).vertices, size)


def view(avatar: GeometricAvatar, vertices: Floats, size: int) -> Raster:
    """The front of the mesh at h = w = ``size`` px; vertices (V, 3) in px of the crop."""
    scaled = vertices * (size / avatar.crop.side)
    return rasterize(scaled, avatar.mesh.triangles, (size, size), cull_back_faces=True)
