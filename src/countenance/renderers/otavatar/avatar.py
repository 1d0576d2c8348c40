"""A person as OTAvatar knows them: an identity code, found by inversion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from countenance.arrays import Floats, Image
from countenance.errors import BadValue, WeightsDamaged
from countenance.motion.sequence import Motion
from countenance.portrait.crop import Crop
from countenance.renderers.avatar_files import AvatarFile, load_avatar, save_avatar
from countenance.renderers.otavatar.controller import interpolated_identity

_KIND = "otavatar"
_PARTS = ("code", "camera_correction", "network")
_TUNED = "generator."  # before names of weights


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
        tuned: weights of the generator that are the person's own, by name; see
            :mod:`~countenance.renderers.otavatar.tuning`.
    """

    code: Floats
    correction: Floats
    network: Image
    square: Image
    motion: Motion
    crop: Crop
    tuned: Mapping[str, Floats] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write a ``.safetensors`` file; see :class:`~countenance.renderers.renderer.Avatar`."""
        more: dict[str, NDArray[Any]] = {
            "code": self.code,
            "camera_correction": self.correction,
            "network": self.network,
            **{_TUNED + name: weight.astype(np.float16) for name, weight in self.tuned.items()},
        }
        save_avatar(path, _KIND, AvatarFile(self.square, self.motion, self.crop, more))

    @classmethod
    def load(cls, path: Path) -> OTAvatarAvatar:
        """Read what :meth:`save` wrote.

        Raises:
            WeightsDamaged: no such file.
        """
        stored = load_avatar(path, _KIND)
        tuned = {name: part for name, part in stored.more.items() if name.startswith(_TUNED)}
        parts = stored.more.values()
        if set(stored.more) != {*_PARTS, *tuned} or not all(
            part.dtype.kind in "fu" and np.isfinite(part).all() for part in parts
        ):
            raise WeightsDamaged(path, "its code is incomplete", "enroll the portrait again")
        code, correction, network = (stored.more[name] for name in _PARTS)
        tuned = {name.removeprefix(_TUNED): part.astype(np.float32) for name, part in tuned.items()}
        return cls(code, correction, network, stored.square, stored.motion, stored.crop, tuned)


def identities_between(first: OTAvatarAvatar, second: OTAvatarAvatar, share: float) -> OTAvatarAvatar:
    """A person between two: w_id' = share w_id_a + (1 - share) w_id_b (Eq. 15), and the same of the cameras.

    So it is of what was tuned. Crop, square and own motion are the first's.

    Args:
        first: a.
        second: b, of the same network.
        share: alpha; 1 is the first person, 0 the second.

    Raises:
        BadValue: only one of them is tuned.
    """

    def between(a: Floats, b: Floats) -> Floats:
        mixed: Floats = interpolated_identity(torch.from_numpy(a), torch.from_numpy(b), share).numpy()
        return mixed

    if first.tuned.keys() != second.tuned.keys():
        raise BadValue(
            "one of the two was enrolled with a tuned generator and one without; enroll them alike"
        )
    return replace(
        first,
        code=between(first.code, second.code),
        correction=between(first.correction, second.correction),
        tuned={name: between(weight, second.tuned[name]) for name, weight in first.tuned.items()},
    )
