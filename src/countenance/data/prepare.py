"""Clips -> dataset: track, cut one fixed square, write crops, motion and manifest. Can be interrupted and resumed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from countenance.atomic import make_folder
from countenance.data.dataset import MANIFEST, PARTS, Clip, Manifest, save_landmarks
from countenance.data.sound_lag import with_sound_lags
from countenance.data.sources import (
    SPLIT_FOLDERS,
    find_clips,
    free_name,
    identity_of,
    known_sources,
    source_text,
    split_of,
)
from countenance.data.speech_clips import SPEECH, save_speech
from countenance.digests import FileState, sha256_of
from countenance.errors import BadValue, CountenanceError, OutputUnwritable, WorkerLost
from countenance.locking import locked
from countenance.media.video import VideoReader
from countenance.media.writer import VideoWriter
from countenance.motion.files import save_motion
from countenance.portrait.crop import Crop
from countenance.processes import in_processes
from countenance.trackers.catalogue import load_tracker
from countenance.trackers.following import follow_face
from countenance.trackers.tracker import Tracker

_LOST = (
    "cannot use {}: its process ended without a word twice, perhaps for want of memory; use a smaller clip"
)
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
    source: Path
    name: str
    identity: str
    split: str
    folder: Path
    options: PrepareOptions


@dataclass
class _Books:
    """What the manifest says, written anew with every clip: a run may be killed at any time.

    Attributes:
        folder: of the dataset.
        space: motion space.
        options: of the dataset.
        clips: by name.
        failed: source -> why.
    """

    folder: Path
    space: str
    options: PrepareOptions
    clips: dict[str, Clip]
    failed: dict[str, str]

    @classmethod
    def opened(cls, folder: Path, space: str, options: PrepareOptions) -> _Books:
        """Those of the folder, without clips whose files are gone; new ones where there are none."""
        if not (folder / MANIFEST).is_file():
            return cls(folder, space, options, {}, {})
        old = Manifest.read(folder)
        if (old.space, old.size, old.crop_scale) != (space, options.size, options.crop_scale):
            raise BadValue(
                f"{folder} holds {old.size}-pixel crops of scale {old.crop_scale} in {old.space}; "
                "prepare into another folder, or with the same options"
            )
        clips = {clip.name: clip for clip in old.clips if _has(folder, clip.name, ("clips", "motion"))}
        failed = {source_text(Path(s)): why for s, why in old.failed.items() if Path(s).exists()}
        return cls(folder, space, options, clips, failed)

    def manifest(self) -> Manifest:
        """As of now."""
        ordered = tuple(self.clips[name] for name in sorted(self.clips))
        failed = dict(sorted(self.failed.items()))
        return Manifest(self.space, self.options.size, self.options.crop_scale, ordered, failed)

    def take(self, sources: Sequence[Path]) -> list[_Task]:
        """Enter what is known of the sources; gives what is to be done."""
        known = known_sources(sources, tuple(self.clips.values()))
        others = self.clips.keys() - {found.clip.name for found in known.values()}
        splits = {self.clips[name].identity: self.clips[name].split for name in sorted(others)}
        taken = {name.casefold() for name in self.clips}
        waiting: list[_Task] = []
        for source in sources:
            self.failed.pop(source_text(source), None)
            found, identity = known.get(source), identity_of(source)
            by_folder = not {*SPLIT_FOLDERS}.isdisjoint(source.parts[:-1])
            split = split_of(source, self.options.test_share)
            split = split if by_folder else splits.get(identity, split)  # nobody is in two
            name = found.clip.name if found else free_name(source, taken)
            taken.add(name.casefold())
            if found and found.unchanged:
                self.clips[name] = replace(found.clip, identity=identity, split=split)
            if not (found and found.unchanged and self._is_whole(found.clip)):
                waiting.append(_Task(source, name, identity, split, self.folder, self.options))
        return waiting

    def enter(self, task: _Task, result: Clip | str) -> None:
        """What became of a task: a clip, or why there is none."""
        if isinstance(result, Clip):
            self.clips[task.name] = result
        else:
            self.clips.pop(task.name, None)  # made of what is no longer there
            self.failed[source_text(task.source)] = result
        self.manifest().write(self.folder)

    def _is_whole(self, clip: Clip) -> bool:
        """All its files are there, as older releases did not write them all; its sound, too, if it has any."""
        heard = not clip.speaks or (self.folder / SPEECH / f"{clip.name}.npz").is_file()
        return clip.speaks is not None and heard and _has(self.folder, clip.name, PARTS)


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
    """Make a dataset, add to one, or go on with one that was interrupted.

    What the folder holds already stays. A clip is known again by its source's path and content: it is made anew if the
    file holds something else now, and not if it was moved.

    Args:
        inputs: video files, or folders that are searched.
        folder: of the dataset; made if need be.
        options: how.
        workers: processes; with 1, all is done in this one.
        done: wraps the results as they come (clips, or source and reason), for a progress bar.

    Returns:
        The manifest, also written to the folder. Clips that can't be used stand in ``failed``.

    Raises:
        BadValue: no videos, or options other than those of the dataset that is there.
        MediaUnreadable: a folder of clips is closed to us.
        OutputUnwritable: the folder can't be written, or another process prepares into it.
        DatasetUnreadable: files of the dataset that is there are damaged.
    """
    options = options or PrepareOptions()
    sources = find_clips(inputs, folder)
    space = load_tracker(options.tracker).space.name
    make_folder(folder)
    with locked(folder):
        books = _Books.opened(folder, space, options)
        for part in (*PARTS, SPEECH):
            make_folder(folder / part)
        waiting = books.take(sources)
        books.manifest().write(folder)

        def entered() -> Iterator[Clip | tuple[str, str]]:
            for task, result in _results(waiting, workers):
                books.enter(task, result)
                yield result if isinstance(result, Clip) else (source_text(task.source), result)

        for _ in done(entered(), len(waiting)):
            pass
        complete = books.manifest()
        measured = replace(complete, clips=with_sound_lags(folder, complete.clips, space))
        measured.write(folder)
    return measured


def _has(folder: Path, name: str, parts: Iterable[str]) -> bool:
    return all((folder / part / f"{name}{PARTS[part]}").is_file() for part in parts)


def _results(tasks: Sequence[_Task], workers: int) -> Iterator[tuple[_Task, Clip | str]]:
    """Each task with its clip, or why there is none."""
    if workers <= 1:
        for task in tasks:
            yield task, _prepare_clip(task)
        return
    suspects: list[_Task] = []
    with closing(in_processes(_prepare_clip, tasks, workers)) as results:
        for task, result in results:
            if isinstance(result, WorkerLost):
                suspects.append(task)
            else:
                yield task, result
    for task in suspects:  # each alone: now it is known whose fault it was
        with closing(in_processes(_prepare_clip, [task], 1)) as results:
            for _, result in results:
                yield task, _LOST.format(task.source) if isinstance(result, WorkerLost) else result


_tracker: Tracker | None = None  # one a process: its start costs more than a short clip


def _prepare_clip(task: _Task) -> Clip | str:
    global _tracker
    try:
        _tracker = _tracker or load_tracker(task.options.tracker)
        return _cut(task, _tracker)
    except OutputUnwritable:  # the dataset's folder: no fault of the clip
        raise
    except CountenanceError as error:
        return " ".join(str(error).split())
    except Exception as error:  # noqa: BLE001 (whatever one clip brings about must not end the others)
        return " ".join(f"cannot use {task.source}: {type(error).__name__}: {error}".split())


def _cut(task: _Task, tracker: Tracker) -> Clip:
    source, folder, options = task.source, task.folder, task.options
    state, digest = FileState.of(source), sha256_of(source)
    with VideoReader(source) as video:
        fps = video.fps
        followed = follow_face(video.frames(), tracker, fps, where=str(source), keep_landmarks=True)
        video.expect_whole()
    count = len(followed.observed)
    if count < options.shortest:
        raise BadValue(f"{source} has {count} frames; a clip needs {options.shortest}")
    crop = Crop.around(followed.boxes_px, options.crop_scale)
    motion = tracker.motion(followed.coefficients, crop, fps, followed.observed)
    video_path = folder / "clips" / f"{task.name}.mp4"
    with (
        VideoReader(source) as video,
        VideoWriter(video_path, fps, options.size, options.size, crf=_CRF) as writer,
    ):
        for frame in video.frames():
            writer.write(crop.cut(frame.image, options.size))
    if followed.landmarks_px is not None:
        scaled = crop.to_crop(followed.landmarks_px) * (options.size / crop.side)
        save_landmarks(folder / "landmarks" / f"{task.name}.npz", scaled)
    save_motion(folder / "motion" / f"{task.name}.npz", motion)
    return Clip(
        name=task.name,
        identity=task.identity,
        split=task.split,
        frames=count,
        fps=fps,
        source=source_text(source),
        box_px=(crop.left, crop.top, crop.side),
        bridged=int((~followed.observed).sum()),
        speaks=save_speech(folder, task.name, source),
        sha256=digest,
        source_state=state,
    )
