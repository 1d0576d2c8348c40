"""The Basel Face Model as Deep3DFaceReconstruction uses it (Deng et al. 2019), from ``BFM_model_front.mat``.

Vertices are in decimetres. With recentring (the authors' default) the mean shape's centroid is the origin.
Quirks of the published code that its coefficients depend on are kept: the camera looks from 10 decimetres,
image points have y pointing UP, and light gains 0.8 in its constant term unless told otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from array_api_compat import array_namespace, device
from numpy.typing import NDArray

from countenance.arrays import Floats, Indices
from countenance.errors import BadValue
from countenance.face.landmark_regions import landmark_regions
from countenance.face.model_arrays import Array
from countenance.face.model_files import ModelFile, read_stored
from countenance.face.morphable import LinearModel, as_indices, numbered
from countenance.face.rotations import rotation_from_angles
from countenance.face.surface_points import SurfacePoints
from countenance.stored.mat_file import read_mat

IDENTITY, EXPRESSION, TEXTURE = 80, 64, 80
CAMERA_DISTANCE: Final = 10.0  # decimetres
FOCAL_PX: Final = 1015.0  # for the 224 x 224 crop
CENTER_PX: Final = 112.0
INITIAL_LIGHT: Final = (0.8, 0, 0, 0, 0, 0, 0, 0, 0)
"""``init_lit`` of the authors' settings: spherical harmonics that the coefficients' light is counted from."""
_TRIANGLES_PER_VERTEX = 8
_WHERE = "get BFM_model_front.mat as Deep3DFaceRecon_pytorch describes"


@dataclass(frozen=True, eq=False)
class BfmCoefficients:
    """The 257 numbers of the coefficient network, by meaning; each (B, ...).

    Attributes:
        identity: (B, 80).
        expression: (B, 64).
        texture: (B, 80).
        pose: (B, 6) pitch, yaw, roll in radians and the translation in decimetres, as the model takes it.
        light: (B, 27) spherical harmonics, 9 for each of red, green, blue.
    """

    identity: Array
    expression: Array
    texture: Array
    pose: Array
    light: Array

    @classmethod
    def split(cls, coefficients: Array) -> BfmCoefficients:
        """Takes (B, 257) apart: identity, expression, texture, angles, light, translation.

        Raises:
            BadValue: another number of coefficients.
        """
        if coefficients.ndim != 2 or coefficients.shape[1] != 257:
            raise BadValue(f"BFM coefficients have shape (batch, 257), not {tuple(coefficients.shape)}")
        xp = array_namespace(coefficients)
        return cls(
            identity=coefficients[:, :80],
            expression=coefficients[:, 80:144],
            texture=coefficients[:, 144:224],
            pose=xp.concat([coefficients[:, 224:227], coefficients[:, 254:257]], axis=1),
            light=coefficients[:, 227:254],
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class BfmModel(LinearModel):
    """BFM with its texture and light.

    Attributes:
        texture_mean: (3V,) red, green, blue of each vertex, 0..255.
        texture_basis: (80, 3V).
        vertex_triangles: (V, 8) triangles around each vertex; unused places hold F.
        front_triangles: (f, 3) vertex indices of the triangles of the face without ears and neck.
    """

    texture_mean: Floats
    texture_basis: Floats
    vertex_triangles: Indices
    front_triangles: Indices

    def constants(self) -> dict[str, NDArray[Any]]:
        """See :meth:`MorphableModel.constants`."""
        return super().constants() | {
            "texture_mean": self.texture_mean,
            "texture_basis": self.texture_basis,
            "vertex_triangles": self.vertex_triangles.reshape(-1),
            "triangle_corners": self.triangles.reshape(-1),
        }

    def texture(self, coefficients: Array) -> Array:
        """Colour without light: (B, 80) -> (B, V, 3) RGB, about 0..1, not clipped."""
        self._expect("texture", coefficients, TEXTURE)
        xp = array_namespace(coefficients)
        constants = self.arrays.like(coefficients)
        colour = (constants.texture_mean + coefficients @ constants.texture_basis) / 255
        return xp.reshape(colour, (-1, len(self.mean), 3))

    def normals(self, shape: Array, pose: Array | None = None) -> Array:
        """Unit normals at the vertices, pointing outwards.

        Args:
            shape: (B, V, 3) unposed vertices.
            pose: (B, 6); its rotation is applied to the normals.

        Returns:
            (B, V, 3): the mean of the unit normals of the triangles around, each counted alike.
        """
        xp = array_namespace(shape)
        constants = self.arrays.like(shape)
        corners = xp.reshape(xp.take(shape, constants.triangle_corners, axis=1), (len(shape), -1, 3, 3))
        a, b, c = (corners[:, :, corner] for corner in range(3))
        of_triangles = _unit(xp.linalg.cross(a - b, b - c, axis=-1))
        nothing = xp.zeros_like(of_triangles[:, :1])
        around = xp.take(xp.concat([of_triangles, nothing], axis=1), constants.vertex_triangles, axis=1)
        normals = _unit(xp.sum(xp.reshape(around, (*shape.shape[:2], -1, 3)), axis=2))
        if pose is None:
            return normals
        return xp.matmul(normals, xp.matrix_transpose(rotation_from_angles(pose[:, :3])))


def lit(
    texture: Array, normals: Array, light: Array, initial_light: Sequence[float] = INITIAL_LIGHT
) -> Array:
    """Colour under light given by nine spherical harmonics (Ramamoorthi and Hanrahan 2001).

    Args:
        texture: (B, V, 3) colour without light.
        normals: (B, V, 3) unit normals of the posed head.
        light: (B, 27), 9 for each channel.
        initial_light: 9 numbers that are added to each channel's.

    Returns:
        (B, V, 3), not clipped.

    Raises:
        BadValue: the initial light has another length.
    """
    if len(initial_light) != 9:
        raise BadValue(f"the initial light has {len(initial_light)} numbers; give 9 spherical harmonics")
    xp = array_namespace(texture, normals, light)
    x, y, z = normals[..., 0], normals[..., 1], normals[..., 2]
    # Band constants a_l c_l: the cosine lobe's response times the harmonic's normalisation.
    band0 = math.pi / math.sqrt(4 * math.pi)
    band1 = 2 * math.pi / math.sqrt(3) * math.sqrt(3) / math.sqrt(4 * math.pi)
    band2 = 2 * math.pi / math.sqrt(8) * 3 * math.sqrt(5) / math.sqrt(12 * math.pi)
    harmonics = [
        band0 * xp.ones_like(x),
        -band1 * y,
        band1 * z,
        -band1 * x,
        band2 * x * y,
        -band2 * y * z,
        band2 / (2 * math.sqrt(3)) * (3 * z * z - 1),
        -band2 * x * z,
        band2 / 2 * (x * x - y * y),
    ]
    per_channel = xp.reshape(light, (-1, 3, 9))
    initial = xp.asarray([float(v) for v in initial_light], dtype=light.dtype, device=device(light))
    return texture * xp.matmul(xp.stack(harmonics, axis=-1), xp.matrix_transpose(per_channel + initial))


def to_camera(vertices: Array, camera_distance: float = CAMERA_DISTANCE) -> Array:
    """Posed vertices (..., 3) with z counted from the camera into the scene; x and y as they are."""
    xp = array_namespace(vertices)
    return xp.stack([vertices[..., 0], vertices[..., 1], camera_distance - vertices[..., 2]], axis=-1)


def project(camera_points: Array, focal_px: float = FOCAL_PX, center_px: float = CENTER_PX) -> Array:
    """Pinhole image of points (..., 3) from :func:`to_camera`.

    Returns:
        (..., 2) pixels of the 224 x 224 crop with y pointing UP: row = 223 - y in the authors' arrays.
    """
    return camera_points[..., :2] / camera_points[..., 2:] * focal_px + center_px


def projection_matrix(focal_px: float = FOCAL_PX, center_px: float = CENTER_PX) -> Floats:
    """The same projection as (3, 3) for row vectors: [u w, v w, w] = [x, y, z] M."""
    return np.array([[focal_px, 0, 0], [0, focal_px, 0], [center_px, center_px, 1]], np.float32)


def load_bfm(path: Path | str, recenter: bool = True) -> BfmModel:
    """Reads ``BFM_model_front.mat`` (35709 vertices as published; any number here).

    Args:
        path: MATLAB 5 file; its indices count from 1 and its bases are scaled by the standard deviations.
        recenter: subtract the mean shape's centroid from the mean shape; the bases stay as they are.

    Raises:
        WeightsMissing: there is no such file.
        WeightsDamaged: arrays missing, of other shapes, with NaN or with indices out of range.
    """
    path = Path(path)
    file = ModelFile(path, read_stored(path, read_mat, "MATLAB 5 file", _WHERE), _WHERE)
    components = file.array("meanshape", (1, None)).shape[1]
    if components % 3:
        raise file.refuse(f"'meanshape' has {components} numbers, not three a vertex")
    count = components // 3
    mean = file.floats("meanshape", (1, components)).reshape(count, 3)
    if recenter:
        mean = mean - mean.mean(axis=0, keepdims=True)
    triangles = file.indices("tri", (None, 3), count, first=1)
    landmarks = file.indices("keypoints", (1, 68), count, first=1)[0]
    front = file.indices("frontmask2_idx", (None, 1), count, first=1)
    skin = file.array("skinmask", (1, count))[0]
    around = (count, _TRIANGLES_PER_VERTEX)
    return BfmModel(
        name="bfm",
        mean=mean,
        identity_basis=_basis(file.floats("idBase", (components, IDENTITY))),
        expression_basis=_basis(file.floats("exBase", (components, EXPRESSION))),
        expression_names=numbered(EXPRESSION),
        triangles=triangles,
        landmark_points=SurfacePoints.at_vertices(landmarks),
        regions={
            "front": as_indices(front),
            "skin": as_indices(np.flatnonzero(skin)),
            **landmark_regions(mean, mean[landmarks]),
        },
        cm_per_unit=10.0,
        texture_mean=file.floats("meantex", (1, components))[0],
        texture_basis=np.ascontiguousarray(file.floats("texBase", (components, TEXTURE)).T),
        vertex_triangles=file.indices("point_buf", around, len(triangles) + 1, first=1),
        front_triangles=file.indices("tri_mask2", (None, 3), count, first=1),
    )


def _basis(columns: Floats) -> Floats:
    """(3V, K) as the file has it -> (K, V, 3)."""
    return np.ascontiguousarray(columns.T).reshape(columns.shape[1], -1, 3)


def _unit(vectors: Array) -> Array:
    xp = array_namespace(vectors)
    square = xp.sum(vectors * vectors, axis=-1, keepdims=True)
    # Clipped before the root, whose gradient at zero is infinite: the length is at least 1e-12.
    return vectors / xp.sqrt(xp.clip(square, min=1e-24))
