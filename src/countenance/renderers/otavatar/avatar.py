"""A person as OTAvatar knows them: an identity code, found by inversion."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from countenance.arrays import Floats, Image
from countenance.errors import WeightsDamaged
from countenance.motion.sequence import Motion
from countenance.portrait.crop import Crop
from countenance.renderers.avatar_files import AvatarFile, load_avatar, save_avatar
from countenance.renderers.otavatar.controller import interpolated_identity

_KIND = "otavatar"
_PARTS = ("code", "camera_correction", "network")


@dataclass(frozen=True, eq=False)
class OTAvatarAvatar:
    """A person.

    Attributes:
        code: (codes, code_width) w_id in W+.
        correction: (36,) of the camera's intrinsics and rotation, learnt together with the code.
        network: (32,) uint8, a digest of the network that the code belongs to.
        square: S x S x 3 uint8, the crop.
        motion: one frame, the person's own.
        crop: where the square lies in the portrait.
    """

    code: Floats
    correction: Floats
    network: Image
    square: Image
    motion: Motion
    crop: Crop

    def save(self, path: Path) -> None:
        """Write a ``.safetensors`` file; see :class:`~countenance.renderers.renderer.Avatar`."""
        more: dict[str, NDArray[Any]] = {
            "code": self.code,
            "camera_correction": self.correction,
            "network": self.network,
        }
        save_avatar(path, _KIND, AvatarFile(self.square, self.motion, self.crop, more))

    @classmethod
    def load(cls, path: Path) -> OTAvatarAvatar:
        """Read what :meth:`save` wrote.

        Raises:
            WeightsDamaged: no such file.
        """
        stored = load_avatar(path, _KIND)
        if set(stored.more) != set(_PARTS) or not all(
            np.isfinite(stored.more[name]).all() for name in _PARTS
        ):
            raise WeightsDamaged(path, "its code is incomplete", "enroll the portrait again")
        code, correction, network = (stored.more[name] for name in _PARTS)
        return cls(code, correction, network, stored.square, stored.motion, stored.crop)


def identities_between(first: OTAvatarAvatar, second: OTAvatarAvatar, share: float) -> OTAvatarAvatar:
    """A person between two: w_id' = share w_id_a + (1 - share) w_id_b (Eq. 15), and the same of the cameras.

    Crop, square and own motion are the first's.

    Args:
        first: a.
        second: b, of the same network.
        share: alpha; 1 is the first person, 0 the second.
    """
    code, correction = (
        interpolated_identity(torch.from_numpy(a), torch.from_numpy(b), share).numpy()
        for a, b in ((first.code, second.code), (first.correction, second.correction))
    )
    return replace(first, code=code, correction=correction)
