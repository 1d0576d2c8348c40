"""Clips to evaluate on, made without filming anybody: the astronaut, tilted; and tracks without any pictures."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from skimage import data

from countenance.arrays import Floats, Image
from countenance.evaluation.corpus import Corpus
from countenance.evaluation.tracks import ClipTrack, save_track
from countenance.face.mediapipe_model import mediapipe_model
from countenance.media.writer import VideoWriter
from countenance.motion.spaces import ARKIT
from countenance.trackers.mediapipe_tracker import MediaPipeTracker

SIDE = 256
SCALE = 8.0  # px per cm of made-up faces


def tilted(degrees: float, size: tuple[int, int] = (SIDE, SIDE)) -> Image:
    """The astronaut's face, turned in the picture; width and height."""
    turn = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), degrees, 1)
    picture = cv2.warpAffine(data.astronaut()[:SIDE, 96 : 96 + SIDE], turn, (SIDE, SIDE))
    if size != (SIDE, SIDE):
        width, height = size
        shorter = min(size)
        beside = ((height - shorter) // 2, (width - shorter) // 2)
        small = cv2.resize(picture, (shorter, shorter), interpolation=cv2.INTER_AREA)
        picture = np.zeros((height, width, 3), np.uint8)
        picture[beside[0] : beside[0] + shorter, beside[1] : beside[1] + shorter] = small
    return np.ascontiguousarray(picture)


def film(
    path: Path,
    turns: Sequence[float],
    size: tuple[int, int] = (SIDE, SIDE),
    fps: float = 25.0,
    blank: Collection[int] = (),
) -> Path:
    """One frame a turn, in degrees; blank ones show a grey wall."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, fps, *size, crf=8) as writer:
        for i, degrees in enumerate(turns):
            picture = tilted(degrees, size)
            writer.write(np.full_like(picture, 90) if i in blank else picture)
    return path


def made_up_track(
    frames: int, fps: float = 25.0, unseen: Iterable[int] = (), has_sound: bool = False, **values: Any
) -> ClipTrack:
    """A face that stands still but for the coefficients that are named."""
    coefficients = np.tile(ARKIT.neutral, (frames, 1)).astype(np.float32)
    for name, numbers in {"x": 128.0, "y": 128.0, "logScale": np.log(SCALE), **values}.items():
        coefficients[:, ARKIT.index(name)] = numbers
    face = mediapipe_model().mean * (SCALE, -SCALE, SCALE) + (128.0, 128.0, 0.0)
    observed = np.ones(frames, bool)
    observed[list(unseen)] = False
    landmarks = np.tile(face.astype(np.float32), (frames, 1, 1))
    return ClipTrack(fps, coefficients, landmarks, observed, has_sound)


def made_up_corpus(folder: Path, tracks: Mapping[str, ClipTrack]) -> Corpus:
    """Clips that are no videos, but have tracks already."""
    clips, kept = folder / "clips", folder / "tracks"
    kept.mkdir(parents=True)
    corpus = Corpus(clips, kept, lambda _: MediaPipeTracker(Path("not here")))
    for name, track in tracks.items():
        (clips / name).parent.mkdir(parents=True, exist_ok=True)
        (clips / name).write_text(name)
        save_track(kept / f"{corpus.digest(name)[:32]}-arkit.npz", track)
    return corpus


def random_motions(count: int, seed: int = 0) -> Floats:
    """(count, 55) of three habits that mix, and some noise; in [0, 1]."""
    rng = np.random.default_rng(seed)
    habits = rng.uniform(-1, 1, (3, ARKIT.size - 3))
    values = 0.5 + 0.12 * rng.standard_normal((count, 3)) @ habits + 0.01 * rng.standard_normal((count, 1))
    return np.asarray(values.clip(0, 1), np.float32)


def in_this_process(tasks: Sequence[Any], *_: object) -> Iterator[str]:
    """Stands in for :func:`countenance.evaluation.engines.run_tasks`: quicker for a few short tasks."""
    return (task.run() for task in tasks)


def silent(items: Iterable[str], label: str, total: int | None) -> Iterable[str]:
    """A progress bar that shows nothing."""
    return items


def stopped_after(count: int, label: str) -> Callable[[Iterable[str], str, int | None], Iterator[str]]:
    """A progress bar at which somebody presses Ctrl-C."""

    def progress(items: Iterable[str], now: str, total: int | None) -> Iterator[str]:
        for done, item in enumerate(items, 1):
            yield item
            if now == label and done == count:
                raise KeyboardInterrupt

    return progress
