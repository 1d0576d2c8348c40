"""What every renderer offers: enroll a portrait once, then render as many motions of it as you like."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

from countenance.arrays import Floats, Image
from countenance.motion.sequence import Motion
from countenance.portrait.crop import Crop
from countenance.portrait.portrait import Portrait
from countenance.renderers.spec import RendererSpec


@runtime_checkable
class Avatar(Protocol):
    """All that a renderer knows of a person before any motion is given. It can be saved and loaded."""

    @property
    def motion(self) -> Motion:
        """One frame: the person's own pose and expression."""
        ...

    @property
    def crop(self) -> Crop:
        """The square of the portrait that is rendered."""
        ...

    def save(self, path: Path) -> None:
        """Write a ``.safetensors`` file.

        Raises:
            OutputUnwritable: the path can't be written.
        """
        ...


AvatarT = TypeVar("AvatarT")


class Renderer(Protocol[AvatarT]):
    """Avatar + Motion -> pictures of the crop."""

    @property
    def spec(self) -> RendererSpec:
        """Its name and needs."""
        ...

    def enroll(self, portrait: Portrait) -> AvatarT:
        """Do all work that does not depend on the motion."""
        ...

    def load_avatar(self, path: Path) -> AvatarT:
        """Read what ``Avatar.save`` wrote.

        Raises:
            WeightsDamaged: no avatar of this renderer.
        """
        ...

    def render(self, avatar: AvatarT, motion: Motion) -> Iterator[Image]:
        """Pictures of the crop, one a frame, lazily and in bounded memory.

        Raises:
            MotionSpaceMismatch: at once, before the first frame.
        """
        ...


@runtime_checkable
class DrawsSurroundings(Protocol):
    """A renderer whose pictures do not meet the photo at the square's border, as all of the square is drawn anew."""

    def placements(self, motion: Motion) -> Floats:
        """(T, 2, 3) where the head is drawn in the square: from its plane, y down, to sides of the crop, y down.

        Only what one similarity has relative to another counts, so that any unit will do in the head's plane.
        """
        ...
