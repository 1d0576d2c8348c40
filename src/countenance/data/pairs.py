"""Training pairs: two frames of one clip, used in both directions (PIRenderer, Sec. 4), and their augmentation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from countenance.arrays import Floats
from countenance.data.dataset import Clip, Dataset
from countenance.errors import BadValue
from countenance.motion.spaces import MotionSpace, get_space

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Augmentation:
    """How far training pictures are changed. Both frames of a pair get the same change, and motion stays true.

    Attributes:
        colour: brightness, contrast and saturation change by up to this share.
        flip: mirror half of the pairs; left and right coefficients swap.
        shift: the crop moves by up to this share of its side; the position coefficients follow.
        scale: the crop grows or shrinks by up to this share; the size coefficient follows.
    """

    colour: float = 0.15
    flip: bool = True
    shift: float = 0.06
    scale: float = 0.12


class Pair(NamedTuple):
    """Two frames of one person.

    Attributes:
        pictures: (2, S, S, 3) uint8 RGB.
        windows: (2, D, T) motion descriptors around each.
        own: (2, D) their own coefficients.
        landmarks_px: (2, L, 3) in px of the pictures, or None where nobody asked for them.
    """

    pictures: Bytes
    windows: Floats
    own: Floats
    landmarks_px: Floats | None = None


class PairSampler:
    """Pair number i of an endless, reproducible sequence: every pair depends on ``seed`` and i alone.

    An identity is drawn first, then one of its clips, so that people with much footage do not outweigh the
    others; then two different frames.

    Args:
        dataset: the clips.
        radius: of the motion descriptor.
        seed: of the sequence.
        augmentation: None for the pictures as they are.
        landmarks: give them too.

    Raises:
        BadValue: crop jitter in a space whose coefficients do not say how they follow the crop.
    """

    def __init__(
        self,
        dataset: Dataset,
        radius: int = 13,
        seed: int = 0,
        augmentation: Augmentation | None = None,
        *,
        landmarks: bool = False,
    ) -> None:
        self.dataset, self.radius, self.seed, self.augmentation = dataset, radius, seed, augmentation
        self.landmarks = landmarks
        self.space = get_space(dataset.space)
        if augmentation and (augmentation.shift or augmentation.scale) and self.space.name != "arkit":
            raise BadValue(
                f"crop jitter is not known for motion space '{self.space.name}'; set shift and scale to 0"
            )
        self._by_identity: dict[str, list[Clip]] = {}
        for clip in dataset.clips:
            if clip.frames >= 2:
                self._by_identity.setdefault(clip.identity, []).append(clip)
        if not self._by_identity:
            raise BadValue("no clip has two frames to make a pair of; prepare longer clips")
        self._identities = sorted(self._by_identity)

    def __getitem__(self, index: int) -> Pair:
        """Pair number ``index`` >= 0."""
        rng = np.random.Generator(np.random.Philox(key=[self.seed, index]))
        clips = self._by_identity[self._identities[rng.integers(len(self._identities))]]
        clip = clips[rng.integers(len(clips))]
        first = int(rng.integers(clip.frames))
        second = (first + 1 + int(rng.integers(clip.frames - 1))) % clip.frames
        frames, motion = self.dataset.frames(clip), self.dataset.motion(clip)
        descriptors = motion.descriptor(self.radius)
        pair = Pair(
            frames[[first, second]],
            np.stack([descriptors[first], descriptors[second]]),
            motion.values[[first, second]],
            self.dataset.landmarks(clip)[[first, second]] if self.landmarks else None,
        )
        return pair if self.augmentation is None else augment(pair, self.space, self.augmentation, rng)


def augment(pair: Pair, space: MotionSpace, how: Augmentation, rng: np.random.Generator) -> Pair:
    """A changed pair whose motion and landmarks say the same as its pictures."""
    if how.flip and rng.random() < 0.5:
        pair = flipped(pair, space)
    if how.shift or how.scale:
        x, y = rng.uniform(-how.shift, how.shift, 2)
        scale = float(np.exp(rng.uniform(-how.scale, how.scale)))
        points = pair.landmarks_px
        pair = Pair(
            np.stack([recropped(picture, x, y, scale) for picture in pair.pictures]),
            recropped_motion(pair.windows, space, x, y, scale),
            recropped_motion(pair.own, space, x, y, scale),
            None if points is None else recropped_points(points, pair.pictures.shape[1], x, y, scale),
        )
    if how.colour:
        pair = pair._replace(pictures=_recoloured(pair.pictures, how.colour, rng))
    return pair._replace(
        pictures=np.ascontiguousarray(pair.pictures),
        windows=pair.windows.astype(np.float32),
        own=pair.own.astype(np.float32),
    )


def flipped(pair: Pair, space: MotionSpace) -> Pair:
    """The mirror image; landmarks are those of the default face model."""
    order, signs = space.mirror_permutation()
    points = pair.landmarks_px
    if points is not None:
        from countenance.face.mediapipe_model import mirrored_vertices  # reading pairs needs no face model

        points = points[:, mirrored_vertices()] * np.array([-1, 1, 1], np.float32)
        points[..., 0] += pair.pictures.shape[2]
    return Pair(
        pair.pictures[:, :, ::-1], pair.windows[:, order] * signs[:, None], pair.own[:, order] * signs, points
    )


def recropped(picture: Bytes, x: float, y: float, scale: float) -> Bytes:
    """The picture in a square ``scale`` times as large, moved right by x and down by y sides; edges repeat."""
    side = picture.shape[0]
    center = (side - 1) / 2
    shift = np.array([x, y]) * side + center - scale * center
    to_source = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    moved = cv2.warpAffine(
        np.ascontiguousarray(picture),
        to_source,
        (side, side),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(moved, np.uint8)


def recropped_points(points_px: Floats, side: int, x: float, y: float, scale: float) -> Floats:
    """Points (..., 3) of a picture ``side`` px wide, in px of that square; see :func:`recropped`."""
    moved = np.array(points_px, np.float32) - np.array([(0.5 + x) * side, (0.5 + y) * side, 0], np.float32)
    moved /= scale
    moved[..., :2] += side / 2
    return moved


def recropped_motion(values: Floats, space: MotionSpace, x: float, y: float, scale: float) -> Floats:
    """``arkit`` coefficients relative to that square.

    Args:
        values: (..., 58) or (..., 58, T).
        space: arkit.
        x: shift to the right in sides.
        y: shift down in sides; the coefficient y points up.
        scale: new side over old.
    """
    axis = -1 if values.shape[-1] == space.size else -2
    moved = np.moveaxis(np.array(values, np.float32), axis, -1)
    moved[..., space.index("x")] = (moved[..., space.index("x")] - x) / scale
    moved[..., space.index("y")] = (moved[..., space.index("y")] + y) / scale
    moved[..., space.index("logScale")] -= np.log(scale)
    return np.moveaxis(moved, -1, axis)


def _recoloured(pictures: Bytes, most: float, rng: np.random.Generator) -> Bytes:
    """Brightness, contrast and saturation, as one 3 x 3 matrix and an offset for both pictures."""
    brightness, contrast, saturation = 1 + rng.uniform(-most, most, 3)
    grey = np.full((3, 3), 1 / 3)
    matrix = (saturation * np.eye(3) + (1 - saturation) * grey) * brightness * contrast
    mean = float(pictures[:, ::8, ::8].mean())
    offset = (1 - contrast) * mean * brightness
    affine = np.column_stack([matrix, np.full(3, offset)]).astype(np.float32)
    return np.stack([np.asarray(cv2.transform(p, affine), np.uint8) for p in pictures])


def as_batch(pairs: list[Pair]) -> dict[str, Any]:
    """Pairs -> torch tensors: ``pictures`` (B, 2, 3, S, S) uint8, ``windows`` (B, 2, D, T), ``own`` (B, 2, D)."""
    import torch

    pictures = torch.from_numpy(np.stack([pair.pictures for pair in pairs])).permute(0, 1, 4, 2, 3)
    return {
        "pictures": pictures.contiguous(),
        "windows": torch.from_numpy(np.stack([pair.windows for pair in pairs])),
        "own": torch.from_numpy(np.stack([pair.own for pair in pairs])),
    }
