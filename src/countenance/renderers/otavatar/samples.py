"""What training takes: two frames of a clip, rather ones with much expression, and what is known of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from countenance.arrays import Doubles, Floats
from countenance.data.dataset import Clip, Dataset
from countenance.data.pairs import Bytes, Pair, flipped
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
        look: number of the clip, and of its mirror image; see :attr:`ShotSampler.looks`.
    """

    pictures: Bytes
    windows: Floats
    cameras: Floats
    landmarks: Floats
    look: int


class ShotSampler:
    """Shot number i of an endless sequence; each depends on ``seed`` and i alone.

    An identity is drawn first, then one of its clips; then two frames with replacement, with the strength of their
    expression as weight, as in the authors' code. Turned heads may count more, as EG3D's authors balanced their faces.

    Args:
        dataset: the clips, with landmarks.
        seed: of the sequence.
        floor: added to every weight.
        turned: so much more a frame counts for each squared radian of yaw, and a clip for the mean of it.
        flip: mirror half of the shots, ``arkit`` only.
    """

    def __init__(
        self, dataset: Dataset, seed: int, floor: float, *, turned: float = 0.0, flip: bool = False
    ) -> None:
        self.dataset, self.seed, self.floor, self.turned, self.flip = dataset, seed, floor, turned, flip
        self._number = {clip.name: number for number, clip in enumerate(dataset.clips)}
        self._clips: dict[str, list[Clip]] = {}
        for clip in dataset.clips:
            self._clips.setdefault(clip.identity, []).append(clip)
        self._identities = sorted(self._clips)
        self._clip_shares = {
            identity: _shares(np.array([turn_weights(dataset.motion(clip), turned).mean() for clip in clips]))
            for identity, clips in self._clips.items()
        }

    @property
    def looks(self) -> int:
        """How many there are: people wear and stand before other things in each clip, and look another way mirrored."""
        return 2 * len(self._number)

    def __getitem__(self, index: int) -> Shot:
        """Shot number ``index`` >= 0."""
        numbers = np.random.Generator(np.random.Philox(key=[self.seed, index]))
        identity = self._identities[numbers.integers(len(self._identities))]
        clip = self._clips[identity][
            numbers.choice(len(self._clips[identity]), p=self._clip_shares[identity])
        ]
        motion = self.dataset.motion(clip)
        frames = numbers.choice(len(motion), 2, p=frame_shares(motion, self.floor, self.turned))
        shown = Pair(
            self.dataset.frames(clip)[frames],
            motion.descriptor()[frames],
            motion.values[frames],
            self.dataset.landmarks(clip)[frames],
        )
        mirrored = self.flip and bool(numbers.random() < 0.5)
        if mirrored:
            shown = flipped(shown, motion.space)
        crop = None if motion.crop is None else motion.crop[frames]
        moved = Motion(shown.own.astype(np.float32), motion.space, motion.fps, crop=crop)
        return Shot(
            np.ascontiguousarray(shown.pictures),
            shown.windows.astype(np.float32),
            motion_cameras(moved),
            ibug_landmarks(np.asarray(shown.landmarks_px, np.float32), self.dataset.size),
            2 * self._number[clip.name] + mirrored,
        )


def frame_shares(motion: Motion, floor: float, turned: float = 0.0) -> Doubles:
    """(T,), how often a frame is drawn: ``floor`` plus the L1 norm of its expression, times :func:`turn_weights`."""
    expression = motion.values[:, motion.space.region_indices("expression")].astype(np.float64)
    return _shares((floor + np.abs(expression).sum(1)) * turn_weights(motion, turned))


def turn_weights(motion: Motion, turned: float) -> Doubles:
    """(T,), 1 for a head that looks forward, and ``turned`` more for each squared radian of yaw."""
    return np.asarray(1 + turned * motion["yaw"].astype(np.float64) ** 2, np.float64)


def _shares(weights: Doubles) -> Doubles:
    """Made to sum to 1."""
    return np.asarray(weights / weights.sum(), np.float64)


def as_batch(shots: list[Shot]) -> Batch:
    """Tensors of 2B frames, all sources before all driving frames; pictures are (2B, 3, S, S) uint8; ``look`` (2B,)."""
    *arrays, looks = zip(*shots, strict=True)
    stacked = [np.concatenate(list(np.stack(part, 1))) for part in arrays]
    pictures, windows, cameras, landmarks = (torch.from_numpy(np.ascontiguousarray(a)) for a in stacked)
    return {
        "pictures": pictures.permute(0, 3, 1, 2).contiguous(),
        "windows": windows,
        "cameras": cameras,
        "landmarks": landmarks,
        "look": torch.tensor(looks).repeat(2),
    }


def moments_of(batch: Batch) -> Moments:
    """What :func:`as_batch` made, with pictures in [-1, 1]."""
    pictures = batch["pictures"].float() / 127.5 - 1
    return Moments(pictures, batch["windows"], batch["cameras"], batch["landmarks"])
