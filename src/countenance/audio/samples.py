"""Sound as numbers: any file that FFmpeg reads, as one channel at one rate, a block at a time."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from countenance.arrays import Floats
from countenance.atomic import replacing
from countenance.errors import MediaUnreadable
from countenance.media.decoding.sound_tracks import (
    LONGEST_SILENCE_S,
    Resampler,
    film_start_s,
    open_sound,
    sound_frames,
)

RATE = 16_000
"""Samples a second of everything that speech models read."""

_SHORTEST_GAP_S = 0.015  # shorter ones are rounding
_CANCELLED = 0.1  # of the channels' own power: below this share the mix has lost what they say


def read_samples(path: Path) -> Iterator[Floats]:
    """The sound of a file, from the moment its pictures (if it has any) begin.

    Two channels are averaged. Where that cancels them out (one is the other upside down), the louder one is taken.
    The file is read twice, so that memory does not grow with its length.

    Args:
        path: a sound file, or a video with sound.

    Returns:
        Blocks (N,) float32 of :data:`RATE` samples a second in [-1, 1], all N > 0.

    Raises:
        MediaUnreadable: missing, damaged from the start, or without sound.
    """
    mixed = np.zeros(3)
    count = 0
    for both in _stereo(path):
        mixed += np.square(np.vstack([both, both.mean(0)]), dtype=np.float64).sum(1)
        count += both.shape[1]
    if not count:
        raise MediaUnreadable(path, "its sound has no samples", "record it again")
    share = np.array([0.5, 0.5], np.float32)
    if mixed[2] < _CANCELLED * mixed[:2].max():
        share = np.eye(2, dtype=np.float32)[int(mixed[1] > mixed[0])]
    return (share @ both for both in _stereo(path))


def all_samples(path: Path) -> Floats:
    """(N,) the whole of :func:`read_samples`: 4 MB a minute."""
    return np.concatenate(list(read_samples(path)))


def write_wave(path: Path, samples: Floats) -> None:
    """Write (N,) samples in [-1, 1] of :data:`RATE` as a 16-bit WAV file.

    Raises:
        OutputUnwritable: the path can't be written.
    """
    with replacing(path) as temporary, wave.open(str(temporary), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(np.rint(samples.clip(-1, 1) * 32_767).astype("<i2").tobytes())


def _stereo(path: Path) -> Iterator[Floats]:
    """(2, N) blocks."""
    container, stream = open_sound(path)
    with container:
        frames = sound_frames(container, stream)
        first = next(frames, None)
        if first is None:
            return
        late = 0 if first.time is None else round((film_start_s(container, first.time) - first.time) * RATE)
        if late < 0:
            yield np.zeros((2, -late), np.float32)
        due = max(0, late)  # samples still to leave out
        for samples in _resampled(chain([first], frames), path):
            taken, due = samples[:, due:], max(0, due - samples.shape[1])
            if taken.shape[1]:
                yield np.nan_to_num(taken, nan=0.0, posinf=1.0, neginf=-1.0).clip(-1, 1)


def _resampled(frames: Iterator[Any], path: Path) -> Iterator[Floats]:
    """(2, N) blocks. Joined files may change rate and channels on the way; what is missing between is silence."""
    resampler = Resampler(path, format="fltp", rate=RATE)
    before: Any = None
    for frame in chain(frames, [None]):
        blocks = resampler.resample(frame)
        if missing := _missing(before, frame):
            yield np.zeros((2, missing), np.float32)
        for block in blocks:
            yield np.broadcast_to(np.asarray(block.to_ndarray(), np.float32), (2, block.samples))
        before = frame


def _missing(before: Any, frame: Any) -> int:
    """Samples that the file lacks between two frames."""
    if before is None or frame is None or before.time is None or frame.time is None:
        return 0
    gap_s = frame.time - before.time - before.samples / before.sample_rate
    return round(gap_s * RATE) if _SHORTEST_GAP_S < gap_s < LONGEST_SILENCE_S else 0
