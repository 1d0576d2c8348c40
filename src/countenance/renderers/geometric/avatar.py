"""A person as the geometric renderer knows them: the crop, its landmarks and its own motion."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np

from countenance.arrays import Floats, Image
from countenance.errors import WeightsDamaged
from countenance.face.mediapipe_topology import VERTEX_COUNT
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT
from countenance.portrait.crop import Crop
from countenance.renderers.avatar_files import AvatarFile, load_avatar, save_avatar
from countenance.renderers.geometric.deformation import Deformation
from countenance.renderers.geometric.eyes import EyeBall, find_eyeballs
from countenance.renderers.geometric.head_mesh import HeadMesh, build_head_mesh
from countenance.renderers.geometric.mouth import MouthInside, prepare_mouth

_FARTHEST: Final = 10  # of the crop's sides: where a landmark may lie


@dataclass(frozen=True, eq=False)
class GeometricAvatar:
    """What is stored; everything else is computed from it on first use.

    Attributes:
        square: S x S x 3 uint8, the crop.
        landmarks_px: (478, 3) in px of the crop.
        motion: one frame of ``arkit``, relative to ``crop``.
        crop: where the square lies in the portrait.
    """

    square: Image
    landmarks_px: Floats
    motion: Motion
    crop: Crop

    @cached_property
    def mesh(self) -> HeadMesh:
        """The mesh on the source."""
        return build_head_mesh(self.landmarks_px, self.crop.side)

    @cached_property
    def deformation(self) -> Deformation:
        """Poses that mesh."""
        return Deformation(self.mesh, self.motion.values[0], self.crop.side)

    @cached_property
    def eyeballs(self) -> tuple[EyeBall, EyeBall]:
        """The source's eyes."""
        return find_eyeballs(self.mesh, self.crop.side)

    @cached_property
    def mouth(self) -> MouthInside:
        """Colours of the inside of the mouth."""
        return prepare_mouth(self.square, self.landmarks_px)

    def save(self, path: Path) -> None:
        """Write a ``.safetensors`` file; see :class:`~countenance.renderers.renderer.Avatar`."""
        more = {"landmarks_px": self.landmarks_px}
        save_avatar(path, "geometric", AvatarFile(self.square, self.motion, self.crop, more))

    @classmethod
    def load(cls, path: Path) -> GeometricAvatar:
        """Read what :meth:`save` wrote.

        Raises:
            WeightsDamaged: no such file.
        """
        stored = load_avatar(path, "geometric")
        landmarks = stored.more.get("landmarks_px")
        if (
            landmarks is None
            or landmarks.shape != (VERTEX_COUNT, 3)
            or landmarks.dtype != np.float32
            or not (np.abs(landmarks) <= _FARTHEST * stored.crop.side).all()
            or stored.motion.space.name != ARKIT.name
        ):
            raise WeightsDamaged(path, "its arrays have the wrong shapes", "enroll the portrait again")
        return cls(stored.square, landmarks, stored.motion, stored.crop)
