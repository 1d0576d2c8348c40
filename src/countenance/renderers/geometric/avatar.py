"""A person as the geometric renderer knows them: the crop, its landmarks and its own motion."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from countenance.arrays import Floats, Image
from countenance.atomic import replacing
from countenance.errors import WeightsDamaged
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT
from countenance.portrait.crop import Crop
from countenance.renderers.geometric.deformation import Deformation
from countenance.renderers.geometric.eyes import EyeBall, find_eyeballs
from countenance.renderers.geometric.head_mesh import HeadMesh, build_head_mesh
from countenance.renderers.geometric.mouth import MouthInside, prepare_mouth

_FORMAT = "countenance geometric avatar 1"


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
        tensors: dict[str, NDArray[Any]] = {
            "square": self.square,
            "landmarks_px": self.landmarks_px,
            "motion": self.motion.values,
        }
        crop = json.dumps([self.crop.left, self.crop.top, self.crop.side])
        payload = save(tensors, metadata={"format": _FORMAT, "crop": crop})
        with replacing(path) as temporary:
            temporary.write_bytes(payload)

    @classmethod
    def load(cls, path: Path) -> GeometricAvatar:
        """Read what :meth:`save` wrote.

        Raises:
            WeightsDamaged: no such file.
        """
        fix = "enroll the portrait again"
        try:
            with safe_open(path, "np") as file:
                metadata = file.metadata() or {}
                if metadata.get("format") != _FORMAT:
                    raise WeightsDamaged(path, "it is no avatar of the geometric renderer", fix)
                square, landmarks = file.get_tensor("square"), file.get_tensor("landmarks_px")
                motion = Motion(file.get_tensor("motion"), ARKIT, 25.0)
        except (SafetensorError, OSError) as error:
            raise WeightsDamaged(path, str(error), fix) from error
        crop = Crop(*json.loads(metadata["crop"]))
        if (
            square.shape != (crop.side, crop.side, 3)
            or square.dtype != np.uint8
            or landmarks.shape != (478, 3)
        ):
            raise WeightsDamaged(path, "its arrays have the wrong shapes", fix)
        return cls(square, landmarks, motion, crop)
