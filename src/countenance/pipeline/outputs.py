"""Results into files, each with the mark that it is synthetic."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from countenance.animation import Animation
from countenance.arrays import Image
from countenance.errors import BadValue, expect_type
from countenance.media.fitting import fitted
from countenance.media.frames import Frame
from countenance.media.image_writer import write_image
from countenance.media.writer import AudioSource, VideoWriter
from countenance.portrait.crop import Crop
from countenance.provenance.marks import marks
from countenance.ranges import PICTURE_SIDE_PX

_SOUNDLESS = ("", ".gif")  # a folder of frames, and GIF


def write_video(
    path: Path | str,
    frames: Iterable[Frame],
    fps: float | None = None,
    *,
    model: str | None = None,
    audio: Path | str | None = None,
    crop: Crop | None = None,
    max_side_px: int | None = None,
) -> int:
    """Write frames, marked as synthetic; the file appears only when it is complete.

    An :class:`~countenance.animation.Animation` says itself what is not given here.

    Args:
        path: .mp4, .mov, .mkv, .webm, .gif, or a folder for PNG frames.
        frames: all of one size.
        fps: frames a second; the animation's own by default.
        model: name of the renderer, for the mark; the animation's own by default.
        audio: a file whose sound is muxed in, cut to the length of the video; the animation's own by default.
        crop: write only this square of the frames.
        max_side_px: larger frames are scaled down to this longer side.

    Returns:
        Number of frames written.

    Raises:
        OutputUnwritable: the path, the format or the disk.
        BadValue: no frames; or fps or model missing, where the frames are no Animation.
    """
    expect_type(path, (Path, str), "the output", "give its path first, then the frames")
    expect_type(frames, Iterable, "what is written", "give an Animation, or frames")
    target, own = Path(path), frames if isinstance(frames, Animation) else None
    rate = own.fps if fps is None and own else fps
    maker = own.model if model is None and own else model
    if rate is None or maker is None:
        raise BadValue("frames that are no Animation need fps=... and model=... to be written")
    sound = own.sound if audio is None and own else audio
    source = AudioSource(Path(sound)) if sound and target.suffix.lower() not in _SOUNDLESS else None
    count = 0
    with ExitStack() as stack:
        writer: VideoWriter | None = None
        for frame in frames:
            expect_type(frame, Frame, "a frame", "write pictures as Frame(image, time_s)")
            image: Image = crop.cut(frame.image) if crop else frame.image
            if writer is None:
                height, width, channels = image.shape
                writer = stack.enter_context(
                    VideoWriter(
                        target,
                        rate,
                        width,
                        height,
                        audio=source,
                        metadata=marks(maker),
                        alpha=channels == 4,
                        max_side_px=max_side_px,
                    )
                )
            writer.write(image)
            count += 1
    if not count:
        raise BadValue(f"there are no frames to write to {target}; check the driver's length")
    return count


def write_marked_image(path: Path | str, image: Image, model: str, *, max_side_px: int | None = None) -> None:
    """Write a still, marked as synthetic.

    Args:
        path: .png, .jpg, .jpeg or .webp.
        image: H x W x 3 uint8 RGB, or H x W x 4 with alpha.
        model: name of the renderer, for the mark.
        max_side_px: a larger picture is scaled down to this longer side.

    Raises:
        OutputUnwritable: the path, the format or the disk.
    """
    expect_type(path, (Path, str), "the output", "give its path first, then the picture")
    expect_type(image, np.ndarray, "the picture", "give its pixels as H x W x 3 uint8 RGB")
    if image.ndim != 3 or image.shape[2] not in (3, 4) or image.dtype != np.uint8 or not image.size:
        raise BadValue(
            f"the picture is an array of shape {image.shape} and type {image.dtype}; give H x W x 3 uint8 RGB"
        )
    if max_side_px is not None:
        PICTURE_SIDE_PX.check(max_side_px, "max_side_px")
    write_image(Path(path), fitted(image, max_side_px), marks(model))
