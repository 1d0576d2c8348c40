"""Training samples of speech: stretches of a clip, and how far their sound is changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from countenance.arrays import Floats
from countenance.audio.features import FPS, MELS, WIDTH
from countenance.audio.samples import RATE
from countenance.data.speech_clips import SpokenClip
from countenance.errors import BadValue
from countenance.motion.spaces import MotionSpace

_PER_FRAME = round(RATE / FPS)
_MASKS = 2
_WIDEST_MASK = 4  # bands


@dataclass(frozen=True)
class SoundAugmentation:
    """How far training sound is changed, so that a few voices stand for many.

    Attributes:
        stretch: bands move up or down as in a longer or shorter throat, by up to this share (Jaitly, Hinton 2013).
        shift: bands move by up to this many.
        level: spread of the overall level, in units of 40 dB.
        tilt: spread of the level of the highest bands against the lowest, likewise.
        noise: share of samples with a floor of noise.
        masks: leave out some bands (Park et al. 2019).
        flip: mirror half of the motions.
    """

    stretch: float = 0.15
    shift: float = 1.5
    level: float = 0.08
    tilt: float = 0.1
    noise: float = 0.3
    masks: bool = True
    flip: bool = True


@dataclass(frozen=True, eq=False)
class SpeechSample:
    """A stretch of T frames.

    Attributes:
        log_mel: (T, WIDTH).
        motion: (T, D).
        style: (D,) the mean motion of the clip that it is from, without pose: how this person holds the face.
        samples: (640 T,) in [-1, 1], as recorded.
        real: 1 if a person was filmed, 0 if the motion was made by rule from text.
    """

    log_mel: Floats
    motion: Floats
    style: Floats
    samples: Floats
    real: float


class SpeechSampler:
    """Sample number i of an endless, reproducible sequence: it depends on ``seed`` and i alone.

    A person is drawn first, then one of their clips, then a stretch of it.

    Args:
        clips: of people.
        space: of their motion.
        frames: T.
        seed: of the sequence.
        augmentation: None for the sound as it is.
        spoken: clips whose lips move by rule, from text; everything but the lips is taken from ``clips``.
        spoken_share: how often one of them is drawn.

    Raises:
        BadValue: no clip is as long as T.
    """

    def __init__(
        self,
        clips: Sequence[SpokenClip],
        space: MotionSpace,
        frames: int,
        seed: int = 0,
        augmentation: SoundAugmentation | None = None,
        *,
        spoken: Sequence[SpokenClip] = (),
        spoken_share: float = 0.0,
    ) -> None:
        self.space, self.frames, self.seed, self.augmentation = space, frames, seed, augmentation
        self.spoken_share = spoken_share
        self._people = _by_person(clips, frames)
        self._spoken = _by_person(spoken, frames)
        if not self._people:
            raise BadValue(f"no clip with sound has {frames} frames; prepare longer clips")
        if spoken_share and not self._spoken:
            raise BadValue(f"no spoken text is {frames} frames long; use longer sentences")

    def __getitem__(self, index: int) -> SpeechSample:
        """Sample number ``index`` >= 0."""
        rng = np.random.Generator(np.random.Philox(key=[self.seed, index]))
        sample = self._drawn(self._people, rng)
        if rng.random() < self.spoken_share:
            sample = self._with_lips_of(sample, self._drawn(self._spoken, rng))
        if self.augmentation is None:
            return sample
        log_mel = changed(sample.log_mel, self.augmentation, rng)
        motion, style = sample.motion, sample.style
        if self.augmentation.flip and rng.random() < 0.5:
            order, signs = self.space.mirror_permutation()
            motion = np.asarray(motion[:, order] * signs, np.float32)
            style = np.asarray(style[order] * signs, np.float32)
        return replace(sample, log_mel=log_mel, motion=motion, style=style)

    def _drawn(self, people: list[list[SpokenClip]], rng: np.random.Generator) -> SpeechSample:
        clips = people[rng.integers(len(people))]
        clip = clips[rng.integers(len(clips))]
        start = int(rng.integers(len(clip) - self.frames + 1))
        part = slice(start, start + self.frames)
        sound = clip.samples[start * _PER_FRAME :][: self.frames * _PER_FRAME]
        return SpeechSample(
            clip.log_mel[part],
            clip.motion[part],
            style_of(clip.motion, self.space),
            np.asarray(sound / np.float32(32_768), np.float32),
            1.0,
        )

    def _with_lips_of(self, sample: SpeechSample, spoken: SpeechSample) -> SpeechSample:
        lips = self.space.region_indices("lips")
        motion, style = sample.motion.copy(), sample.style.copy()
        motion[:, lips], style[lips] = spoken.motion[:, lips], spoken.style[lips]
        return SpeechSample(spoken.log_mel, motion, style, spoken.samples, 0.0)


def style_of(motion: Floats, space: MotionSpace) -> Floats:
    """(D,) how a person holds the face on average, without pose.

    Args:
        motion: (T, D).
        space: of the motion.
    """
    style = motion.mean(0)
    style[space.region_indices("pose")] = 0
    return np.asarray(style, np.float32)


def changed(log_mel: Floats, how: SoundAugmentation, rng: np.random.Generator) -> Floats:
    """(T, WIDTH) features as if another person spoke elsewhere."""
    bands = log_mel.reshape(-1, MELS)
    stretch = np.exp(rng.uniform(-how.stretch, how.stretch))
    places = (np.arange(MELS) * stretch + rng.uniform(-how.shift, how.shift)).clip(0, MELS - 1)
    below = np.floor(places).astype(np.intp)
    share = (places - below).astype(np.float32)
    bands = bands[:, below] * (1 - share) + bands[:, np.minimum(below + 1, MELS - 1)] * share
    bands = bands + rng.normal(0, how.level) + rng.normal(0, how.tilt) * np.linspace(-1, 1, MELS)
    if rng.random() < how.noise:
        bands = np.maximum(bands, rng.uniform(-1, -0.4) + rng.normal(0, 0.05, bands.shape))
    if how.masks:
        for _ in range(_MASKS):
            first = int(rng.integers(MELS - _WIDEST_MASK + 1))
            bands[:, first : first + int(rng.integers(_WIDEST_MASK + 1))] = bands.mean()
    return np.asarray(bands.reshape(-1, WIDTH).clip(-1, 0.5), np.float32)


def _by_person(clips: Sequence[SpokenClip], frames: int) -> list[list[SpokenClip]]:
    people: dict[str, list[SpokenClip]] = {}
    for clip in clips:
        if len(clip) >= frames:
            people.setdefault(clip.identity, []).append(clip)
    return [people[name] for name in sorted(people)]
