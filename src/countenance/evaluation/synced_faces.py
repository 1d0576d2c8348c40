"""SyncNet's metric for a whole video: face crops as its authors cut them, and the video's own sound."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from scipy.ndimage import median_filter

from countenance.arrays import Doubles, Image
from countenance.audio.samples import all_samples
from countenance.errors import NoFaceFound
from countenance.evaluation.metrics.lip_sync import FRAME_RATE, SIDE, Embeddings, LipSync, lip_sync
from countenance.media.video import VideoReader
from countenance.trackers.tracker import Tracker

_SMOOTHED = 13  # frames
_BESIDE = 1.4  # of half a face's longer side: as wide as from one above its centre to 1.8 below
_GREY = 110


def lip_sync_of_video(path: Path, tracker: Tracker, network: Embeddings | None = None) -> LipSync:
    """AVConf, AVOffset and distance of a talking video.

    The authors find faces with S3FD and we with the tracker, whose boxes are tighter; so figures are near to published
    ones, not equal.

    Args:
        path: a video with sound that shows one face.
        tracker: finds it.
        network: see :func:`countenance.evaluation.metrics.lip_sync.lip_sync`.

    Raises:
        NoFaceFound: in no frame.
        MediaUnreadable: no video, or no sound.
        BadValue: too short.
        WeightsMissing: SyncNet's weights are not on this machine; said before anything is tracked.
    """
    if network is None:
        from countenance.evaluation.metrics.syncnet import load_syncnet

        network = load_syncnet()
    samples = all_samples(path)
    return lip_sync(face_crops(path, tracker), samples, network)


def face_crops(path: Path, tracker: Tracker) -> Iterator[Image]:
    """224 x 224 pictures of the largest face at 25 frames a second, steadied over half a second.

    Raises:
        NoFaceFound: in no frame.
        MediaUnreadable: no video.
    """
    boxes = _boxes(path, tracker)
    with VideoReader(path) as video:
        for frame, (x, y, half) in zip(video.frames(FRAME_RATE), boxes, strict=False):
            yield _cut(frame.image, x, y, half)


def _boxes(path: Path, tracker: Tracker) -> Doubles:
    """(T, 3) centre and half the longer side of the face; frames without one have the last one's."""
    found: list[tuple[float, float, float]] = []
    missing = 0
    with VideoReader(path) as video:
        for frame in video.frames(FRAME_RATE):
            faces = tracker.faces(frame.image)
            if not faces and not found:
                missing += 1
                continue
            if faces:
                left, top, right, bottom = (float(v) for v in faces[0].box_px)
                box = ((left + right) / 2, (top + bottom) / 2, max(right - left, bottom - top) / 2)
            found.append(box)
    if not found:
        raise NoFaceFound(str(path))
    boxes = np.array([found[0]] * missing + found)
    return np.asarray(median_filter(boxes, (_SMOOTHED, 1), mode="nearest"), np.float64)


def _cut(picture: Image, x: float, y: float, half: float) -> Image:
    """From x - 1.4 s to x + 1.4 s and from y - s to y + 1.8 s; grey where the picture ends."""
    scale = SIDE / (2 * _BESIDE * half)
    to_crop = np.array([[scale, 0, (_BESIDE * half - x) * scale], [0, scale, (half - y) * scale]])
    cut = cv2.warpAffine(
        picture,
        to_crop,
        (SIDE, SIDE),
        flags=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR,
        borderValue=(_GREY, _GREY, _GREY),
    )
    return np.asarray(cut, np.uint8)
