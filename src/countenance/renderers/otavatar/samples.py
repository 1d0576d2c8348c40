"""What training takes: two frames of a clip, rather ones with much expression, and what is known of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from countenance.arrays import Doubles, Floats
from countenance.data.dataset import Clip, Dataset
from countenance.data.pairs import Bytes
from countenance.motion.sequence import Motion
from countenance.renderers.otavatar.camera import motion_cameras
from countenance.renderers.otavatar.objective import Moments, ibug_landmarks
from countenance.training.recipe import Batch


class Shot(NamedTuple):
    """Source and driving frame (Algorithm 1, line 2).

    Attributes:
        pictures: (2, S, S, 3) uint8 RGB.
        windows: (2, D, 27).
        cameras: (2, 25).
        landmarks: (2, 68, 2) in px of 512.
    """

    pictures: Bytes
    windows: Floats
    cameras: Floats
    landmarks: Floats


class ShotSampler:
    """Shot number i of an endless sequence; each depends on ``seed`` and i alone.

    An identity is drawn first, then one of its clips; then two frames with replacement, with the strength of their
    expression as weight, as in the authors' code.

    Args:
        dataset: the clips, with landmarks.
        seed: of the sequence.
        floor: added to every weight.
    """

    def __init__(self, dataset: Dataset, seed: int, floor: float) -> None:
        self.dataset, self.seed, self.floor = dataset, seed, floor
        self._clips: dict[str, list[Clip]] = {}
        for clip in dataset.clips:
            self._clips.setdefault(clip.identity, []).append(clip)
        self._identities = sorted(self._clips)

    def __getitem__(self, index: int) -> Shot:
        """Shot number ``index`` >= 0."""
        numbers = np.random.Generator(np.random.Philox(key=[self.seed, index]))
        clips = self._clips[self._identities[numbers.integers(len(self._identities))]]
        clip = clips[numbers.integers(len(clips))]
        motion = self.dataset.motion(clip)
        frames = numbers.choice(len(motion), 2, p=expression_shares(motion, self.floor))
        landmarks = self.dataset.landmarks(clip)[frames]
        return Shot(
            self.dataset.frames(clip)[frames],
            motion.descriptor()[frames],
            np.concatenate([motion_cameras(motion[int(frame)]) for frame in frames]),
            ibug_landmarks(landmarks, self.dataset.size),
        )


def expression_shares(motion: Motion, floor: float) -> Doubles:
    """(T,), how often a frame is drawn: ``floor`` plus the L1 norm of its expression, made to sum to 1."""
    expression = motion.values[:, motion.space.region_indices("expression")].astype(np.float64)
    weights = floor + np.abs(expression).sum(1)
    shares: Doubles = weights / weights.sum()
    return shares


def as_batch(shots: list[Shot]) -> Batch:
    """Tensors of 2B frames, all sources before all driving frames; pictures are (2B, 3, S, S) uint8."""
    stacked = [np.concatenate(list(np.stack(part, 1))) for part in zip(*shots, strict=True)]
    pictures, windows, cameras, landmarks = (torch.from_numpy(np.ascontiguousarray(a)) for a in stacked)
    return {
        "pictures": pictures.permute(0, 3, 1, 2).contiguous(),
        "windows": windows,
        "cameras": cameras,
        "landmarks": landmarks,
    }


def moments_of(batch: Batch) -> Moments:
    """What :func:`as_batch` made, with pictures in [-1, 1]."""
    pictures = batch["pictures"].float() / 127.5 - 1
    return Moments(pictures, batch["windows"], batch["cameras"], batch["landmarks"])
