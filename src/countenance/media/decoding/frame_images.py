"""Decoded frames of a film to pictures: square pixels, upright, one size, BT.709 or sRGB colours, on white."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from countenance.arrays import Image
from countenance.media.alpha import over_white
from countenance.media.decoding.tone_mapping import ToneMapping
from countenance.ranges import Range

_ASPECTS: Final = Range(0.1, 10)  # of a pixel; others are damage
_SQUARE: Final = 0.01  # an aspect this near to 1 is not worth a blurred picture


class FrameImages:
    """Makes pictures of one film's frames, all of the first one's size.

    Args:
        first: a frame.
        aspect: width of a pixel by its height, or None.
        transfer: transfer characteristics, as ITU-T H.273 numbers them.
        primaries: colour primaries, likewise.

    Attributes:
        width: px, upright, of square pixels.
        height: px.
    """

    def __init__(self, first: Any, aspect: float | None, transfer: int, primaries: int) -> None:
        ratio = float(aspect) if aspect and _ASPECTS.holds(float(aspect)) else 1.0
        coded = (round(first.width * ratio) if abs(ratio - 1) > _SQUARE else first.width, first.height)
        self._coded = coded
        self._turns = round(getattr(first, "rotation", 0) / 90) % 4
        self.width, self.height = coded[::-1] if self._turns % 2 else coded
        needs_mapping = ToneMapping.needed(transfer, primaries)
        self._tones = ToneMapping(transfer, primaries) if needs_mapping else None
        self._reformatter = VideoReformatter()  # kept: a frame's own would set up its tables anew each time

    def image(self, frame: Any) -> Image:
        """H x W x 3 uint8 RGB of a frame."""
        alpha = _has_alpha(frame.format)
        form = "rgba" if alpha else "rgb48le" if self._tones else "rgb24"
        width, height = self._coded
        same = (frame.width, frame.height) == self._coded
        pixels: Any = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format=form,
            interpolation=Interpolation.BILINEAR if same else Interpolation.BICUBIC,
        ).to_ndarray()
        if alpha:
            picture = over_white(pixels[..., :3], pixels[..., 3])
        else:
            picture = self._tones.mapped(pixels) if self._tones else np.asarray(pixels, np.uint8)
        return np.ascontiguousarray(np.rot90(picture, self._turns)) if self._turns else picture


def _has_alpha(form: Any) -> bool:
    return _alpha_of(form.name) if form is not None else False


@cache
def _alpha_of(name: str) -> bool:
    from av import VideoFormat

    return any(component.is_alpha for component in VideoFormat(name, 16, 16).components)
