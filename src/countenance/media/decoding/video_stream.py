"""The pictures of a film file: its rate, its frames with their times, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import av

from countenance.arrays import Image
from countenance.errors import MediaUnreadable
from countenance.media.decoding.containers import (
    LARGEST_FRAME_AREA_PX,
    LARGEST_FRAME_SIDE_PX,
    STREAM_ERRORS,
    open_container,
    pictures_stream,
)
from countenance.media.decoding.deinterlacing import deinterlaced
from countenance.media.decoding.frame_images import FrameImages
from countenance.media.decoding.input_files import check_input_file, reason_of
from countenance.media.decoding.time_stamps import LONGEST_GAP_S, Clock, counted_rate, nearest, standard_rate
from countenance.ranges import FRAME_RATE

_USUAL_FPS: Final = 25.0
_FEW: Final = 3  # frames that headers may promise too many, without harm
_COUNTED_S, _COUNTED_FRAMES = 10.0, 5000  # whichever comes first
_REORDERED: Final = 16  # frames that may stand before one that is shown earlier
_SAME: Final = 0.001
_WITH_ALPHA: Final = {"vp8": "libvpx", "vp9": "libvpx-vp9"}

_INDEXED: Final = {"mov", "matroska"}  # formats in which every file says where its frames are


class VideoStream:
    """A film file; see :class:`countenance.media.video.VideoReader`, which it serves.

    Attributes:
        width: px of what is shown.
        height: px.
        fps: frames a second.
        frame_count_estimate: from the header, or None.
        damage: what was wrong so far, in the order in which it was met.

    Raises:
        MediaUnreadable: missing, damaged, too large, or without pictures.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.damage: dict[str, None] = {}
        self._container = open_container(path, "video")
        try:
            self._stream = self._pictures()
            self.fps = self._rate()
            self.frame_count_estimate = self._count()
            first = next(self._decoded(), None)
            if first is None:
                raise MediaUnreadable(path, "no frame of it can be decoded", "export it again")
            context = self._stream.codec_context
            self._images = FrameImages(
                first, self._stream.sample_aspect_ratio, context.color_trc, context.color_primaries
            )
            self.width, self.height = self._images.width, self._images.height
            _check_size(path, self.width, self.height)
        except STREAM_ERRORS as error:
            self._container.close()
            raise MediaUnreadable(path, f"it is damaged ({reason_of(error)})", "export it again") from None
        except MediaUnreadable:
            self._container.close()
            raise

    def images(self, rate: float) -> Iterator[Image]:
        """All pictures from the start, at a constant rate, each the nearest in time."""
        try:
            self._to_start()
            for frame in nearest(self._timed(), rate, self.fps):
                yield self._images.image(frame)
        except STREAM_ERRORS as error:
            reason = f"its pictures can't be used ({reason_of(error)})"
            raise MediaUnreadable(self._path, reason, "export it again") from None

    def close(self) -> None:
        """Closes the file."""
        self._container.close()

    def _pictures(self) -> Any:
        stream = pictures_stream(self._container)
        if stream is None:
            sound = bool(self._container.streams.audio)
            reason = "it has sound but no pictures" if sound else "it has no pictures that can be decoded"
            raise MediaUnreadable(self._path, reason, "give a video that shows a face")
        context = stream.codec_context
        _check_size(self._path, context.width, context.height)
        context.options = {"max_pixels": str(LARGEST_FRAME_AREA_PX)}  # sizes may change on the way
        stream.thread_type = "AUTO"
        return stream

    def _rate(self) -> float:
        """The header's rate if it is a usual one, of a file with a table of its frames; else counted from stamps."""
        stream = self._stream
        average, base = float(stream.average_rate or 0), float(stream.base_rate or 0)
        header = base if _agree(base, average, 0.02) else average
        if stream.frames and standard_rate(header, _SAME):
            return header
        counted = counted_rate(self._stamps())
        self._to_start()
        if counted is None:
            return header if FRAME_RATE.holds(header) else _USUAL_FPS
        fields = _agree(counted, 2 * header, 0.02)  # the two of a frame may come as two packets
        return header if FRAME_RATE.holds(header) and (fields or _agree(counted, header, _SAME)) else counted

    def _stamps(self) -> Iterator[float]:
        """Of the first seconds' frames, read without decoding them."""
        first: float | None = None
        later = 0
        packets = self._container.demux(self._stream)
        for _ in range(_COUNTED_FRAMES):
            try:
                packet = next(packets)
            except StopIteration:
                return
            except STREAM_ERRORS:
                return
            if packet.pts is None or packet.time_base is None:
                continue
            stamp = float(packet.pts * packet.time_base)
            yield stamp
            first = stamp if first is None else first
            later += abs(stamp - first) > _COUNTED_S
            if later > _REORDERED:
                return

    def _to_start(self) -> None:
        try:
            self._container.seek(min(0, self._container.start_time or 0))
        except STREAM_ERRORS as error:
            if _INDEXED & set(self._container.format.name.split(",")):
                self.damage[f"its index is damaged ({reason_of(error)})"] = None
            self._container.close()
            self._container = open_container(self._path)
            self._stream = self._pictures()

    def _timed(self) -> Iterator[tuple[float, Any]]:
        clock = Clock(1 / self.fps)
        for frame in deinterlaced(self._decoded(), self._stream.time_base):
            yield clock.moment(frame.time), frame
            if clock.longest_gap_s:
                gap = f"a gap of {clock.longest_gap_s:.0f} s between two frames"
                self.damage[f"{gap} was closed up to {LONGEST_GAP_S:.0f} s"] = None
                clock.longest_gap_s = 0.0

    def _decoded(self) -> Iterator[Any]:
        """Frames as they can be decoded; damaged packets are passed over, an early end is noted."""
        packets, decoder = self._container.demux(self._stream), _decoder(self._stream)
        count, promised = 0, self._stream.frames
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                if count < promised - _FEW:
                    self.damage[f"it ends after {count} of {promised} frames"] = None
                return
            except STREAM_ERRORS as error:
                self.damage[f"it breaks off early ({reason_of(error)})"] = None
                return
            try:
                for frame in decoder.decode(packet):
                    count += 1
                    yield frame
            except STREAM_ERRORS as error:
                self.damage[f"damaged frames were left out ({reason_of(error)})"] = None

    def _count(self) -> int | None:
        stream, container = self._stream, self._container
        frames: float | None = None
        if stream.frames:
            frames = stream.frames
        elif stream.duration and stream.time_base:
            frames = float(stream.duration * stream.time_base) * self.fps
        elif container.duration:
            frames = container.duration / 1e6 * self.fps
        most = check_input_file(self._path)  # bytes: no frame is smaller
        return None if frames is None else max(1, min(round(frames), most))


def _decoder(stream: Any) -> Any:
    """The stream's own, but for VP8 and VP9 with transparency, which only libvpx decodes."""
    context = stream.codec_context
    name = _WITH_ALPHA.get(context.name)
    if name is None or stream.metadata.get("alpha_mode") != "1":
        return context
    decoder: Any = av.CodecContext.create(name, "r")
    decoder.options = context.options
    return decoder


def _agree(rate: float, other: float, share: float) -> bool:
    return abs(rate - other) <= share * other


def _check_size(path: Path, width: int, height: int) -> None:
    if max(width, height) > LARGEST_FRAME_SIDE_PX or width * height > LARGEST_FRAME_AREA_PX:
        fix = f"shrink it to at most {LARGEST_FRAME_SIDE_PX} a side and {LARGEST_FRAME_AREA_PX} in all"
        raise MediaUnreadable(path, f"its frames have {width} x {height} pixels", fix)
