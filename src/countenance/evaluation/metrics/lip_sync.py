"""Do the lips fit the sound: confidence, offset and distance by SyncNet (AVConf or LSE-C, AVOffset, LSE-D).

Chung and Zisserman, "Out of time: automated lip sync in the wild", 2016; LSE-C and LSE-D are the names of Prajwal et
al., "A Lip Sync Expert Is All You Need", 2020. Windows, padding and statistics are those of the authors' program, so
that the figures can be set beside published ones.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from countenance.arrays import Doubles, Floats, Image
from countenance.audio.samples import RATE
from countenance.errors import BadValue, DependencyMissing

if TYPE_CHECKING:
    from torch import Tensor

FRAME_RATE = 25
SIDE = 224
WINDOW_FRAMES = 5
MOST_OFFSET = 15
CEPSTRA = 13
_SAMPLES_A_FRAME = RATE // FRAME_RATE
_STEPS_A_FRAME = 4  # of 10 ms
_WINDOW_STEPS = WINDOW_FRAMES * _STEPS_A_FRAME
FEWEST_FRAMES = MOST_OFFSET + WINDOW_FRAMES + 1
"""With fewer, the largest offsets would compare no lips with any sound."""
_BATCH = 8

_FRAME, _STEP, _FFT, _FILTERS, _PRE_EMPHASIS, _LIFTER = 400, 160, 512, 26, 0.97, 22


class Embeddings(Protocol):
    """What :class:`countenance.evaluation.metrics.syncnet.SyncNet` offers."""

    def embed_sound(self, mfcc: Tensor, /) -> Tensor:
        """(B, 1, 13, 20) -> (B, D)."""
        ...

    def embed_lips(self, faces: Tensor, /) -> Tensor:
        """(B, 3, 5, 224, 224), BGR in 0..255 -> (B, D)."""
        ...


@dataclass(frozen=True)
class LipSync:
    """How well the lips of one clip fit its sound.

    Attributes:
        confidence: AVConf, LSE-C: median over the 31 offsets of the mean distance, less the least; 0 or more, higher
            is better.
        offset_frames: AVOffset, -15..15 frames of 40 ms, at the least distance. Positive: the picture is late, the
            sound comes first. Negative: the sound is late.
        distance: LSE-D: the least mean distance; 0 or more, lower is better.
    """

    confidence: float
    offset_frames: int
    distance: float


def lip_sync(frames: Iterable[Image], samples: Floats, network: Embeddings | None = None) -> LipSync:
    """Compare lips and sound at all offsets of up to 15 frames. The longer of the two is cut.

    The published figures are made with the face in a certain place: around the face detector's box, whose longer side
    is 2 s and whose centre is (x, y), from x - 1.4 s to x + 1.4 s and from y - s to y + 1.8 s.

    Args:
        frames: T x 224 x 224 x 3 face crops at 25 frames/s, as an array or one by one.
        samples: (N,) mono sound at 16 kHz in [-1, 1] that starts with the first frame.
        network: from :func:`countenance.evaluation.metrics.syncnet.load_syncnet`, on the CPU; None loads it. Give it
            where there are many clips.

    Raises:
        BadValue: pictures or sound of another form, or less than 21 frames of either.
        DependencyMissing: PyTorch.
        WeightsMissing: SyncNet's weights are not on this machine.
        WeightsDamaged: they are not what they should be.
    """
    sound = _sixteen_bit(samples)
    most = len(sound) // _SAMPLES_A_FRAME
    if most < FEWEST_FRAMES:
        raise _too_short("sound")
    network = _syncnet() if network is None else network
    lips = _embedded(_lip_windows(islice(frames, most)), network.embed_lips)
    if len(lips) + WINDOW_FRAMES - 1 < FEWEST_FRAMES:
        raise _too_short("video")
    # the sound under T frames makes 4 T - 1 steps, one less than the last window of lips needs
    count = len(lips) - 1
    heard = _embedded(_sound_windows(mfcc(sound), count), network.embed_sound)
    distances = mean_distances(np.stack(lips[:count]), np.stack(heard))
    best = int(distances.argmin())
    return LipSync(
        confidence=float(np.median(distances) - distances[best]),
        offset_frames=MOST_OFFSET - best,
        distance=float(distances[best]),
    )


def mean_distances(lips: Doubles, sound: Doubles) -> Doubles:
    """(31,) mean distance of lips from the sound k - 15 windows later, for k = 0..30.

    Where the clip has no sound that early or late, the distance from zero counts, as in the authors' program.

    Args:
        lips: (W, D) embeddings.
        sound: (W, D) embeddings.
    """
    padded = np.pad(sound, ((MOST_OFFSET, MOST_OFFSET), (0, 0)))
    shifted = (padded[k : k + len(lips)] for k in range(2 * MOST_OFFSET + 1))
    return np.array([np.linalg.norm(lips - heard, axis=1).mean() for heard in shifted])


def mfcc(signal: NDArray[np.number[Any]]) -> Doubles:
    """(steps, 13) mel-frequency cepstra, 100 a second, as python_speech_features 0.6 gives them by default.

    Frames of 25 ms every 10 ms without a window function, the last padded with zeros; pre-emphasis 0.97; 26 triangular
    filters from 0 to 8 kHz on an FFT of 512; liftered with 22. The first number is the log of the frame's energy.

    Args:
        signal: (N,) at 16 kHz, one or more; SyncNet was trained on 16-bit numbers, -32768..32767.
    """
    from scipy.fft import dct, rfft

    signal = signal.astype(np.float64)
    emphasised = np.append(signal[0], signal[1:] - _PRE_EMPHASIS * signal[:-1])
    steps = 1 + max(0, -(-(len(signal) - _FRAME) // _STEP))
    padded = np.pad(emphasised, (0, (steps - 1) * _STEP + _FRAME - len(signal)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[::_STEP]
    power = np.abs(rfft(frames, _FFT)) ** 2 / _FFT
    energy, filtered = power.sum(1), power @ _mel_filters().T
    tiny = np.finfo(np.float64).eps  # silence has a log, too
    cepstra = dct(np.log(np.where(filtered == 0, tiny, filtered)), type=2, norm="ortho")[:, :CEPSTRA]
    cepstra *= 1 + _LIFTER / 2 * np.sin(np.pi * np.arange(CEPSTRA) / _LIFTER)
    cepstra[:, 0] = np.log(np.where(energy == 0, tiny, energy))
    return np.asarray(cepstra, np.float64)


def _mel_filters() -> Doubles:
    """(26, 257) triangles between bins of the FFT that are evenly spaced in mel."""
    mel = np.linspace(0, 2595 * np.log10(1 + RATE / 2 / 700), _FILTERS + 2)
    edges = np.floor((_FFT + 1) * 700 * (10 ** (mel / 2595) - 1) / RATE)[:, None]
    low, peak, high = edges[:-2], edges[1:-1], edges[2:]
    bins = np.arange(_FFT // 2 + 1)
    filters = np.minimum((bins - low) / (peak - low), (high - bins) / (high - peak))
    return np.asarray(filters.clip(0), np.float64)


def _sixteen_bit(samples: Floats) -> Doubles:
    if samples.ndim != 1 or not np.issubdtype(samples.dtype, np.floating) or not np.isfinite(samples).all():
        form = f"{samples.shape} {samples.dtype}"
        raise BadValue(f"lip sync takes mono sound (N,) of finite floats in [-1, 1], not {form}; convert it")
    return np.clip(np.round(samples.astype(np.float64) * 32768), -32768, 32767)


def _lip_windows(frames: Iterable[Image]) -> Iterator[Image]:
    """Windows of five frames as (3, 5, 224, 224), BGR as SyncNet was trained."""
    window: deque[Image] = deque(maxlen=WINDOW_FRAMES)
    for frame in frames:
        if frame.shape != (SIDE, SIDE, 3) or frame.dtype != np.uint8:
            form = f"{frame.shape} {frame.dtype}"
            raise BadValue(f"lip sync takes face crops of (224, 224, 3) uint8, not {form}; resize them")
        window.append(frame[..., ::-1].transpose(2, 0, 1))
        if len(window) == WINDOW_FRAMES:
            yield np.stack(window, 1)


def _sound_windows(cepstra: Doubles, count: int) -> Iterator[Doubles]:
    """The first ``count`` windows of 0.2 s, one a frame, as (1, 13, 20)."""
    for start in range(0, count * _STEPS_A_FRAME, _STEPS_A_FRAME):
        yield cepstra[start : start + _WINDOW_STEPS].T[None]


def _embedded(windows: Iterator[NDArray[Any]], embed: Callable[[Tensor], Tensor]) -> list[Doubles]:
    import torch

    vectors: list[Doubles] = []
    with torch.inference_mode():
        while batch := list(islice(windows, _BATCH)):
            vectors.extend(embed(torch.from_numpy(np.stack(batch)).float()).double().numpy())
    return vectors


def _too_short(what: str) -> BadValue:
    return BadValue(
        f"lip sync needs {FEWEST_FRAMES} frames of 40 ms and the {what} is shorter; take a longer clip"
    )


def _syncnet() -> Embeddings:
    try:
        from countenance.evaluation.metrics.syncnet import load_syncnet
    except ImportError as error:
        raise DependencyMissing("torch", "torch", "the lip sync metric") from error
    return load_syncnet()
