"""Sound files and films with sound, made on the fly, and signals whose place in time is known."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from countenance.arrays import Floats

RATE = 16_000
_CODECS = {
    ".wav": "pcm_s16le",
    ".mp3": "libmp3lame",
    ".m4a": "aac",
    ".mp4": "aac",
    ".mkv": "aac",
    ".flac": "flac",
    ".ogg": "libopus",
    ".webm": "libopus",
}
_FORMATS = {
    "pcm_s16le": ("s16", np.int16, 2**15 - 1),
    "pcm_mulaw": ("s16", np.int16, 2**15 - 1),
    "flac": ("s16", np.int16, 2**15 - 1),
    "pcm_s24le": ("s32", np.int32, 2**31 - 256),
    "pcm_f32le": ("flt", np.float32, 1),
    "libopus": ("flt", np.float32, 1),
    "libmp3lame": ("fltp", np.float32, 1),
    "aac": ("fltp", np.float32, 1),
}
_AT_ONCE = 1024


def write_sound(
    path: Path,
    samples: Floats,
    rate: int = RATE,
    codec: str | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """(N,) or (2, N) samples in the codec, by default the suffix's usual one."""
    with av.open(str(path), "w", options=options or {}) as container:
        _encode(container, _sound_stream(container, samples, rate, codec or _CODECS[path.suffix]), samples, 0)
    return path


def write_film(
    path: Path, samples: Floats, *, sound_s: float = 0.0, pictures_s: float = 0.0, seconds: float = 1.0
) -> Path:
    """Grey pictures, 25 a second, and sound; each begins at its moment."""
    with av.open(str(path), "w") as container:
        pictures: Any = container.add_stream("libx264", rate=25, options={"bf": "0"})
        pictures.width, pictures.height, pictures.pix_fmt = 32, 32, "yuv420p"
        sound = _sound_stream(container, samples, RATE, "aac")
        for i in range(round(seconds * 25)):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 99, np.uint8), format="rgb24")
            frame.pts, frame.time_base = i + round(pictures_s * 25), Fraction(1, 25)
            container.mux(pictures.encode(frame))
        container.mux(pictures.encode(None))
        _encode(container, sound, samples, round(sound_s * RATE))
    return path


def burst(seconds: float, moment_s: float, rate: int = RATE, length_s: float = 0.05) -> Floats:
    """(N,) silence with 600 Hz from ``moment_s`` on for a moment."""
    times = np.arange(round(seconds * rate)) / rate
    inside = (times >= moment_s) & (times < moment_s + length_s)
    return np.asarray(inside * 0.8 * np.cos(2 * np.pi * 600 * times), np.float32)


def onset(samples: Floats) -> int:
    """First sample that is loud."""
    return int(np.flatnonzero(np.abs(samples) > 0.4)[0])


def voice(seconds: float, seed: int = 0) -> Floats:
    """(N,) something like speech: a buzz in changing resonances, three or four syllables a second, and pauses."""
    rng = np.random.default_rng(seed)
    count = round(seconds * RATE)
    times = np.arange(count) / RATE
    knots = np.arange(0, seconds + 0.6, 0.12)
    loud = np.interp(times, knots, rng.uniform(0.1, 1, len(knots)) * (np.arange(len(knots)) % 2))
    pauses = np.interp(times, knots, (rng.random(len(knots)) > 0.15).astype(float)) > 0.5
    pitch = np.cumsum(np.interp(times, knots, rng.uniform(95, 150, len(knots)))) / RATE
    centres = [np.interp(times, knots, rng.uniform(*band, len(knots))) for band in ((300, 800), (900, 2300))]
    made = np.zeros(count)
    for k in range(1, 50):
        hz = 120 * k
        gain = sum(np.exp(-(((hz - centre) / 250) ** 2)) for centre in centres) + 0.03
        made += gain / np.sqrt(k) * np.sin(2 * np.pi * k * pitch)
    made = made * loud * pauses
    noise = 1e-4 * rng.normal(size=count)
    return np.asarray(0.7 * made / np.abs(made).max() + noise, np.float32)


def _sound_stream(container: Any, samples: Floats, rate: int, codec: str) -> Any:
    layout = "stereo" if samples.ndim == 2 else "mono"
    stream = container.add_stream(codec, rate=rate, layout=layout)
    stream.format = _FORMATS[codec][0]
    return stream


def _encode(container: Any, stream: Any, samples: Floats, start: int) -> None:
    form, kind, scale = _FORMATS[stream.codec_context.name]
    channels = np.atleast_2d(samples)
    for first in range(0, channels.shape[1], _AT_ONCE):
        part = channels[:, first : first + _AT_ONCE]
        if not form.endswith("p"):
            part = part.T.reshape(1, -1)
        numbers = part if kind is np.float32 else np.rint(part.astype(np.float64) * scale)
        block = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(numbers, kind), format=form, layout=stream.layout.name
        )
        block.rate, block.pts, block.time_base = stream.rate, first + start, Fraction(1, stream.rate)
        container.mux(stream.encode(block))
    container.mux(stream.encode(None))
