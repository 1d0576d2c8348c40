"""Files of saved avatars: safetensors that say whose they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from countenance.arrays import Image
from countenance.atomic import replacing
from countenance.errors import BadValue, MotionInvalid, UnknownName, WeightsDamaged
from countenance.motion.sequence import Motion
from countenance.motion.spaces import get_space
from countenance.portrait.crop import Crop
from countenance.ranges import PICTURE_SIDE_PX, Range
from countenance.stored.content import Malformed, reason_of
from countenance.stored.fields import typed
from countenance.stored.json_text import parsed_json
from countenance.stored.safetensors_file import read_safetensors

_FIX = "enroll the portrait again"
_PLACE = Annotated[int, Range(-1_000_000, 1_000_000)]
_CROP = tuple[_PLACE, _PLACE, Annotated[int, PICTURE_SIDE_PX]]


@dataclass(frozen=True, eq=False)
class AvatarFile:
    """What every avatar holds.

    Attributes:
        square: S x S x 3 uint8, the crop.
        motion: one frame, the person's own.
        crop: where the square lies in the portrait.
        more: further arrays of a kind.
    """

    square: Image
    motion: Motion
    crop: Crop
    more: Mapping[str, NDArray[Any]]


def save_avatar(path: Path, kind: str, avatar: AvatarFile) -> None:
    """Write a ``.safetensors`` file.

    Raises:
        OutputUnwritable: the path can't be written.
    """
    own = {"motion_crop": avatar.motion.crop, "identity": avatar.motion.identity}
    tensors: dict[str, NDArray[Any]] = {
        "square": avatar.square,
        "motion": avatar.motion.values,
        **{name: array for name, array in own.items() if array is not None},
        **avatar.more,
    }
    metadata = {
        "format": _format(kind),
        "space": avatar.motion.space.name,
        "crop": json.dumps([avatar.crop.left, avatar.crop.top, avatar.crop.side]),
    }
    payload = save(tensors, metadata=metadata)
    with replacing(path) as temporary:
        temporary.write_bytes(payload)


def load_avatar(path: Path, kind: str) -> AvatarFile:
    """Read what :func:`save_avatar` wrote.

    Raises:
        WeightsDamaged: no such file, of another kind, or damaged.
    """
    try:
        metadata, tensors = read_safetensors(path)
        if metadata.get("format") != _format(kind):
            raise WeightsDamaged(path, f"it is no {kind} avatar", _FIX)
        left, top, side = typed(_CROP, parsed_json(metadata["crop"]), "crop")
        crop = Crop(left, top, side)
        square, values = tensors.pop("square"), tensors.pop("motion")
        motion = Motion(
            values,
            get_space(metadata["space"]),
            25.0,
            crop=tensors.pop("motion_crop", None),
            identity=tensors.pop("identity", None),
        )
    except (Malformed, OSError) as error:
        raise WeightsDamaged(path, reason_of(error), _FIX) from error
    except KeyError as error:
        raise WeightsDamaged(path, f"it has no {error}", _FIX) from error
    except (BadValue, MotionInvalid, UnknownName) as error:
        raise WeightsDamaged(path, str(error), _FIX) from error
    if square.shape != (crop.side, crop.side, 3) or square.dtype != np.uint8 or len(motion) != 1:
        raise WeightsDamaged(path, "its arrays have the wrong shapes", _FIX)
    return AvatarFile(square, motion, crop, tensors)


def _format(kind: str) -> str:
    return f"countenance {kind} avatar 2"
