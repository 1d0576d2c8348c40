"""Morphable models: identity, expression and pose coefficients -> the vertices of a head.

Every model works on numpy arrays and on torch tensors of any device, and is differentiable there: what goes
in decides what comes out. All are in the head frame (right-handed, x to the person's left, y up, z out of the
face); each has its own unit of length, see :attr:`MorphableModel.cm_per_unit`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from countenance.arrays import Floats, Indices
from countenance.errors import BadValue
from countenance.face.model_arrays import Array, ModelArrays
from countenance.face.rotations import rotation_from_angles
from countenance.face.surface_points import SurfacePoints, interpolate


@dataclass(frozen=True, kw_only=True, eq=False)
class MorphableModel(ABC):
    """A mean head, the ways in which it can differ from it, and a pose.

    Attributes:
        name: what messages call it.
        mean: (V, 3) vertices at zero coefficients, before posing.
        identity_basis: (I, V, 3) displacement for one unit of each identity coefficient.
        expression_basis: (E, V, 3) the same for expression.
        expression_names: E names, in order.
        triangles: (F, 3) vertex indices, counter-clockwise seen from outside.
        landmark_points: the model's landmarks; 68 of them are in iBUG order.
        regions: name -> sorted vertex indices.
        cm_per_unit: centimetres in the model's unit of length.
    """

    pose_names: ClassVar[tuple[str, ...]]

    name: str
    mean: Floats
    identity_basis: Floats
    expression_basis: Floats
    expression_names: tuple[str, ...]
    triangles: Indices
    landmark_points: SurfacePoints
    regions: Mapping[str, Indices]
    cm_per_unit: float

    def __post_init__(self) -> None:
        for what, basis in (("identity", self.identity_basis), ("expression", self.expression_basis)):
            if basis.shape[1:] != self.mean.shape:
                raise BadValue(
                    f"model '{self.name}': {what} basis has shape {basis.shape}, "
                    f"but the mean {self.mean.shape}; give it as (coefficients, vertices, 3)"
                )
        if len(self.expression_names) != self.expression_size:
            raise BadValue(
                f"model '{self.name}' has {self.expression_size} expression coefficients "
                f"but {len(self.expression_names)} names for them; give one name each"
            )

    @property
    def identity_size(self) -> int:
        """Number of identity coefficients."""
        return len(self.identity_basis)

    @property
    def expression_size(self) -> int:
        """Number of expression coefficients."""
        return len(self.expression_basis)

    @abstractmethod
    def vertices(self, identity: Array, expression: Array, pose: Array | None = None) -> Array:
        """The posed head.

        Args:
            identity: (B, I), or (1, I) for one person in many frames.
            expression: (B, E).
            pose: (B, P) in the order of ``pose_names``; the rest pose if absent.

        Returns:
            (B, V, 3) in model units.

        Raises:
            BadValue: a number of coefficients that the model doesn't have.
        """

    def shape(self, identity: Array, expression: Array) -> Array:
        """The head before posing: mean + identity + expression, (B, V, 3) in model units."""
        xp = array_namespace(identity, expression)
        self._expect("identity", identity, self.identity_size)
        self._expect("expression", expression, self.expression_size)
        constants = self.arrays.like(expression)
        moved = identity @ constants.identity_basis + expression @ constants.expression_basis
        return xp.reshape(constants.mean + moved, (-1, len(self.mean), 3))

    def landmarks(self, vertices: Array) -> Array:
        """The landmarks (B, L, 3) on vertices (B, V, 3)."""
        constants = self.arrays.like(vertices)
        return interpolate(vertices, constants.landmark_corners, constants.landmark_weights)

    @cached_property
    def arrays(self) -> ModelArrays:
        """The model's constants in the kind of array that the caller works with."""
        return ModelArrays(self.constants())

    def constants(self) -> dict[str, NDArray[Any]]:
        """What :attr:`arrays` serves; models with more arrays add theirs."""
        return {
            "mean": self.mean.reshape(-1),
            "identity_basis": self.identity_basis.reshape(self.identity_size, -1),
            "expression_basis": self.expression_basis.reshape(self.expression_size, -1),
            "landmark_corners": self.landmark_points.corners,
            "landmark_weights": self.landmark_points.weights,
        }

    def _expect(self, what: str, coefficients: Array, size: int) -> None:
        if coefficients.ndim != 2 or coefficients.shape[1] != size:
            raise BadValue(
                f"model '{self.name}' takes {what} of shape (batch, {size}), not {tuple(coefficients.shape)}"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearModel(MorphableModel):
    """A head that moves as one: no joints. Angles in radians, translation in model units."""

    pose_names: ClassVar[tuple[str, ...]] = ("pitch", "yaw", "roll", "tx", "ty", "tz")

    def vertices(self, identity: Array, expression: Array, pose: Array | None = None) -> Array:
        """R shape + t with R = Rz(roll) Ry(yaw) Rx(pitch); see :meth:`MorphableModel.vertices`."""
        shape = self.shape(identity, expression)
        return shape if pose is None else self.posed(shape, pose)

    def posed(self, shape: Array, pose: Array) -> Array:
        """Turns and moves vertices (B, V, 3) by ``pose`` (B, 6)."""
        xp = array_namespace(shape, pose)
        self._expect("pose", pose, len(self.pose_names))
        rotation = rotation_from_angles(pose[:, :3])
        return xp.matmul(shape, xp.matrix_transpose(rotation)) + pose[:, None, 3:]


def numbered(count: int) -> tuple[str, ...]:
    """Names of coefficients that have none: exp00, exp01 ..."""
    return tuple(f"exp{index:02d}" for index in range(count))


def as_indices(indices: NDArray[Any]) -> Indices:
    """Sorted vertex indices, each once."""
    return np.unique(indices).astype(np.int32)
