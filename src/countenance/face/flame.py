"""FLAME (Li et al. 2017), a head with joints for neck, jaw and eyes, as DECA (Feng et al. 2021) uses it.

Vertices are in metres. The pose is 15 numbers, axis times angle in radians: global, neck, jaw, first eye,
second eye. The model and its landmark embedding are read without running what their pickles ask for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
from array_api_compat import array_namespace, device
from numpy.typing import NDArray

from countenance.arrays import Floats, Indices
from countenance.errors import BadValue, WeightsDamaged
from countenance.face.landmark_regions import landmark_regions
from countenance.face.model_arrays import Array
from countenance.face.model_files import ModelFile, read_stored
from countenance.face.morphable import MorphableModel, numbered
from countenance.face.rotations import rotation_from_axis_angle
from countenance.face.surface_points import SurfacePoints, interpolate
from countenance.stored.safetensors_file import read_safetensors
from countenance.weights.restricted_pickle import ARRAYS, load_pickle
from countenance.weights.torch_files import TORCH_TENSORS

PARENTS: Final = (-1, 0, 1, 1, 1)
"""The joint that each joint hangs on: global, neck, jaw, two eyes."""

JOINTS: Final = ("global", "neck", "jaw", "eye1", "eye2")
_FILE_IDENTITY, _FILE_EXPRESSION = 300, 100  # columns of shapedirs, in this order
_CONTOUR_ROWS = 79  # 0..39 degrees, then -1..-39
_MODEL_FIX = "get generic_model.pkl from the authors' page (flame.is.tue.mpg.de)"
_LANDMARKS_FIX = "get landmark_embedding.npy as DECA describes"


@dataclass(frozen=True, eq=False)
class Skinning:
    """A posed head and what led to it; for joint j and column vectors, x -> rotations_j x + offsets_j.

    Attributes:
        vertices: (B, V, 3) posed.
        rest_joints: (B, 5, 3) joints of this person's unposed head.
        joints: (B, 5, 3) posed.
        local_rotations: (B, 5, 3, 3) of each joint relative to its parent.
        rotations: (B, 5, 3, 3) of each joint relative to the rest pose.
        offsets: (B, 5, 3).
        corrected: (B, V, 3) unposed vertices with the pose correctives added.
    """

    vertices: Array
    rest_joints: Array
    joints: Array
    local_rotations: Array
    rotations: Array
    offsets: Array
    corrected: Array


@dataclass(frozen=True, kw_only=True, eq=False)
class FlameModel(MorphableModel):
    """A morphable head with linear blend skinning.

    Attributes:
        pose_basis: (36, V, 3) correctives for one unit of each number of (R - I) of joints 1..4.
        joint_regressor: (5, V) weights that find the joints on the unposed head.
        skinning_weights: (V, 5) how much each joint carries a vertex.
        inner_landmarks: 51 points of brows, nose, eyes and mouth.
        contour: (79, 17) points; row = turn of the head in degrees, see :meth:`contour_rows`.
    """

    pose_names: ClassVar[tuple[str, ...]] = tuple(f"{joint}_{axis}" for joint in JOINTS for axis in "xyz")

    pose_basis: Floats
    joint_regressor: Floats
    skinning_weights: Floats
    inner_landmarks: SurfacePoints
    contour: SurfacePoints

    def constants(self) -> dict[str, NDArray[Any]]:
        """See :meth:`MorphableModel.constants`."""
        return super().constants() | {
            "pose_basis": self.pose_basis.reshape(len(self.pose_basis), -1),
            "joint_regressor": self.joint_regressor,
            "skinning_weights": self.skinning_weights,
            "inner_corners": self.inner_landmarks.corners,
            "inner_weights": self.inner_landmarks.weights,
            "contour_corners": self.contour.corners,
            "contour_weights": self.contour.weights,
        }

    def vertices(self, identity: Array, expression: Array, pose: Array | None = None) -> Array:
        """The posed head; see :meth:`MorphableModel.vertices` and :func:`full_pose`."""
        if pose is None:
            xp = array_namespace(expression)
            size = (len(expression), len(self.pose_names))
            pose = xp.zeros(size, dtype=expression.dtype, device=device(expression))
        return self.skin(identity, expression, pose).vertices

    def skin(self, identity: Array, expression: Array, pose: Array) -> Skinning:
        """Linear blend skinning with pose correctives (FLAME paper, equations 1 to 4).

        Args:
            identity: (B, I).
            expression: (B, E).
            pose: (B, 15) axis times angle, radians.

        Returns:
            the posed head and its joints. Joints follow identity and expression.
        """
        xp = array_namespace(identity, expression, pose)
        self._expect("pose", pose, len(self.pose_names))
        constants = self.arrays.like(pose)
        shape = self.shape(identity, expression)
        rest = constants.joint_regressor @ shape
        local = xp.reshape(rotation_from_axis_angle(xp.reshape(pose, (-1, 3))), (-1, len(PARENTS), 3, 3))
        unturned = xp.eye(3, dtype=pose.dtype, device=device(pose))
        feature = xp.reshape(local[:, 1:] - unturned, (len(pose), -1))
        corrected = shape + xp.reshape(feature @ constants.pose_basis, (len(pose), -1, 3))

        rotations, joints = [local[:, 0]], [rest[:, 0]]
        for joint, parent in list(enumerate(PARENTS))[1:]:
            bone = (rest[:, joint] - rest[:, parent])[..., None]
            joints.append(joints[parent] + xp.matmul(rotations[parent], bone)[..., 0])
            rotations.append(xp.matmul(rotations[parent], local[:, joint]))
        turned, posed = xp.stack(rotations, axis=1), xp.stack(joints, axis=1)
        offsets = posed - xp.matmul(turned, rest[..., None])[..., 0]

        weights = constants.skinning_weights
        blended = xp.reshape(weights @ xp.reshape(turned, (len(turned), -1, 9)), (len(turned), -1, 3, 3))
        vertices = xp.matmul(blended, corrected[..., None])[..., 0] + weights @ offsets
        return Skinning(vertices, rest, posed, local, turned, offsets, corrected)

    def contour_rows(self, pose: Array) -> Array:
        """Which row of the contour table shows the face's edge for a pose.

        Args:
            pose: (B, 15).

        Returns:
            (B,) int64: the turn about y in whole degrees, 0..39, or 40..78 for -1..-39. More counts as 39.
        """
        xp = array_namespace(pose)
        neck = rotation_from_axis_angle(pose[:, 3:6])
        turn = xp.matmul(rotation_from_axis_angle(pose[:, :3]), neck)
        across = xp.sqrt(turn[:, 0, 0] ** 2 + turn[:, 1, 0] ** 2)
        degrees = xp.atan2(-turn[:, 2, 0], across) * (180 / math.pi)
        whole = xp.astype(xp.round(xp.clip(degrees, min=-39.0, max=39.0)), xp.int64)
        return xp.where(whole < 0, 39 - whole, whole)

    def edge_landmarks(self, vertices: Array, pose: Array) -> Array:
        """68 landmarks whose first 17 lie where the face's edge is seen, as 2D detectors mark it.

        Args:
            vertices: (B, V, 3) posed.
            pose: (B, 15) that posed them.

        Returns:
            (B, 68, 3). :meth:`landmarks` gives the 68 that stay fixed on the skin.
        """
        xp = array_namespace(vertices, pose)
        constants = self.arrays.like(vertices)
        rows = self.contour_rows(pose)
        contour = interpolate(
            vertices,
            xp.take(constants.contour_corners, rows, axis=0),
            xp.take(constants.contour_weights, rows, axis=0),
        )
        inner = interpolate(vertices, constants.inner_corners, constants.inner_weights)
        return xp.concat([contour, inner], axis=1)


def full_pose(global_and_jaw: Array, neck: Array | None = None, eyes: Array | None = None) -> Array:
    """FLAME's 15 pose numbers from DECA's 6 (global 0:3, jaw 3:6).

    Args:
        global_and_jaw: (B, 6).
        neck: (B, 3); zero if absent, as in DECA.
        eyes: (B, 6); zero if absent, as in DECA. GDPW passes its own.

    Returns:
        (B, 15), radians.
    """
    xp = array_namespace(global_and_jaw)
    whole, jaw = global_and_jaw[:, :3], global_and_jaw[:, 3:6]
    neck = xp.zeros_like(whole) if neck is None else neck
    eyes = xp.zeros_like(global_and_jaw) if eyes is None else eyes
    return xp.concat([whole, neck, jaw, eyes], axis=1)


def load_flame(
    model: Path | str, landmarks: Path | str, identity_size: int = 100, expression_size: int = 50
) -> FlameModel:
    """Reads ``generic_model.pkl`` and a landmark embedding (5023 vertices as published; any number here).

    Args:
        model: the authors' pickle; chumpy arrays in it are read as plain arrays.
        landmarks: DECA's ``landmark_embedding.npy``, or the same names in a safetensors file.
        identity_size: identity coefficients to keep, of 300.
        expression_size: expression coefficients to keep, of 100.

    Raises:
        WeightsMissing: one of the files is not there.
        WeightsDamaged: arrays missing, of other shapes, with NaN, with indices out of range, or code inside.
        BadValue: more coefficients asked for than there are.
    """
    if not (0 <= identity_size <= _FILE_IDENTITY and 0 <= expression_size <= _FILE_EXPRESSION):
        raise BadValue(
            f"FLAME has {_FILE_IDENTITY} identity and {_FILE_EXPRESSION} expression coefficients, "
            f"not {identity_size} and {expression_size}; ask for fewer"
        )
    path = Path(model)
    content = load_pickle(path)
    if not isinstance(content, dict):
        raise WeightsDamaged(path, "it holds no dict of arrays", _MODEL_FIX)
    file = ModelFile(path, content, _MODEL_FIX)
    mean = file.floats("v_template", (None, 3))
    count = len(mean)
    triangles = file.indices("f", (None, 3), count)
    # The root has no parent: files hold 2^32 - 1 there.
    if tuple(file.array("kintree_table", (2, len(PARENTS)))[0, 1:].tolist()) != PARENTS[1:]:
        raise file.refuse("its joints are not FLAME's global, neck, jaw and two eyes")
    directions = file.floats("shapedirs", (count, 3, _FILE_IDENTITY + _FILE_EXPRESSION)).transpose(2, 0, 1)
    weights = file.floats("weights", (count, len(PARENTS)))
    regressor = file.floats("J_regressor", (len(PARENTS), count))
    inner, contour, full = _load_landmarks(Path(landmarks), triangles)
    standing = interpolate(mean[None], full.corners, full.weights)[0]
    expression = directions[_FILE_IDENTITY : _FILE_IDENTITY + expression_size]
    return FlameModel(
        name="flame",
        mean=mean,
        identity_basis=np.ascontiguousarray(directions[:identity_size]),
        expression_basis=np.ascontiguousarray(expression),
        expression_names=numbered(len(expression)),
        triangles=triangles,
        landmark_points=full,
        regions=landmark_regions(mean, standing) | _joint_regions(weights, regressor @ mean),
        cm_per_unit=100.0,
        pose_basis=np.ascontiguousarray(file.floats("posedirs", (count, 3, 36)).transpose(2, 0, 1)),
        joint_regressor=regressor,
        skinning_weights=weights,
        inner_landmarks=inner,
        contour=contour,
    )


def _load_landmarks(path: Path, triangles: Indices) -> tuple[SurfacePoints, SurfacePoints, SurfacePoints]:
    """The 51 inner points, the 79 x 17 of the contour, and the fixed 68."""
    file = ModelFile(path, _read_embedding(path), _LANDMARKS_FIX)

    def points(names: tuple[str, str], shape: tuple[int, ...]) -> SurfacePoints:
        which = file.indices(names[0], shape, len(triangles))
        return SurfacePoints.on_triangles(triangles, which, file.floats(names[1], (*shape, 3)))

    inner = points(("static_lmk_faces_idx", "static_lmk_bary_coords"), (51,))
    contour = points(("dynamic_lmk_faces_idx", "dynamic_lmk_bary_coords"), (_CONTOUR_ROWS, 17))
    full = points(("full_lmk_faces_idx", "full_lmk_bary_coords"), (1, 68))
    return inner, contour, SurfacePoints(full.corners[0], full.weights[0])


def _read_embedding(path: Path) -> dict[str, Any]:
    if path.suffix == ".safetensors":
        return dict(read_stored(path, read_safetensors, "safetensors file", _LANDMARKS_FIX).arrays)
    content = load_pickle(path, {**ARRAYS, **TORCH_TENSORS})
    if isinstance(content, np.ndarray) and content.shape == ():
        content = content[()]
    if not isinstance(content, dict):
        raise WeightsDamaged(path, "it holds no dict of arrays", _LANDMARKS_FIX)
    return content


def _joint_regions(weights: Floats, joints: Floats) -> dict[str, Indices]:
    """Vertices by the joint that carries them most; left is where x is positive."""
    carrier = weights.argmax(axis=1)
    eyes = (
        ("left_eyeball", "right_eyeball")
        if joints[3, 0] > joints[4, 0]
        else ("right_eyeball", "left_eyeball")
    )
    names = {1: "neck", 2: "jaw", 3: eyes[0], 4: eyes[1]}
    return {name: np.flatnonzero(carrier == joint).astype(np.int32) for joint, name in names.items()}
