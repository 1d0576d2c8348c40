"""Which of a file's sound tracks is meant, and how its frames come: one rule for all that listen."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import av

from countenance.errors import MediaUnreadable
from countenance.media.decoding.containers import STREAM_ERRORS, open_container, pictures_start_s
from countenance.ranges import Range

SAMPLE_RATE: Final = Range(1000, 768_000, "samples a second")
"""Of a sound file; telephones have 8000."""

LONGEST_SILENCE_S: Final = 60.0
"""Between two blocks, or before the first: a longer one is a wrong stamp."""

_TRIED: Final = 200  # packets without a block of sound, after which a track counts as not decodable


def sound_track(path: Path) -> int | None:
    """Number of the first sound track that can be decoded, among the sound tracks; None if there are none.

    Raises:
        MediaUnreadable: the file can't be opened, or has only tracks that can't be decoded.
    """
    track = 0
    while True:
        with open_container(path, "sound") as container:
            streams = container.streams.audio
            if track >= len(streams):
                break
            if _decodes(container, streams[track]):
                return track
        track += 1
    if not track:
        return None
    raise MediaUnreadable(path, "its sound has no samples that can be decoded", "export it again, with AAC")


def open_sound(path: Path) -> tuple[Any, Any]:
    """Open the sound of a file.

    Returns:
        The container, to be closed, and its first sound stream that can be decoded.

    Raises:
        MediaUnreadable: no file, no sound, or none that can be decoded.
    """
    track = sound_track(path)
    if track is None:
        raise MediaUnreadable(path, "it has no sound", "give a recording of a voice")
    container = open_container(path)
    return container, container.streams.audio[track]


def sound_frames(container: Any, stream: Any) -> Iterator[Any]:
    """Decoded blocks, without those that are damaged or of a rate that no sound has."""
    for packet in sound_packets(container, stream):
        try:
            for frame in packet.decode():
                if SAMPLE_RATE.holds(frame.sample_rate) and frame.samples > 0:
                    yield frame
        except STREAM_ERRORS:
            continue


def sound_packets(container: Any, stream: Any) -> Iterator[Any]:
    """Packets until the end, or until the container can't be read any further."""
    packets = container.demux(stream)
    while True:
        try:
            yield next(packets)
        except StopIteration:
            return
        except STREAM_ERRORS:
            return


def film_start_s(container: Any, sound_s: float) -> float:
    """When a film with sound begins: with its pictures if it has any, else with the sound.

    Args:
        container: the film.
        sound_s: when the sound begins. If that is more than :data:`LONGEST_SILENCE_S` off, one of the two is wrong.
    """
    pictures_s = pictures_start_s(container)
    return sound_s if pictures_s is None or abs(pictures_s - sound_s) > LONGEST_SILENCE_S else pictures_s


class Resampler:
    """Blocks of sound to one format, also where they change rate or channels on the way, as joined files do.

    Args:
        path: of the sound, for errors.
        options: as :class:`av.AudioResampler` takes them; without a layout, one channel stays one, and more are two.
    """

    def __init__(self, path: Path, **options: Any) -> None:
        self._path, self._options = path, options
        self._resampler: Any = None
        self._kind: object = None

    def resample(self, block: Any | None) -> list[Any]:
        """The blocks that are complete; None ends the sound.

        Raises:
            MediaUnreadable: more channels than can be mixed.
        """
        kind = None if block is None else (block.format.name, block.layout.name, block.sample_rate)
        made: list[Any] = []
        try:
            if self._resampler is not None and kind != self._kind:
                made += self._resampler.resample(None)
                self._resampler = None
            if block is not None:
                if self._resampler is None:
                    layout = "mono" if block.layout.nb_channels == 1 else "stereo"
                    self._resampler = av.AudioResampler(**({"layout": layout} | self._options))
                    self._kind = kind
                made += self._resampler.resample(block)
        except STREAM_ERRORS as error:
            reason = "its channels can't be mixed"
            raise MediaUnreadable(self._path, reason, "export it in stereo") from error
        return [piece for piece in made if piece is not None]  # None where there was nothing to convert


def _decodes(container: Any, stream: Any) -> bool:
    if stream.codec_context is None:
        return False
    for packet in islice(sound_packets(container, stream), _TRIED):
        try:
            if any(SAMPLE_RATE.holds(frame.sample_rate) for frame in packet.decode()):
                return True
        except STREAM_ERRORS:
            continue
    return False
