"""Read this first: portrait + motion + renderer -> frames.

Files, live streams and the tests all go through the generators below.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, count
from typing import TypeVar

from countenance.arrays import Image
from countenance.compose.follow import FollowingCompositor
from countenance.compose.paste import Compositor
from countenance.errors import BadValue, MotionSpaceMismatch
from countenance.media.frames import Frame
from countenance.motion.sequence import Motion
from countenance.portrait.portrait import Portrait
from countenance.prefetch import prefetched
from countenance.renderers.renderer import DrawsSurroundings, Renderer

AvatarT = TypeVar("AvatarT")


def animate(
    portrait: Portrait,
    motion: Motion | Sequence[Motion],
    renderer: Renderer[AvatarT],
    *,
    paste_back: bool = True,
    avatar: AvatarT | None = None,
) -> Iterator[Frame]:
    """One photo, moved.

    Args:
        portrait: the person, cropped at ``renderer.spec.crop_scale``.
        motion: what the head does, relative to the portrait's crop (see
            :func:`countenance.motion.transfer.transfer` to get there from a driver's motion). Several, of one rate,
            are shown one after the other.
        renderer: makes the pictures.
        paste_back: whole pictures; False gives the renderer's square.
        avatar: of this portrait, if it was enrolled before.

    Returns:
        Frames, lazily and in bounded memory, rendered one ahead in a thread; checks are made at once.

    Raises:
        MotionSpaceMismatch: the motion is in another space than the renderer's.
    """
    parts = [motion] if isinstance(motion, Motion) else motion
    for part in parts:
        _expect_space(part, renderer)
    known = renderer.enroll(portrait) if avatar is None else avatar
    pictures = prefetched(chain.from_iterable([renderer.render(known, part) for part in parts]))
    if paste_back:
        pictures = _put_back(pictures, portrait, parts, renderer)
    return (Frame(picture, i / parts[0].fps) for picture, i in zip(pictures, count(), strict=False))


def _put_back(
    pictures: Iterator[Image], portrait: Portrait, parts: Sequence[Motion], renderer: Renderer[AvatarT]
) -> Iterator[Image]:
    """Whole pictures of squares."""
    height, width = portrait.image.shape[:2]
    if isinstance(renderer, DrawsSurroundings):
        own = renderer.placements(portrait.motion[0])[0]
        following = FollowingCompositor(portrait.crop, height, width, own)
        places = chain.from_iterable(renderer.placements(part) for part in parts)
        return (following.paste(p, portrait.image, at) for p, at in zip(pictures, places, strict=True))
    compositor = Compositor(portrait.crop, height, width)
    return (compositor.paste(picture, portrait.image) for picture in pictures)


def redrive(
    portraits: Iterable[Portrait], motion: Motion, renderer: Renderer[AvatarT], *, paste_back: bool = True
) -> Iterator[Frame]:
    """A video of a person, moved: each of its frames takes the pose and expression of the same frame of ``motion``.

    Args:
        portraits: one a frame, all with the same crop; the shorter of portraits and motion decides the length.
        motion: as in :func:`animate`.
        renderer: one whose spec says ``redrives_video``.
        paste_back: as in :func:`animate`.

    Raises:
        MotionSpaceMismatch: as in :func:`animate`.
        BadValue: the renderer can't.
    """
    _expect_space(motion, renderer)
    if not renderer.spec.redrives_video:
        raise BadValue(
            f"model '{renderer.spec.name}' animates photos only; use --model geometric for a video source"
        )
    return _redriven(portraits, motion, renderer, paste_back)


def _redriven(
    portraits: Iterable[Portrait], motion: Motion, renderer: Renderer[AvatarT], paste_back: bool
) -> Iterator[Frame]:
    compositor: Compositor | None = None
    for portrait, moment, time_s in zip(portraits, motion, motion.times_s, strict=False):
        picture: Image = next(renderer.render(renderer.enroll(portrait), moment))
        if compositor is None:
            compositor = Compositor(portrait.crop, *portrait.image.shape[:2])
        yield Frame(compositor.paste(picture, portrait.image) if paste_back else picture, float(time_s))


def _expect_space(motion: Motion, renderer: Renderer[AvatarT]) -> None:
    if motion.space.name != renderer.spec.motion_space:
        raise MotionSpaceMismatch(
            motion.space.name, renderer.spec.motion_space, f"model '{renderer.spec.name}'"
        )
