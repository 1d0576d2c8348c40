"""Writing videos: H.264 and AAC, VP9 and Opus, GIF, or PNG frames; whole or not at all."""

from __future__ import annotations

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
from countenance.atomic import check_writable, replacing, replacing_folder
from countenance.errors import BadValue, OutputUnwritable
from countenance.media.gif import add_gif_comment
from countenance.media.images import write_image
from countenance.media.sound import AudioSource, SoundTrack

__all__ = ["AudioSource", "VideoWriter", "check_output"]

_CODECS = {".mp4": "libx264", ".mov": "libx264", ".mkv": "libx264", ".webm": "libvpx-vp9", ".gif": "gif"}
_GIF_OWN, _GIF_CUBE = 192, (0, 85, 170, 255)  # 192 colours of the portrait and 4 x 4 x 4 others
_CRF = {"libx264": 18, "libvpx-vp9": 30}


def check_output(path: Path) -> None:
    """Fail early, before long work, where a video can't be written.

    Raises:
        OutputUnwritable: the suffix or the folder.
    """
    if path.suffix == "":
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise OutputUnwritable(path, "it exists and is not empty", "give a new folder for the frames")
        if not path.parent.is_dir():
            raise OutputUnwritable(
                path, f"there is no folder {path.parent}", f"make it first: mkdir -p {path.parent}"
            )
        return
    if path.suffix.lower() not in _CODECS:
        formats = f"use {', '.join(_CODECS)}, or a folder for PNG frames"
        raise OutputUnwritable(path, f"'{path.suffix}' is no video format that is written here", formats)
    check_writable(path)


class VideoWriter:
    """Writes frames of one size; use it in a ``with`` block, at whose good end the file appears.

    Args:
        path: see :data:`_CODECS` for the suffixes; without a suffix a folder of PNG frames.
        fps: frames a second.
        width: px; an odd size is padded by a repeated edge, as 4:2:0 needs even ones.
        height: px.
        audio: sound to mux in, cut to the video's length.
        metadata: key -> text for the container (each picture, for PNG frames).
        preset: of x264.
        crf: quality of x264 (18 is hardly told from the original, less is better); the codec's default if None.

    Raises:
        OutputUnwritable: the path, the format or the disk.
        BadValue: a frame of another size, or a rate that is not positive.
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
    ) -> None:
        check_output(path)
        if not fps > 0:
            raise BadValue(f"{fps} frames a second can't be written; give a positive rate")
        self._path, self._size, self._metadata = path, (height, width), dict(metadata or {})
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

    def _open_stream(self) -> None:
        height, width = self._size
        stream = self._container.add_stream(self._codec, rate=self._rate)
        stream.width, stream.height = (
            (width, height) if self._codec == "gif" else (width + width % 2, height + height % 2)
        )
        stream.pix_fmt = "pal8" if self._codec == "gif" else "yuv420p"
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
        """Append a frame, H x W x 3 uint8 RGB."""
        if image.shape != (*self._size, 3) or image.dtype != np.uint8:
            raise BadValue(f"frame {self._count} has shape {image.shape}, expected {(*self._size, 3)} uint8")
        if self._container is None:
            write_image(self._target / f"{self._count:05d}.png", image, self._metadata)
        else:
            self._encode(self._frame(image))
            if self._sound:
                self._sound.advance(float(self._count / self._rate))
        self._count += 1

    def _frame(self, image: Image) -> Any:
        if self._codec == "gif":
            frame: Any = av.VideoFrame.from_ndarray(self._indexed(image), format="pal8")
        else:
            height, width = self._size
            even = (
                np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
                if height % 2 or width % 2
                else image
            )
            frame = self._to_yuv.reformat(
                av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24"),
                format="yuv420p",
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
                raise _unwritable(self._path, late) from late
            raise
        try:
            self._stack.__exit__(kind, error, trace)
        except OSError as late:
            raise _unwritable(self._path, late) from late
        if isinstance(error, OSError):
            raise _unwritable(self._path, error) from error


def _unwritable(path: Path, error: OSError) -> OutputUnwritable:
    reason = (error.strerror or str(error)).lower()
    return OutputUnwritable(path, reason, "free some space or choose another folder")
