"""A dataset with sound, made without recording anybody: a hum that is the louder the wider the jaw is open."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from countenance.arrays import Floats
from countenance.audio.features import FPS, WIDTH, SpeechFeatures
from countenance.audio.samples import RATE
from countenance.data.dataset import Manifest
from countenance.data.speech_clips import SPEECH
from countenance.motion.files import save_motion
from countenance.motion.sequence import Motion
from countenance.motion.spaces import get_space
from prepared import write_dataset

_PER_FRAME = round(RATE / FPS)


def write_speaking_dataset(folder: Path, space: str = "arkit", frames: int = 40) -> Path:
    """The clips of :func:`prepared.write_dataset`, in which the first number of the lips is what is heard."""
    write_dataset(folder, frames=frames)
    manifest = Manifest.read(folder)
    for number, clip in enumerate(manifest.clips):
        opened = openings(frames, number)
        save_motion(folder / "motion" / f"{clip.name}.npz", moving(opened, space))
        features = heard(opened)
        path = folder / SPEECH / f"{clip.name}.npz"
        path.parent.mkdir(exist_ok=True)
        np.savez_compressed(
            path,
            allow_pickle=False,
            log_mel=features.log_mel.astype(np.float16),
            loudness=features.loudness.astype(np.float16),
            samples=np.rint(hum(opened) * 32_767).astype(np.int16),
        )
    clips = tuple(replace(clip, speaks=True) for clip in manifest.clips)
    replace(manifest, space=space, clips=clips).write(folder)
    return folder


def openings(frames: int, seed: int) -> Floats:
    """(T,) in [0, 1]: syllables of a few frames each."""
    rng = np.random.default_rng(seed)
    syllables = np.repeat(rng.uniform(0, 1, frames // 4 + 2), 4)
    return np.asarray(np.convolve(syllables, np.ones(3) / 3, "same")[:frames], np.float32)


def moving(opened: Floats, space: str = "arkit") -> Motion:
    """``jawOpen`` and its like in a space whose numbers have no such names."""
    values = np.tile(get_space(space).neutral, (len(opened), 1))
    values[:, get_space(space).index("jawOpen") if space == "arkit" else 0] = opened
    return Motion(values, get_space(space), FPS)


def heard(opened: Floats) -> SpeechFeatures:
    """Its features: all bands as loud as the jaw is open."""
    return SpeechFeatures(np.tile(opened[:, None] * 1.5 - 1, (1, WIDTH)), opened, hum(opened))


def hum(opened: Floats) -> Floats:
    """(640 T,) samples."""
    level = np.repeat(opened, _PER_FRAME)
    return np.asarray(0.5 * level * np.sin(np.arange(len(level)) / RATE * 2 * np.pi * 140), np.float32)
