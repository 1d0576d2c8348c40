"""Writing videos: H.264 and AAC, VP9 and Opus, GIF, or PNG frames; whole or not at all. VP9 and PNG hold alpha."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import numpy as np
from av.video.reformatter import Colorspace, VideoReformatter

from countenance.arrays import Image
from countenance.atomic import (
    check_folder_writable,
    check_writable,
    replacing,
    replacing_folder,
    unwritable,
)
from countenance.errors import BadValue, HardToPlay, OutputUnwritable, TransparencyLost
from countenance.media.alpha import keeps_alpha, over_white
from countenance.media.fitting import fitted, fitted_size, h264_level, plays_widely, widely_played_side_px
from countenance.media.gif import FASTEST_FPS, add_gif_comment
from countenance.media.image_writer import save_picture
from countenance.media.sound import AudioSource, SoundTrack
from countenance.ranges import FRAME_RATE, PICTURE_SIDE_PX

__all__ = ["AudioSource", "VideoWriter", "check_output"]

_CODECS = {".mp4": "libx264", ".mov": "libx264", ".mkv": "libx264", ".webm": "libvpx-vp9", ".gif": "gif"}
_GIF_OWN, _GIF_CUBE = 192, (0, 85, 170, 255)  # 192 colours of the portrait and 4 x 4 x 4 others
_CRF = {"libx264": 18, "libvpx-vp9": 30}


def check_output(path: Path, fps: float | None = None) -> None:
    """Fail early, before long work, where a video can't be written.

    Args:
        path: of the video.
        fps: frames a second, as soon as they are known.

    Raises:
        OutputUnwritable: the suffix or the folder, or a GIF of more than 50 frames a second.
        BadValue: the rate.
    """
    if path.name.lower() in _CODECS:
        raise OutputUnwritable(path, "it has a suffix and no name", f"give a name, such as out{path.name}")
    if path.suffix == "":
        check_folder_writable(path)
    elif path.suffix.lower() not in _CODECS:
        formats = f"use {', '.join(_CODECS)}, or a folder for PNG frames"
        raise OutputUnwritable(path, f"'{path.suffix}' is no video format that is written here", formats)
    else:
        check_writable(path)
    if fps is None:
        return
    FRAME_RATE.check(fps, "the frame rate")
    if path.suffix.lower() == ".gif" and fps > FASTEST_FPS:
        fix = f"give --fps {FASTEST_FPS} or less, or a name that ends in .mp4"
        raise OutputUnwritable(path, f"a GIF can't show {fps:g} frames a second", fix)


class VideoWriter:
    """Writes frames of one size; use it in a ``with`` block, at whose good end the file appears.

    Args:
        path: see :data:`_CODECS` for the suffixes; without a suffix a folder of PNG frames.
        fps: frames a second.
        width: of the frames in px; an odd size is padded by a repeated edge, as 4:2:0 needs even ones.
        height: of the frames in px.
        audio: sound to mux in, cut to the video's length.
        metadata: key -> text for the container (each picture, for PNG frames).
        preset: of x264.
        crf: quality of x264 (18 is hardly told from the original, less is better); the codec's default if None.
        alpha: frames are RGBA; see :func:`~countenance.media.alpha.keeps_alpha` for the outputs that stay so.
        max_side_px: larger frames are shrunk until their longer side has so many.

    Raises:
        OutputUnwritable: the path, the format or the disk, or a GIF of more than 50 frames a second.
        BadValue: a frame of another size, or a rate or size outside its range.

    Warns:
        HardToPlay: H.264 past level 5.2.
        TransparencyLost: transparent frames are laid over white.
    """

    def __init__(
        self,
        path: Path,
        fps: float,
        width: int,
        height: int,
        *,
        audio: AudioSource | None = None,
        metadata: Mapping[str, str] | None = None,
        preset: str = "veryfast",
        crf: int | None = None,
        alpha: bool = False,
        max_side_px: int | None = None,
    ) -> None:
        FRAME_RATE.check(fps, "the frame rate")
        check_output(path, fps)
        for side in (width, height) if max_side_px is None else (width, height, max_side_px):
            PICTURE_SIDE_PX.check(side, "a side of the frames")
        self._path, self._taken, self._metadata = (
            path,
            (height, width, 4 if alpha else 3),
            dict(metadata or {}),
        )
        self._max_side_px = max_side_px
        self._width, self._height = fitted_size(width, height, max_side_px)
        self._alpha, self._flattens = alpha and keeps_alpha(path), alpha and not keeps_alpha(path)
        self._rate = Fraction(fps).limit_denominator(1001 * 30)
        self._audio, self._preset, self._crf = audio, preset, crf
        self._to_yuv = VideoReformatter()  # kept: a frame's own would set up its tables anew each time
        self._count = 0
        self._stack = ExitStack()
        self._container: Any = None
        self._sound: SoundTrack | None = None
        self._palette: Any = None

    def __enter__(self) -> Self:
        """Opens the temporary output."""
        self._note()
        if self._path.suffix == "":
            self._target = self._stack.enter_context(replacing_folder(self._path))
            return self
        self._target = self._stack.enter_context(replacing(self._path))
        suffix = self._path.suffix.lower()
        self._codec = _CODECS[suffix]
        try:
            options = {"movflags": "use_metadata_tags+faststart"} if suffix in (".mp4", ".mov") else {}
            self._container = self._stack.enter_context(av.open(str(self._target), "w", options=options))
            self._container.metadata.update(self._metadata)
            self._open_stream()
            if self._audio and suffix != ".gif":
                self._sound = self._stack.enter_context(SoundTrack(self._audio, self._container, suffix))
        except BaseException as error:
            self._stack.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def _note(self) -> None:
        """What is written all the same, but not as one may have thought."""
        if self._flattens:
            fix = "to keep its transparency, write a .webm file or a folder of frames"
            warnings.warn(TransparencyLost(f"{self._path} is laid over white; {fix}"), stacklevel=3)
        size, fps = (self._width, self._height), float(self._rate)
        if _CODECS.get(self._path.suffix.lower()) == "libx264" and not plays_widely(*size, fps):
            level = h264_level(*size, fps)
            needs = f"H.264 level {level}" if level else "more than any level of H.264"
            told = f"{self._path}: {size[0]} x {size[1]} at {fps:g} frames a second needs {needs}"
            fix = f"--max-size {widely_played_side_px(*size, fps)} makes it smaller"
            warnings.warn(HardToPlay(f"{told}, which many players can't show; {fix}"), stacklevel=3)

    def _open_stream(self) -> None:
        odd = (0, 0) if self._codec == "gif" else (self._width % 2, self._height % 2)
        stream = self._container.add_stream(self._codec, rate=self._rate)
        stream.width, stream.height = self._width + odd[0], self._height + odd[1]
        stream.pix_fmt = "pal8" if self._codec == "gif" else "yuva420p" if self._alpha else "yuv420p"
        if self._codec != "gif":
            context = stream.codec_context
            context.color_range, context.colorspace, context.color_primaries, context.color_trc = 1, 1, 1, 1
            stream.options = {"crf": str(self._crf or _CRF[self._codec]), "preset": self._preset}
            if self._codec == "libvpx-vp9":
                stream.options = {
                    "crf": "30",
                    "b": "0",
                    "deadline": "realtime",
                    "cpu-used": "6",
                    "row-mt": "1",
                }
        self._stream = stream

    def write(self, image: Image) -> None:
        """Append a frame, H x W x 3 uint8 RGB; H x W x 4 with ``alpha``."""
        if image.shape != self._taken or image.dtype != np.uint8:
            raise BadValue(f"frame {self._count} has shape {image.shape}, expected {self._taken} uint8")
        laid = over_white(image[..., :3], image[..., 3]) if self._flattens else image
        shown = fitted(laid, self._max_side_px)
        if self._container is None:
            save_picture(self._target / f"{self._count:05d}.png", ".png", shown, self._metadata)
        else:
            self._encode(self._frame(shown))
            if self._sound:
                self._sound.advance(float(self._count / self._rate))
        self._count += 1

    def _frame(self, image: Image) -> Any:
        if self._codec == "gif":
            frame: Any = av.VideoFrame.from_ndarray(self._indexed(image), format="pal8")
        else:
            down, across = self._height % 2, self._width % 2
            even = np.pad(image, ((0, down), (0, across), (0, 0)), mode="edge") if down or across else image
            frame = self._to_yuv.reformat(
                av.VideoFrame.from_ndarray(
                    np.ascontiguousarray(even), format="rgba" if self._alpha else "rgb24"
                ),
                format=self._stream.pix_fmt,
                dst_colorspace=Colorspace.ITU709,
                src_color_range="JPEG",
                dst_color_range="MPEG",
            )
            frame.colorspace, frame.color_range = 1, 1
        frame.pts, frame.time_base = self._count, 1 / self._rate
        return frame

    def _indexed(self, image: Image) -> Any:
        """Indices and palette: mostly the first frame's, as all show one portrait; a coarse cube for the rest."""
        import PIL.Image

        picture = PIL.Image.fromarray(image)
        if self._palette is None:
            own = picture.quantize(_GIF_OWN, method=PIL.Image.Quantize.MEDIANCUT).getpalette() or []
            cube = [
                level
                for red in _GIF_CUBE
                for green in _GIF_CUBE
                for blue in _GIF_CUBE
                for level in (red, green, blue)
            ]
            self._palette = PIL.Image.new("P", (1, 1))
            self._palette.putpalette((own[: 3 * _GIF_OWN] + cube)[: 3 * 256])
        indices = np.asarray(picture.quantize(palette=self._palette, dither=PIL.Image.Dither.FLOYDSTEINBERG))
        colours = np.zeros((256, 4), np.uint8)
        rgb = np.array(self._palette.getpalette(), np.uint8).reshape(-1, 3)
        colours[: len(rgb), 1:], colours[:, 0] = rgb, 255
        return indices, colours

    def _encode(self, frame: Any | None) -> None:
        for packet in self._stream.encode(frame):
            self._container.mux(packet)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finishes the file and renames it into place; after an error removes it."""
        try:
            if kind is None and self._container is not None:
                self._encode(None)
                if self._sound:
                    self._sound.finish(float(self._count / self._rate))
                if self._codec == "gif":
                    self._container.close()
                    add_gif_comment(self._target, self._metadata)
        except BaseException as late:
            self._stack.__exit__(type(late), late, late.__traceback__)
            if isinstance(late, OSError):
                raise unwritable(self._path, late) from late
            raise
        try:
            self._stack.__exit__(kind, error, trace)
        except OSError as late:
            raise unwritable(self._path, late) from late
        if isinstance(error, OSError):
            raise unwritable(self._path, error) from error
