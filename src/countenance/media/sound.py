"""Sound for a video that is being written: copied where the container takes it, else encoded again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import numpy as np

from countenance.media.decoding.sound_tracks import (
    Resampler,
    film_start_s,
    open_sound,
    sound_frames,
    sound_packets,
)

_ENCODERS = {".mp4": "aac", ".mov": "aac", ".mkv": "aac", ".webm": "libopus"}
_COPIED = {
    ".mp4": ("aac", "mp3"),
    ".mov": ("aac", "mp3"),
    ".mkv": ("aac", "mp3", "opus", "flac", "vorbis"),
    ".webm": ("opus", "vorbis"),
}
_RATE = 48_000


@dataclass(frozen=True)
class AudioSource:
    """The sound of a file.

    Attributes:
        path: a video or sound file.
    """

    path: Path


class SoundTrack:
    """One sound stream of an output, fed in step with the pictures, a packet or block at a time.

    Args:
        source: where the sound comes from.
        output: an open container.
        suffix: of the output.

    Raises:
        MediaUnreadable: the source has no sound that can be decoded.
    """

    def __init__(self, source: AudioSource, output: Any, suffix: str) -> None:
        self._input, self._from = open_sound(source.path)
        own_s = float((self._from.start_time or 0) * self._from.time_base)
        self._start = film_start_s(self._input, own_s)
        self._path, self._output = source.path, output
        self._copied = self._from.codec_context.name in _COPIED[suffix]
        if self._copied:
            self._to = output.add_stream_from_template(self._from)
            self._pieces = self._packets()
        else:
            self._to = output.add_stream(_ENCODERS[suffix], rate=_RATE)
            self._pieces = self._blocks()
        self._waiting: tuple[float, Any] | None = None

    def advance(self, until_s: float) -> None:
        """Write the sound before ``until_s`` seconds of the output."""
        while True:
            piece = self._waiting or next(self._pieces, None)
            self._waiting = None
            if piece is None:
                return
            if piece[0] >= until_s:
                self._waiting = piece
                return
            self._write(piece[1])

    def finish(self, end_s: float) -> None:
        """Write what is left up to the end of the pictures."""
        self.advance(end_s)
        if not self._copied:
            for packet in self._to.encode(None):
                self._output.mux(packet)

    def _write(self, piece: Any) -> None:
        if self._copied:
            piece.stream = self._to
            self._output.mux(piece)
        else:
            for packet in self._to.encode(piece):
                self._output.mux(packet)

    def _packets(self) -> Iterator[tuple[float, Any]]:
        shift = round(self._start / self._from.time_base)
        last: int | None = None
        for packet in sound_packets(self._input, self._from):
            if packet.pts is None or packet.pts < shift:
                continue
            seconds = float((packet.pts - shift) * packet.time_base)
            packet.pts -= shift
            packet.dts = packet.pts if packet.dts is None else packet.dts - shift
            if last is not None and packet.dts <= last:  # no container takes what runs back
                continue
            last = packet.dts
            yield seconds, packet

    def _blocks(self) -> Iterator[tuple[float, Any]]:
        resampler = Resampler(
            self._path, format=self._to.format, layout=self._to.layout, rate=_RATE, frame_size=1024
        )
        due = 0.0
        for frame in sound_frames(self._input, self._from):
            if frame.format.name.startswith(("flt", "dbl")):
                frame = _finite(frame)
            time = due if frame.pts is None else float(frame.time) - self._start
            due = time + frame.samples / frame.sample_rate
            if time < 0:
                continue
            frame.time_base = Fraction(1, frame.sample_rate)
            frame.pts = round(time * frame.sample_rate)
            yield from _timed(resampler.resample(frame))
        yield from _timed(resampler.resample(None))

    def __enter__(self) -> Self:
        """Nothing to do: it is open."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the source."""
        self._input.close()


def _finite(frame: Any) -> Any:
    """What is no number is silence, as encoders want numbers."""
    samples = frame.to_ndarray()
    if np.isfinite(samples).all():
        return frame
    clean = av.AudioFrame.from_ndarray(
        np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0), frame.format.name, frame.layout.name
    )
    clean.rate, clean.pts, clean.time_base = frame.sample_rate, frame.pts, frame.time_base
    return clean


def _timed(blocks: list[Any]) -> Iterator[tuple[float, Any]]:
    return ((float(block.pts * block.time_base), block) for block in blocks)
