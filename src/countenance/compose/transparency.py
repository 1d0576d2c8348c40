"""The transparency of a photo that was moved: its own, bent as the picture is.

Renderers know opaque pictures only and are given the photo over white. How clear it is goes the same way a second time,
as a picture, and white is then taken out of the colours by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import repeat

import cv2
import numpy as np

from countenance.arrays import Alpha, Image
from countenance.compose.paste import Compositor
from countenance.media.frames import Frame
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT
from countenance.portrait.portrait import Portrait
from countenance.renderers.geometric.renderer import GeometricRenderer

_ROUNDING, _SOFT = 8, 32  # levels below what is clear: from here on something is drawn; by then it is opaque
_BESIDE_PX = 9  # width of the window in which what became clear finds a colour, and lines are closed
_ZERO = np.zeros(3)


def with_alpha(
    frames: Iterable[Frame], portrait: Portrait, motions: Motion | Sequence[Motion]
) -> Iterator[Frame]:
    """Frames of a moved cutout, transparent again.

    Alpha follows the head as the ``geometric`` renderer bends a photo, whatever renderer drew the frames; a motion in
    another space than ``arkit`` leaves the photo's own where it is. What a frame shows where that is clear (hair
    that was drawn anew, say) becomes opaque.

    Args:
        frames: whole pictures, as :func:`countenance.animation.animate` makes them.
        portrait: what was moved. Without a cutout, the frames come back as they are.
        motions: what ``animate`` was given.

    Returns:
        As many frames, H x W x 4 uint8 RGBA, colours not multiplied by alpha. Where nothing changed, they are the
        file's own, also where they can't be seen.
    """
    cutout = portrait.cutout
    if cutout is None:
        return iter(frames)
    parts = [motions] if isinstance(motions, Motion) else motions
    clear = zip(frames, _clearness(portrait, cutout, parts), strict=False)
    return (Frame(_cut_out(frame.image, now, portrait.image, cutout), frame.time_s) for frame, now in clear)


def _clearness(portrait: Portrait, cutout: Image, parts: Sequence[Motion]) -> Iterator[Alpha]:
    """(H, W) how much of the white behind each pixel is seen, 255 minus alpha, one a frame."""
    own = 255 - cutout[..., 3]
    if any(part.space.name != ARKIT.name for part in parts):
        yield from repeat(own)  # as long as there are frames
    # What is drawn anew, as a mouth's inside, is the same in all channels, so that it is not clear in their difference.
    layer = np.dstack([own, np.zeros_like(own), np.zeros_like(own)])
    renderer = GeometricRenderer()
    avatar = renderer.enroll(replace(portrait, image=layer))
    compositor = Compositor(portrait.crop, *own.shape)
    for part in parts:
        for square in renderer.render(avatar, part):
            pasted = compositor.paste(square, layer)
            yield np.asarray(cv2.subtract(pasted[..., 0], pasted[..., 1]), np.uint8)


def _cut_out(image: Image, clear: Alpha, photo: Image, cutout: Image) -> Image:
    """RGBA of what is ``image`` over white: the cutout, but where something changed."""
    out = cutout.copy()
    same = cv2.inRange(cv2.absdiff(image, photo), _ZERO, _ZERO) > 0
    changed = ~same | (clear != 255 - cutout[..., 3])
    left, top, width, height = cv2.boundingRect(changed.astype(np.uint8))
    if width:
        rows, columns = (
            slice(max(at - _BESIDE_PX, 0), at + n + _BESIDE_PX) for at, n in ((top, height), (left, width))
        )
        area = rows, columns
        out[area][changed[area]] = _without_white(image[area], clear[area])[changed[area]]
    return out


def _without_white(image: Image, clear: Alpha) -> Image:
    """RGBA, colours not multiplied by alpha."""
    alpha = _with_drawn(255 - clear, image)
    out = np.dstack([image, alpha])
    partly = (alpha > 0) & (alpha < 255)
    share = alpha[partly, None].astype(np.float32) / 255
    out[partly, :3] = ((image[partly] - 255 * (1 - share)) / share).round().clip(0, 255)
    gone = alpha == 0
    out[gone, :3] = _colours_beside(out)[gone]
    return out


def _with_drawn(alpha: Alpha, image: Image) -> Alpha:
    """Opaque, too, where the picture shows what can't be seen through: nothing over white is darker than it is clear.

    The line along which alpha ended goes: it would be drawn through what reaches over it.
    """
    darkest = cv2.min(cv2.min(image[..., 0], image[..., 1]), image[..., 2])
    excess = 255 - alpha.astype(np.int16) - darkest - _ROUNDING
    if excess.max() <= 0:
        return alpha
    drawn = np.maximum(alpha, excess.clip(0, _SOFT) * 255 // _SOFT).astype(np.uint8)
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_BESIDE_PX, _BESIDE_PX))
    near = cv2.dilate((excess > 0).astype(np.uint8), around) > 0
    return np.where(near, cv2.morphologyEx(drawn, cv2.MORPH_CLOSE, around), drawn).astype(np.uint8)


def _colours_beside(picture: Image) -> Image:
    """Mean colours around each pixel by alpha, so that players which blend neighbours show no white fringe."""
    alpha = picture[..., 3:].astype(np.float32)
    window = (_BESIDE_PX, _BESIDE_PX)
    seen = cv2.blur(picture[..., :3] * alpha, window)
    weight = cv2.blur(alpha, window)[..., None]
    return np.asarray((seen / np.maximum(weight, 1e-3)).round().clip(0, 255), np.uint8)
