"""A prepared dataset: face crops as video, their motion, and a manifest. Reading needs numpy and OpenCV only.

DATASET/
  manifest.json      what there is: see :class:`Manifest`
  clips/NAME.mp4     square crops, all of one size
  motion/NAME.npz    the motion of every frame, relative to the crop
  landmarks/NAME.npz the tracker's landmarks of every frame, in px of the crop
  speech/NAME.npz    features of the clip's sound, where it has any: see :mod:`countenance.data.speech_clips`
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path, PurePath
from typing import Annotated

import cv2
import numpy as np
from numpy.typing import NDArray

from countenance.arrays import Floats
from countenance.atomic import replacing
from countenance.digests import FileState
from countenance.errors import BadValue, DatasetUnreadable
from countenance.motion.files import load_motion
from countenance.motion.sequence import Motion
from countenance.ranges import COUNT, CROP_SCALE, FRAME_RATE, PICTURE_SIDE_PX
from countenance.stored.content import Malformed, reason_of
from countenance.stored.fields import NEWER, record
from countenance.stored.json_text import read_json
from countenance.stored.npz import read_npz

FORMAT = "countenance-dataset"
VERSION = 2
_READ_VERSIONS = (1, 2)  # 1 does not say what content a clip was made of
MANIFEST = "manifest.json"
PARTS = {"clips": ".mp4", "motion": ".npz", "landmarks": ".npz"}
Frames = NDArray[np.uint8]  # T x S x S x 3, RGB


@dataclass(frozen=True)
class Clip:
    """One clip of one person.

    Attributes:
        name: of its files.
        identity: who it is; no identity is in two splits.
        split: "train" or "test".
        frames: how many.
        fps: frames a second.
        source: the file that it was made from: its absolute path, or, in manifests of version 1, as given.
        box_px: left, top and side of the crop in the source.
        bridged: frames in which no face was seen.
        speaks: it has sound, and not only silence; None in manifests of versions that did not look.
        sound_lag: by how many frames of 40 ms the sound comes late, as far as the mouth shows.
        sha256: of the source's content; "" in manifests of version 1.
        source_state: the source's when that was looked at; None where nobody looked.
    """

    name: str
    identity: str
    split: str
    frames: Annotated[int, COUNT]
    fps: Annotated[float, FRAME_RATE]
    source: str
    box_px: tuple[int, int, int]
    bridged: int
    speaks: bool | None = field(default=None, metadata=NEWER)
    sound_lag: int = field(default=0, metadata=NEWER)
    sha256: str = field(default="", metadata=NEWER)
    source_state: FileState | None = field(default=None, metadata=NEWER)


@dataclass(frozen=True)
class Manifest:
    """What a dataset holds.

    Attributes:
        space: motion space.
        size: side of the crops in px.
        crop_scale: size of the crops relative to the standard crop.
        clips: sorted by name.
        failed: source -> why it could not be used.
    """

    space: str
    size: Annotated[int, PICTURE_SIDE_PX]
    crop_scale: Annotated[float, CROP_SCALE]
    clips: tuple[Clip, ...]
    failed: dict[str, str]

    def write(self, folder: Path) -> None:
        """Write ``manifest.json``; an old one is replaced.

        Raises:
            OutputUnwritable: the folder can't be written.
        """
        content = {"format": FORMAT, "version": VERSION, **asdict(self)}
        with replacing(folder / MANIFEST) as temporary:
            temporary.write_text(json.dumps(content), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read it.

        Raises:
            DatasetUnreadable: there is none, or it is damaged.
        """
        path = folder / MANIFEST
        try:
            content = read_json(path)
            if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
                raise DatasetUnreadable(path, "it is of another format")
            if content.pop("version", None) not in _READ_VERSIONS:
                raise DatasetUnreadable(path, "it is of another format or version")
            clips = content.pop("clips", None)
            found = record(
                cls, {**content, "clips": list(map(_known, clips)) if isinstance(clips, list) else clips}
            )
            if odd := next(
                (c.name for c in found.clips if not c.name or PurePath(c.name).name != c.name), None
            ):
                raise Malformed(f"'{odd[:60]}' is no name of a clip's files")
            return found
        except FileNotFoundError:
            raise DatasetUnreadable(folder, f"it has no {MANIFEST}") from None
        except (OSError, Malformed, BadValue) as error:
            raise DatasetUnreadable(path, f"it is damaged ({reason_of(error)})") from error


def _known(clip: object) -> object:
    """What this version knows of a clip; later ones may say more."""
    known = {field.name for field in fields(Clip)}
    return {k: v for k, v in clip.items() if k in known} if isinstance(clip, dict) else clip


class Dataset:
    """The clips of one split, with as many of them decoded in memory as fit.

    Args:
        folder: of :func:`countenance.data.prepare.prepare`.
        split: "train" or "test".
        memory_gb: budget for decoded frames; the clips used last are kept.

    Raises:
        DatasetUnreadable: no dataset, or no clip in the split.
    """

    def __init__(self, folder: Path, split: str = "train", memory_gb: float = 8.0) -> None:
        self.folder, self.split = folder, split
        self.manifest = Manifest.read(folder)
        self.clips = tuple(clip for clip in self.manifest.clips if clip.split == split)
        if not self.clips:
            raise DatasetUnreadable(folder, f"it has no clip of the split '{split}'")
        self._budget = int(memory_gb * 1e9)
        self._frames: OrderedDict[str, Frames] = OrderedDict()
        self._motions: dict[str, Motion] = {}
        self._landmarks: dict[str, Floats] = {}
        self._lock = threading.Lock()

    @property
    def space(self) -> str:
        """Name of the motion space."""
        return self.manifest.space

    @property
    def size(self) -> int:
        """Side of the pictures in px."""
        return self.manifest.size

    def motion(self, clip: Clip) -> Motion:
        """The motion of a clip, as many frames as its pictures."""
        if clip.name not in self._motions:
            self._motions[clip.name] = load_motion(self.folder / "motion" / f"{clip.name}.npz")
        return self._motions[clip.name]

    def landmarks(self, clip: Clip) -> Floats:
        """(T, L, 3): x right and y down in px of the crop, z in the same scale, larger is nearer.

        Raises:
            DatasetUnreadable: it was prepared without them, or the file is damaged.
        """
        if clip.name not in self._landmarks:
            path = self.folder / "landmarks" / f"{clip.name}.npz"
            try:
                points = read_npz(path).get("landmarks_px", np.empty(0))
                if points.ndim != 3 or points.shape[0] != clip.frames or points.shape[2] != 3:
                    raise Malformed(f"shape {points.shape} for {clip.frames} frames")
                if points.dtype.kind != "f" or not np.isfinite(points).all():
                    raise Malformed("it holds others than finite numbers")
                self._landmarks[clip.name] = points
            except FileNotFoundError:
                raise DatasetUnreadable(
                    path, "it is not there; run the same countenance prepare again"
                ) from None
            except (OSError, Malformed) as error:
                raise DatasetUnreadable(path, f"it is damaged ({reason_of(error)})") from error
        return self._landmarks[clip.name]

    def frames(self, clip: Clip) -> Frames:
        """T x S x S x 3 RGB bytes of a clip.

        Raises:
            DatasetUnreadable: its video is gone or has fewer frames than the manifest says.
        """
        with self._lock:
            if clip.name in self._frames:
                self._frames.move_to_end(clip.name)
                return self._frames[clip.name]
        decoded = decode(self.folder / "clips" / f"{clip.name}.mp4", clip.frames, self.size)
        with self._lock:
            self._frames[clip.name] = decoded
            while sum(f.nbytes for f in self._frames.values()) > self._budget and len(self._frames) > 1:
                self._frames.popitem(last=False)
        return decoded

    def load_all(self) -> None:
        """Decode until the memory budget is full, so that worker processes share it."""
        used = 0
        for clip in self.clips:
            used += clip.frames * self.size**2 * 3
            if used > self._budget:
                return
            self.frames(clip)

    def statistics(self) -> tuple[Floats, Floats]:
        """Mean and standard deviation (D,) of the coefficients over all frames."""
        values = np.concatenate([self.motion(clip).values for clip in self.clips])
        return values.mean(0), values.std(0)


def save_landmarks(path: Path, landmarks_px: Floats) -> None:
    """Write what :meth:`Dataset.landmarks` reads.

    Args:
        path: ends in .npz.
        landmarks_px: (T, L, 3).
    """
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, landmarks_px=landmarks_px.astype(np.float32))


def decode(path: Path, frames: int, size: int) -> Frames:
    """All frames of a prepared video, T x S x S x 3 RGB, through OpenCV.

    Raises:
        DatasetUnreadable: the file is gone, damaged or too short.
    """
    if frames < 1:
        raise BadValue(f"{frames} frames can't be read from {path}; give 1 or more")
    video = cv2.VideoCapture(str(path))
    try:
        sides = {video.get(cv2.CAP_PROP_FRAME_WIDTH), video.get(cv2.CAP_PROP_FRAME_HEIGHT)}
        if sides != {size} or video.get(cv2.CAP_PROP_FRAME_COUNT) < frames:
            raise DatasetUnreadable(path, f"it does not have {frames} frames of {size} px")
        pictures = np.empty((frames, size, size, 3), np.uint8)
        for i in range(frames):
            there, picture = video.read()
            if not there or picture.shape != (size, size, 3):
                raise DatasetUnreadable(path, f"frame {i} of {frames} can't be read")
            pictures[i] = picture[..., ::-1]
    finally:
        video.release()
    return pictures
