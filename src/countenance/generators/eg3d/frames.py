"""Single frames of a prepared dataset with their cameras: what EG3D is trained on."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import torch

from countenance.arrays import Floats, Image
from countenance.data.dataset import Clip, Dataset
from countenance.errors import BadValue
from countenance.generators.eg3d.tracked_cameras import arkit_cameras
from countenance.motion.spaces import ARKIT
from countenance.training.recipe import Batch


class Frame(NamedTuple):
    """A picture and two cameras.

    Attributes:
        picture: S x S x 3.
        camera: (25,), of the picture.
        drawn_camera: (25,), of another frame: for a picture that is to be made.
        person: number of who it is.
    """

    picture: Image
    camera: Floats
    drawn_camera: Floats
    person: int


class FrameSampler:
    """Frame number i of an endless, reproducible sequence: it depends on ``seed`` and i alone.

    A person is drawn first, then one of the clips, then the frame, so that much footage does not outweigh the others.

    Args:
        dataset: the clips, in ``arkit``.
        side: of the pictures in px; the dataset's or smaller.
        seed: of the sequence.
        flip: mirror half of the frames, and their cameras.

    Raises:
        BadValue: another motion space, or pictures that are too small.
    """

    def __init__(self, dataset: Dataset, side: int, seed: int = 0, *, flip: bool) -> None:
        if dataset.space != ARKIT.name:
            raise BadValue(
                f"the dataset's motion is {dataset.space}, and cameras are made of {ARKIT.name}; "
                "prepare the clips with the tracker mediapipe"
            )
        if dataset.size < side:
            raise BadValue(
                f"the dataset's pictures are {dataset.size} px wide and the network's {side}; "
                "prepare it with that size or a larger one"
            )
        self.dataset, self.side, self.seed, self.flip = dataset, side, seed, flip
        clips: dict[str, list[Clip]] = {}
        for clip in dataset.clips:
            clips.setdefault(clip.identity, []).append(clip)
        self._clips = [clips[name] for name in sorted(clips)]

    @property
    def people(self) -> int:
        """How many."""
        return len(self._clips)

    def __getitem__(self, index: int) -> Frame:
        """Frame number ``index`` >= 0."""
        rng = np.random.Generator(np.random.Philox(key=[self.seed, index]))
        person, clip, number, mirrored = self._drawn(rng)
        _, other, other_number, other_mirrored = self._drawn(rng)
        picture = self.dataset.frames(clip)[number]
        if mirrored:
            picture = picture[:, ::-1]
        if self.side != self.dataset.size:
            picture = cv2.resize(picture, (self.side, self.side), interpolation=cv2.INTER_AREA)
        return Frame(
            np.ascontiguousarray(picture, np.uint8),
            self._camera(clip, number, mirrored),
            self._camera(other, other_number, other_mirrored),
            person,
        )

    def _drawn(self, rng: np.random.Generator) -> tuple[int, Clip, int, bool]:
        person = int(rng.integers(self.people))
        clip = self._clips[person][rng.integers(len(self._clips[person]))]
        return person, clip, int(rng.integers(clip.frames)), self.flip and bool(rng.random() < 0.5)

    def _camera(self, clip: Clip, number: int, mirrored: bool) -> Floats:
        values = self.dataset.motion(clip).values[number]
        if mirrored:
            order, signs = ARKIT.mirror_permutation()
            values = values[order] * signs
        return np.asarray(arkit_cameras(values[None])[0])


def frame_batch(frames: list[Frame]) -> Batch:
    """Frames as tensors: ``picture`` (B, 3, S, S) uint8, ``camera`` and ``drawn_camera`` (B, 25), ``person`` (B,)."""
    return {
        "picture": torch.from_numpy(
            np.stack([frame.picture for frame in frames]).transpose(0, 3, 1, 2).copy()
        ),
        "camera": torch.from_numpy(np.stack([frame.camera for frame in frames])),
        "drawn_camera": torch.from_numpy(np.stack([frame.drawn_camera for frame in frames])),
        "person": torch.tensor([frame.person for frame in frames]),
    }
