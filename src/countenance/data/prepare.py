"""Clips -> dataset: track, cut one fixed square, write crops, motion and manifest. Can be interrupted and resumed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

from countenance.atomic import make_folder
from countenance.data.dataset import MANIFEST, PARTS, Clip, Manifest, save_landmarks
from countenance.data.sound_lag import with_sound_lags
from countenance.data.speech_clips import SPEECH, save_speech
from countenance.errors import BadValue, CountenanceError
from countenance.media.kinds import VIDEO_SUFFIXES
from countenance.media.video import VideoReader
from countenance.media.writer import VideoWriter
from countenance.motion.files import save_motion
from countenance.portrait.crop import Crop
from countenance.trackers.catalogue import load_tracker
from countenance.trackers.following import follow_face
from countenance.trackers.tracker import Tracker

SPLIT_FOLDERS = ("train", "test")
_CRF = 12  # hardly visible loss: the crops are training targets


@dataclass(frozen=True)
class PrepareOptions:
    """How clips become a dataset.

    Attributes:
        size: side of the crops in px.
        crop_scale: size of the crop relative to the standard one (FOMM's rule: 1.6 x a still face).
        tracker: its name; decides the motion space.
        test_share: part of the identities that goes to the test split, where folders do not say it.
        shortest: clips with fewer frames are left out.
    """

    size: int = 256
    crop_scale: float = 1.0
    tracker: str = "mediapipe"
    test_share: float = 0.1
    shortest: int = 8


@dataclass(frozen=True)
class _Task:
    source: str
    name: str
    identity: str
    split: str
    folder: str
    options: PrepareOptions


def find_clips(inputs: Sequence[Path]) -> list[Path]:
    """Video files among and under ``inputs``, sorted.

    Raises:
        BadValue: none there.
    """
    found: set[Path] = set()
    for given in inputs:
        files = given.rglob("*") if given.is_dir() else [given]
        found.update(f for f in files if f.is_file() and (f.suffix.lower() in VIDEO_SUFFIXES or f == given))
    if not found:
        raise BadValue(
            f"there are no videos in {', '.join(map(str, inputs))}; name files or folders of videos"
        )
    return sorted(found)


def identity_of(clip: Path) -> str:
    """Who is in a clip, by its name: ``ANNA_03.mp4`` -> ``ANNA``; a name without a number stands for itself."""
    return re.sub(r"[_-]\d+$", "", clip.stem) or clip.stem


def split_of(clip: Path, test_share: float) -> str:
    """The split: a folder called ``train`` or ``test`` decides, else a hash of the identity."""
    for part in reversed(clip.parts[:-1]):
        if part in SPLIT_FOLDERS:
            return part
    digest = int.from_bytes(hashlib.sha256(identity_of(clip).encode()).digest()[:4], "big") / 2**32
    return "test" if digest < test_share else "train"


def prepare(
    inputs: Sequence[Path],
    folder: Path,
    options: PrepareOptions | None = None,
    *,
    workers: int = 1,
    done: Callable[[Iterable[Clip | tuple[str, str]], int], Iterable[Clip | tuple[str, str]]] = lambda i, n: (
        i
    ),
) -> Manifest:
    """Make a dataset, or go on with one that was interrupted.

    Args:
        inputs: video files, or folders that are searched.
        folder: of the dataset; made if need be.
        options: how.
        workers: processes.
        done: wraps the results as they come (clips, or source and reason), for a progress bar.

    Returns:
        The manifest, also written to the folder. Clips that can't be used stand in ``failed``.

    Raises:
        BadValue: no videos, or options other than those of the dataset that is there.
        OutputUnwritable: the folder can't be written.
        DatasetUnreadable: files of the dataset that is there are damaged.
    """
    options = options or PrepareOptions()
    tasks = _tasks(find_clips(inputs), folder, options)
    space = load_tracker(options.tracker).space.name
    old = {name: _to_be_heard(folder, clip) for name, clip in _old_clips(folder, options, space).items()}
    known = {
        name: clip for name, clip in old.items() if _has(folder, name, PARTS) and clip.speaks is not None
    }
    for part in (*PARTS, SPEECH):
        make_folder(folder / part)
    older = {name: clip for name, clip in old.items() if _has(folder, name, ("clips", "motion"))}
    clips = {task.name: older[task.name] for task in tasks if task.name in older}  # until they are made anew
    waiting = [task for task in tasks if task.name not in known]
    failed: dict[str, str] = {}

    def manifest() -> Manifest:
        ordered = tuple(clips[name] for name in sorted(clips))
        return Manifest(space, options.size, options.crop_scale, ordered, dict(sorted(failed.items())))

    try:
        for result in done(_results(waiting, workers), len(waiting)):
            if isinstance(result, Clip):
                clips[result.name] = result
            else:
                failed[result[0]] = result[1]
    finally:  # what is done stays done, also after Ctrl-C
        manifest().write(folder)
    complete = manifest()
    measured = replace(complete, clips=with_sound_lags(folder, complete.clips, space))
    measured.write(folder)
    return measured


def _tasks(sources: list[Path], folder: Path, options: PrepareOptions) -> list[_Task]:
    tasks: list[_Task] = []
    taken: set[str] = set()
    for source in sources:
        name = re.sub(r"[^\w.-]", "_", source.stem)
        while name in taken:
            name += "_"
        taken.add(name)
        split = split_of(source, options.test_share)
        tasks.append(_Task(str(source), name, identity_of(source), split, str(folder), options))
    return tasks


def _old_clips(folder: Path, options: PrepareOptions, space: str) -> dict[str, Clip]:
    if not (folder / MANIFEST).is_file():
        return {}
    old = Manifest.read(folder)
    if (old.space, old.size, old.crop_scale) != (space, options.size, options.crop_scale):
        raise BadValue(
            f"{folder} holds {old.size}-pixel crops of scale {old.crop_scale} in {old.space}; "
            "prepare into another folder, or with the same options"
        )
    return {clip.name: clip for clip in old.clips}


def _to_be_heard(folder: Path, clip: Clip) -> Clip:
    """``clip``; as one that nobody has listened to yet, if its sound is gone."""
    gone = clip.speaks and not (folder / SPEECH / f"{clip.name}.npz").is_file()
    return replace(clip, speaks=None) if gone else clip


def _has(folder: Path, name: str, parts: Iterable[str]) -> bool:
    return all((folder / part / f"{name}{PARTS[part]}").is_file() for part in parts)


def _results(tasks: list[_Task], workers: int) -> Iterator[Clip | tuple[str, str]]:
    if workers <= 1:
        yield from map(_prepare_clip, tasks)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(_prepare_clip, task) for task in tasks]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


_tracker: Tracker | None = None  # one a process: its start costs more than a short clip


def _prepare_clip(task: _Task) -> Clip | tuple[str, str]:
    global _tracker
    try:
        _tracker = _tracker or load_tracker(task.options.tracker)
        return _cut(task, _tracker)
    except CountenanceError as error:
        return task.source, " ".join(str(error).split())


def _cut(task: _Task, tracker: Tracker) -> Clip:
    source, folder, options = Path(task.source), Path(task.folder), task.options
    with VideoReader(source) as video:
        fps = video.fps
        followed = follow_face(video.frames(), tracker, fps, where=task.source, keep_landmarks=True)
    count = len(followed.observed)
    if count < options.shortest:
        raise BadValue(f"{source} has {count} frames; a clip needs {options.shortest}")
    crop = Crop.around(followed.boxes_px, options.crop_scale)
    motion = tracker.motion(followed.coefficients, crop, fps, followed.observed)
    with (
        VideoReader(source) as video,
        VideoWriter(
            folder / "clips" / f"{task.name}.mp4", fps, options.size, options.size, crf=_CRF
        ) as writer,
    ):
        for frame in video.frames():
            writer.write(crop.cut(frame.image, options.size))
    if followed.landmarks_px is not None:
        scaled = crop.to_crop(followed.landmarks_px) * (options.size / crop.side)
        save_landmarks(folder / "landmarks" / f"{task.name}.npz", scaled)
    save_motion(folder / "motion" / f"{task.name}.npz", motion)
    speaks = save_speech(folder, task.name, source)
    bridged = int((~followed.observed).sum())
    box = (crop.left, crop.top, crop.side)
    return Clip(task.name, task.identity, task.split, count, fps, task.source, box, bridged, speaks)
