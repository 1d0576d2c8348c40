"""Read this first: portrait + motion + renderer -> frames.

Files, live streams and the tests all go through the functions below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, count
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np

from countenance.arrays import Image
from countenance.compose.follow import FollowingCompositor
from countenance.compose.group import GroupCompositor
from countenance.compose.paste import Compositor
from countenance.compose.transparency import with_alpha
from countenance.errors import BadValue, MotionSpaceMismatch, expect_type
from countenance.media.frames import Frame
from countenance.motion.sequence import Motion
from countenance.portrait.portrait import Portrait
from countenance.prefetch import prefetched
from countenance.renderers.catalogue import load_renderer
from countenance.renderers.renderer import DrawsSurroundings, Renderer

AvatarT = TypeVar("AvatarT")


class Animation(Iterator[Frame]):
    """Frames, lazily, with what a file of them needs to know; ``write_video(path, animation)`` is enough.

    Attributes:
        fps: frames a second.
        model: name of the renderer, for the mark that every output carries.
        frames: how many there will be.
        sound: a file whose sound belongs to the frames, or None.
    """

    def __init__(
        self, pictures: Iterable[Image], fps: float, model: str, frames: int, sound: Path | None = None
    ) -> None:
        self.fps, self.model, self.frames, self.sound = fps, model, frames, sound
        self._frames: Iterator[Frame] = (
            Frame(image, i / fps) for image, i in zip(pictures, count(), strict=False)
        )

    def map(self, change: Callable[[Iterator[Frame]], Iterator[Frame]]) -> Self:
        """This animation with its frames passed through ``change``, lazily."""
        self._frames = change(self._frames)
        return self

    def __iter__(self) -> Self:
        """Itself: frames can be taken once."""
        return self

    def __next__(self) -> Frame:
        """The next frame."""
        return next(self._frames)

    def __length_hint__(self) -> int:
        """How many frames there will be."""
        return self.frames


def animate(
    portrait: Portrait,
    motion: Motion | Sequence[Motion],
    renderer: Renderer[AvatarT] | None = None,
    *,
    paste_back: bool = True,
    avatar: AvatarT | None = None,
) -> Animation:
    """One photo, moved.

    Args:
        portrait: the person, cropped at ``renderer.spec.crop_scale``.
        motion: what the head does, relative to the portrait's crop (see
            :func:`countenance.motion.transfer.transfer` to get there from a driver's motion). Several, of one rate,
            are shown one after the other.
        renderer: makes the pictures; the default one if None.
        paste_back: whole pictures; False gives the renderer's square.
        avatar: of this portrait, if it was enrolled before.

    Returns:
        Frames, lazily and in bounded memory, rendered one ahead in a thread; checks are made at once. Of a photo
        that is transparent somewhere, whole pictures are, too: H x W x 4.

    Raises:
        MotionSpaceMismatch: the motion is in another space than the renderer's.
        BadValue: no portrait, or no motion.
    """
    expect_type(portrait, Portrait, "the portrait", "read one with load_portrait")
    expect_type(motion, (Motion, Sequence), "the motion", "give a Motion, or a list of them")
    parts = [motion] if isinstance(motion, Motion) else list(motion)
    if not parts:
        raise BadValue("there is no motion to show; give a Motion, or a list with at least one")
    using = chosen_renderer(renderer)
    for part in parts:
        expect_type(part, Motion, "the motion", "give a Motion, or a list of them")
        _expect_space(part, using)
    if len({part.fps for part in parts}) > 1:
        raise BadValue("the motions have several frame rates; bring them to one with Motion.resample")
    known = using.enroll(portrait) if avatar is None else avatar
    pictures = prefetched(chain.from_iterable([using.render(known, part) for part in parts]))
    length, model = sum(map(len, parts)), using.spec.name
    if not paste_back:
        return Animation(pictures, parts[0].fps, model, length)
    whole = Animation(_put_back(pictures, portrait, parts, using), parts[0].fps, model, length)
    return whole.map(lambda frames: with_alpha(frames, portrait, parts))


def animate_group(
    portraits: Sequence[Portrait], motions: Sequence[Motion], renderer: Renderer[AvatarT] | None = None
) -> Animation:
    """Several people of one photo, moved at once.

    Args:
        portraits: the people, all of the same picture.
        motions: one a person, of one rate; the shortest decides the length.
        renderer: makes the pictures; the default one if None.

    Returns:
        As :func:`animate`.

    Raises:
        MotionSpaceMismatch: as :func:`animate`.
        BadValue: no people, other numbers of people and motions, or several frame rates.
    """
    for given, kind in ((portraits, Portrait), (motions, Motion)):
        expect_type(given, Sequence, "a group", "give a list of portraits, then a list of motions")
        for one in given:
            expect_type(one, kind, "one of the group", "give a list of portraits, then a list of motions")
    if not portraits or len(portraits) != len(motions):
        raise BadValue(f"{len(portraits)} people can't follow {len(motions)} motions; give one a person")
    if len({motion.fps for motion in motions}) > 1:
        raise BadValue("the motions have several frame rates; bring them to one with Motion.resample")
    if any(not np.array_equal(p.image, portraits[0].image) for p in portraits[1:]):
        raise BadValue("the people are of several pictures; read them together with load_portraits")
    using = chosen_renderer(renderer)
    shown = [animate(replace(p, cutout=None), m, using) for p, m in zip(portraits, motions, strict=True)]
    image, reach = portraits[0].image, 1.2 if isinstance(using, DrawsSurroundings) else 0.5
    height, width = image.shape[:2]
    group = GroupCompositor([p.crop for p in portraits], height, width, reach)
    pictures = (group.paste([frame.image for frame in each], image) for each in zip(*shown, strict=False))
    return Animation(pictures, motions[0].fps, using.spec.name, min(map(len, motions)))


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
    pictures: Iterable[Portrait | Image], motion: Motion, renderer: Renderer[AvatarT] | None = None
) -> Animation:
    """A film of a person, moved: each of its frames takes the pose and expression of the same frame of ``motion``.

    Args:
        pictures: one a frame: its portrait, or the picture as it is where nobody is to be moved. The shorter of
            pictures and motion decides the length.
        motion: as in :func:`animate`, relative to each portrait's own crop.
        renderer: one whose spec says ``redrives_video``; the default one if None.

    Raises:
        MotionSpaceMismatch: as in :func:`animate`.
        BadValue: the renderer can't.
    """
    using = chosen_renderer(renderer)
    _expect_space(motion, using)
    if not using.spec.redrives_video:
        raise BadValue(
            f"model '{using.spec.name}' animates photos only; use --model geometric for a video source"
        )
    return Animation(_redriven(pictures, motion, using), motion.fps, using.spec.name, len(motion))


def _redriven(
    pictures: Iterable[Portrait | Image], motion: Motion, renderer: Renderer[AvatarT]
) -> Iterator[Image]:
    compositor, crop = None, None
    for picture, moment in zip(pictures, motion, strict=False):
        if isinstance(picture, np.ndarray):
            yield picture
            continue
        if compositor is None or crop != picture.crop:
            crop, compositor = picture.crop, Compositor(picture.crop, *picture.image.shape[:2])
        square: Image = next(renderer.render(renderer.enroll(picture), moment))
        yield compositor.paste(square, picture.image)


def chosen_renderer(renderer: Renderer[Any] | None) -> Renderer[Any]:
    """The renderer that was given, or the default one.

    Raises:
        BadValue: something else was given.
    """
    if renderer is None:
        return load_renderer()
    if not (hasattr(renderer, "render") and hasattr(renderer, "spec")):
        raise BadValue(f"the renderer is of type {type(renderer).__name__}; load it with load_renderer")
    return renderer


def _expect_space(motion: Motion, renderer: Renderer[AvatarT]) -> None:
    if motion.space.name != renderer.spec.motion_space:
        raise MotionSpaceMismatch(
            motion.space.name, renderer.spec.motion_space, f"model '{renderer.spec.name}'"
        )
