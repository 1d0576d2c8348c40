"""A person as networks know them: the crop's pixels and their own motion. The rest is computed at the first frame."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from countenance.arrays import Image
from countenance.motion.sequence import Motion
from countenance.portrait.crop import Crop
from countenance.renderers.avatar_files import AvatarFile, load_avatar, save_avatar


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
        save_avatar(path, "photo", AvatarFile(self.square, self.motion, self.crop, {}))

    @classmethod
    def load(cls, path: Path) -> PhotoAvatar:
        """Read what :meth:`save` wrote.

        Raises:
            WeightsDamaged: no such file.
        """
        stored = load_avatar(path, "photo")
        return cls(stored.square, stored.motion, stored.crop)
