"""Small film files made with PyAV, with any tags, stamps and pixel formats."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from countenance.arrays import Image


def flat(level: int, width: int = 64, height: int = 48) -> Image:
    """One grey."""
    return np.full((height, width, 3), level, np.uint8)


def write_pictures(
    path: Path,
    pictures: Sequence[Image],
    *,
    codec: str = "libx264",
    form: str = "yuv420p",
    stamps: Sequence[int] | None = None,
    base: Fraction = Fraction(1, 25),
    rate: Fraction | int = 25,
    aspect: Fraction | None = None,
    tags: dict[str, int] | None = None,
    options: dict[str, str] | None = None,
    container: dict[str, str] | None = None,
    rotation: int = 0,
) -> Path:
    """Encode pictures, or frames that are made already.

    Args:
        path: the suffix decides the container.
        pictures: H x W x 3, or av.VideoFrame.
        codec: of FFmpeg.
        form: pixel format.
        stamps: of the frames, in ``base``.
        base: time base.
        rate: that the header names.
        aspect: width of a pixel by its height.
        tags: of the codec, such as ``color_trc``.
        options: of the codec.
        container: options of the container.
        rotation: degrees, counterclockwise.
    """
    with av.open(str(path), "w", options=container or {}) as output:
        stream: Any = output.add_stream(codec, rate=rate, options=options or {})
        first = pictures[0]
        is_frame = isinstance(first, av.VideoFrame)
        stream.width, stream.height = (
            (first.width, first.height) if is_frame else (first.shape[1], first.shape[0])
        )
        stream.pix_fmt, stream.codec_context.time_base = form, base
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if rotation:
            stream.set_display_rotation(rotation)
        for name, value in (tags or {}).items():
            setattr(stream.codec_context, name, value)
        for i, picture in enumerate(pictures):
            frame: Any = picture if is_frame else av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = (stamps[i] if stamps else i), base
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path
