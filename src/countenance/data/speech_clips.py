"""The sound of prepared clips beside their motion, both at 25 frames a second."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from countenance.arrays import Floats
from countenance.atomic import replacing
from countenance.audio.features import FPS, WIDTH, SpeechFeatures, speech_features
from countenance.audio.samples import RATE, all_samples
from countenance.data.dataset import Clip, Dataset
from countenance.errors import BadValue, DatasetUnreadable, MediaUnreadable
from countenance.stored.content import Malformed, reason_of
from countenance.stored.npz import read_npz

SPEECH = "speech"
_FULL_SCALE = 32_767


@dataclass(frozen=True, eq=False)
class Speech:
    """Sound of a clip from its first frame on.

    Attributes:
        features: T frames of 40 ms.
        samples: (N,) int16 at 16 kHz.
    """

    features: SpeechFeatures
    samples: NDArray[np.int16]


@dataclass(frozen=True, eq=False)
class SpokenClip:
    """What somebody said and how they moved, frame by frame at 25 frames a second.

    Attributes:
        identity: who it is.
        log_mel: (T, WIDTH), see :class:`countenance.audio.features.SpeechFeatures`.
        motion: (T, D).
        samples: (N,) int16 at 16 kHz, N = 640 T.
    """

    identity: str
    log_mel: Floats
    motion: Floats
    samples: NDArray[np.int16]

    def __len__(self) -> int:
        """T."""
        return len(self.motion)


def save_speech(folder: Path, name: str, source: Path) -> bool:
    """Store the sound of ``source``, if it has any but silence; says whether it has."""
    try:
        samples = all_samples(source)
    except MediaUnreadable:
        return False
    features = speech_features([samples])
    if not features.loudness.any():
        return False
    with replacing(folder / SPEECH / f"{name}.npz") as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            allow_pickle=False,
            log_mel=features.log_mel.astype(np.float16),
            loudness=features.loudness.astype(np.float16),
            samples=np.rint(samples * _FULL_SCALE).astype(np.int16),
        )
    return True


def load_speech(folder: Path, name: str) -> Speech:
    """Read what :func:`save_speech` wrote.

    Raises:
        DatasetUnreadable: gone or damaged.
    """
    path = folder / SPEECH / f"{name}.npz"
    try:
        arrays = read_npz(path)
        nothing = np.empty((0, 0))
        log_mel, loudness, samples = (arrays.get(k, nothing) for k in ("log_mel", "loudness", "samples"))
        if log_mel.shape != (len(loudness), WIDTH) or loudness.ndim != 1:
            raise Malformed(f"shapes {log_mel.shape} and {loudness.shape}")
        if not all(part.dtype.kind == "f" and np.isfinite(part).all() for part in (log_mel, loudness)):
            raise Malformed("it holds others than finite numbers")
        if samples.ndim != 1 or samples.dtype != np.int16:
            raise Malformed(f"samples of shape {samples.shape} and type {samples.dtype}")
    except FileNotFoundError:
        raise DatasetUnreadable(path, "it is not there; run the same countenance prepare again") from None
    except (OSError, Malformed) as error:
        fix = "delete it and run the same countenance prepare again"
        raise DatasetUnreadable(path, f"it is damaged ({reason_of(error)})", fix) from error
    return Speech(SpeechFeatures(log_mel.astype(np.float32), loudness.astype(np.float32)), samples)


def spoken_clips(dataset: Dataset, shortest: int = 1) -> list[SpokenClip]:
    """All clips of a split in which somebody speaks, their sound moved by ``sound_lag``.

    Args:
        dataset: with sound, of :func:`countenance.data.prepare.prepare`.
        shortest: clips of fewer frames are left out.

    Raises:
        BadValue: there is none.
    """
    clips = [spoken_clip(dataset, clip) for clip in dataset.clips if clip.speaks]
    long_enough = [clip for clip in clips if len(clip) >= shortest]
    if not long_enough:
        raise BadValue(
            f"the dataset {dataset.folder} has no clip with sound of {shortest} frames or more; "
            "prepare videos of people who speak"
        )
    return long_enough


def spoken_clip(dataset: Dataset, clip: Clip, *, aligned: bool = True) -> SpokenClip:
    """One clip that ``speaks``.

    Args:
        dataset: it is in.
        clip: of the dataset.
        aligned: move the sound by the clip's ``sound_lag``; frames without a partner are left out.
    """
    speech = load_speech(dataset.folder, clip.name)
    motion = dataset.motion(clip).resample(FPS).values
    lag = clip.sound_lag if aligned else 0
    heard, first = max(lag, 0), max(-lag, 0)  # frame of sound and of motion that become the first
    count = max(0, min(len(speech.features) - heard, len(motion) - first))
    per_frame = round(RATE / FPS)
    samples = speech.samples[heard * per_frame :][: count * per_frame]
    return SpokenClip(
        clip.identity,
        speech.features.log_mel[heard : heard + count],
        motion[first : first + count],
        np.pad(samples, (0, count * per_frame - len(samples))),
    )
