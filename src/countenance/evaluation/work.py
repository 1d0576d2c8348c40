"""What one worker does: track a clip, or render and measure a case. Results go to files, so that they survive."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from functools import cache, lru_cache
from math import isfinite
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, is_zipfile

import av
import cv2
import numpy as np

from countenance.arrays import Image
from countenance.atomic import make_folder, replacing
from countenance.audio.samples import RATE, all_samples, write_wave
from countenance.errors import BadValue, CountenanceError, MediaUnreadable, NoFaceFound, OutputUnwritable
from countenance.evaluation.corpus import Corpus
from countenance.evaluation.measuring import OF_SETS, Measured, Measuring, true_pictures
from countenance.evaluation.models import (
    Model,
    asked_motion,
    last_change,
    pictures_of,
    source_picture,
    source_portrait,
)
from countenance.evaluation.protocols.protocol import Case
from countenance.media.sound import AudioSource
from countenance.media.writer import VideoWriter
from countenance.provenance.marks import marks
from countenance.stored.content import Malformed
from countenance.stored.fields import record
from countenance.stored.json_text import read_json
from countenance.trackers.catalogue import tracker_for

TRACKS, RESULTS, VIDEOS = "tracks", "results", "videos"
GOES_ON = (
    CountenanceError,
    ArithmeticError,
    AttributeError,
    BadZipFile,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    av.FFmpegError,
    cv2.error,
)
"""What may go wrong in one case without ending the others."""


@dataclass(frozen=True)
class TrackTask:
    """Track one clip.

    Attributes:
        report: folder of the evaluation.
        data: folder of the clips.
        clip: its name.
        space: of the motion.
    """

    report: Path
    data: Path
    clip: str
    space: str

    def run(self) -> str:
        """Do it; returns the clip's name. A clip that can't be tracked is found out again when cases are made."""
        one_thread()
        with suppress(MediaUnreadable, NoFaceFound):
            _corpus(self.data, self.report / TRACKS).track(self.clip, self.space)
        return self.clip


@dataclass(frozen=True)
class CaseTask:
    """Render and measure one case with one model.

    Attributes:
        report: folder of the evaluation.
        data: folder of the clips.
        case: of the protocol.
        model: that is evaluated.
        metrics: names of what is measured.
        videos: keep what was rendered.
    """

    report: Path
    data: Path
    case: Case
    model: Model
    metrics: tuple[str, ...]
    videos: bool

    @property
    def result(self) -> Path:
        """Where the result lies once it is there."""
        return self.report / RESULTS / self.model.label / f"{self.case.name}.json"

    @property
    def done(self) -> bool:
        """Its result is there and whole, did not fail, and is of what another program made last."""
        kept = CaseResult.kept(self.result)
        if kept is None or kept.failed is not None:
            return False
        if last_change(self.model, self.case.name) > self.result.stat().st_mtime:
            return False
        has_sets = any(name in OF_SETS for name in self.metrics) and kept.compared > 0
        return not has_sets or is_zipfile(self.result.with_suffix(".npz"))

    def run(self) -> str:
        """Do it; returns the case's name.

        Raises:
            OutputUnwritable: the report's folder; that is no fault of the case.
        """
        one_thread()
        corpus = _corpus(self.data, self.report / TRACKS)
        try:
            result, features = self._measured(corpus)
        except OutputUnwritable:
            raise
        except GOES_ON as error:
            text = str(error) if isinstance(error, CountenanceError) else f"{type(error).__name__}: {error}"
            result, features = CaseResult(self.case.name, self.model.label, failed=text), None
        if features is not None:
            with replacing(self.result.with_suffix(".npz")) as temporary, temporary.open("wb") as file:
                np.savez_compressed(file, allow_pickle=False, **features)
        result.save(self.result)
        return self.case.name

    def _measured(self, corpus: Corpus) -> tuple[CaseResult, dict[str, Any] | None]:
        case = self.case
        picture = source_picture(case, corpus)
        portrait = source_portrait(case, corpus, picture)
        asked = asked_motion(case, corpus, self.report, portrait)
        pictures, resized = pictures_of(self.model, case, corpus, self.report, picture)
        measuring = Measuring(case, corpus, asked.values, picture, self.metrics)
        with ExitStack() as stack:
            if self.videos and self.model.renders:
                pictures = self._written(pictures, corpus, asked.fps, picture, stack)
            measured = measuring.run(pictures)
        values = measured.values
        if "av_confidence" in self.metrics:
            values["av_confidence"] = self._av_confidence(corpus)
        wanted = case.stop - case.start
        result = CaseResult(
            case.name,
            self.model.label,
            {name: value for name, value in values.items() if isfinite(value)},
            wanted,
            wanted - measured.frames,
            measured.compared,
            measured.lost,
            resized,
            peak_mb=_peak_mb(),
        )
        return result, self._features(corpus, measured)

    def _features(self, corpus: Corpus, measured: Measured) -> dict[str, Any] | None:
        found: dict[str, Any] = {}
        for name, results in measured.features.items():
            if results:
                truths = [OF_SETS[name](picture) for picture in true_pictures(self.case, corpus)]
                found |= {f"{name}-result": np.stack(results), f"{name}-truth": np.stack(truths)}
        return found or None

    @property
    def _video(self) -> Path:
        return self.report / VIDEOS / self.model.label / f"{self.case.name}.mp4"

    def _written(
        self, pictures: Iterator[Image], corpus: Corpus, fps: float, like: Image, stack: ExitStack
    ) -> Iterator[Image]:
        """The same pictures; the video is complete when the stack ends well."""
        make_folder(self._video.parent)
        height, width = like.shape[:2]
        sound = self._sound(corpus, Path(stack.enter_context(tempfile.TemporaryDirectory())))
        metadata = marks(self.model.label)
        writer = stack.enter_context(
            VideoWriter(self._video, fps, width, height, audio=sound, metadata=metadata)
        )
        return _passed_on(pictures, writer)

    def _sound(self, corpus: Corpus, folder: Path) -> AudioSource | None:
        """What is heard while the driver's frames are shown."""
        case = self.case
        if case.drives_with_motion or not corpus.track(case.driver).has_sound:
            return None
        fps = corpus.track(case.driver).fps
        try:
            samples = all_samples(corpus.folder / case.driver)
        except MediaUnreadable:  # damaged sound leaves the pictures as they are
            return None
        part = samples[round(case.start / fps * RATE) : round(case.stop / fps * RATE)]
        if not len(part):
            return None
        write_wave(folder / "sound.wav", part)
        return AudioSource(folder / "sound.wav")

    def _av_confidence(self, corpus: Corpus) -> float:
        from countenance.evaluation.synced_faces import lip_sync_of_video

        if not self._video.is_file():
            return float("nan")
        try:
            return lip_sync_of_video(self._video, corpus.tracker()).confidence
        except (BadValue, MediaUnreadable, NoFaceFound):  # too short, without sound, or without a face
            return float("nan")


@dataclass(frozen=True)
class CaseResult:
    """One line of a report's table.

    Attributes:
        case: its name.
        model: label of the model.
        values: metric -> mean over the case; without those that are not defined there.
        frames: how many were asked for.
        missing: how many of them did not come.
        compared: how many were compared.
        lost: in how many of these the tracker found no face.
        resized: the results were of another size than the source.
        failed: what went wrong, if nothing could be measured.
        peak_mb: most memory that the worker has had so far; differs from run to run.
    """

    case: str
    model: str
    values: dict[str, float] = field(default_factory=dict)
    frames: int = 0
    missing: int = 0
    compared: int = 0
    lost: int = 0
    resized: bool = False
    failed: str | None = None
    peak_mb: float = 0.0

    def save(self, path: Path) -> None:
        """Write it as JSON.

        Raises:
            OutputUnwritable: the folder or the disk.
        """
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def kept(cls, path: Path) -> CaseResult | None:
        """Read what :meth:`save` wrote; None where there is nothing, or it is damaged."""
        try:
            result = record(cls, read_json(path))
        except (BadValue, Malformed, OSError):
            return None
        return result if (result.case, result.model) == (path.stem, path.parent.name) else None


def _passed_on(pictures: Iterator[Image], writer: VideoWriter) -> Iterator[Image]:
    for picture in pictures:
        writer.write(picture)
        yield picture


@cache
def one_thread() -> None:
    """Workers compute in one thread each: there is one a core, and sums come out the same however many there are."""
    os.environ["OMP_NUM_THREADS"] = "1"
    cv2.setNumThreads(1)
    from importlib.util import find_spec

    if find_spec("torch") is not None:
        import torch

        torch.set_num_threads(1)


@lru_cache(maxsize=1)
def _corpus(data: Path, kept: Path) -> Corpus:
    make_folder(kept)
    return Corpus(data, kept, tracker_for)


def _peak_mb() -> float:
    """Of this process so far; 0 where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
