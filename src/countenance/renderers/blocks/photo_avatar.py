"""A person as networks know them: the crop's pixels and their own motion. The rest is computed at the first frame."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from countenance.arrays import Image
from countenance.atomic import replacing
from countenance.errors import MotionInvalid, UnknownName, WeightsDamaged
from countenance.motion.sequence import Motion
from countenance.motion.spaces import get_space
from countenance.portrait.crop import Crop

_FORMAT = "countenance photo avatar 1"


@dataclass(frozen=True, eq=False)
class PhotoAvatar:
    """A person.

    Attributes:
        square: S x S x 3 uint8, the crop.
        motion: one frame, the person's own, with their identity if the renderer needs it.
        crop: where the square lies in the portrait.
    """

    square: Image
    motion: Motion
    crop: Crop

    def save(self, path: Path) -> None:
        """Write a ``.safetensors`` file; see :class:`~countenance.renderers.renderer.Avatar`."""
        tensors: dict[str, NDArray[Any]] = {"square": self.square, "motion": self.motion.values}
        if self.motion.crop is not None:
            tensors["motion_crop"] = self.motion.crop
        if self.motion.identity is not None:
            tensors["identity"] = self.motion.identity
        metadata = {
            "format": _FORMAT,
            "space": self.motion.space.name,
            "crop": json.dumps([self.crop.left, self.crop.top, self.crop.side]),
        }
        payload = save(tensors, metadata=metadata)
        with replacing(path) as temporary:
            temporary.write_bytes(payload)

    @classmethod
    def load(cls, path: Path) -> PhotoAvatar:
        """Read what :meth:`save` wrote.

        Raises:
            WeightsDamaged: no such file.
        """
        fix = "enroll the portrait again"
        try:
            with safe_open(path, "np") as file:
                metadata = file.metadata() or {}
                if metadata.get("format") != _FORMAT:
                    raise WeightsDamaged(path, "it is no avatar of this renderer", fix)
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
            crop = Crop(*json.loads(metadata["crop"]))
            space = get_space(metadata["space"])
            motion = Motion(
                tensors["motion"],
                space,
                25.0,
                crop=tensors.get("motion_crop"),
                identity=tensors.get("identity"),
            )
        except (
            SafetensorError,
            OSError,
            ValueError,
            KeyError,
            TypeError,
            UnknownName,
            MotionInvalid,
        ) as error:
            raise WeightsDamaged(path, str(error), fix) from error
        square = tensors["square"]
        if square.shape != (crop.side, crop.side, 3) or square.dtype != np.uint8 or len(motion) != 1:
            raise WeightsDamaged(path, "its arrays have the wrong shapes", fix)
        return cls(square, motion, crop)
