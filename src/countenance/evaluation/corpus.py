"""A folder of clips to evaluate on, with their tracks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from zipfile import is_zipfile

from countenance.digests import sha256_of
from countenance.errors import BadValue, CountenanceError, MediaUnreadable
from countenance.evaluation.tracks import ClipTrack, load_track, save_track, track_clip
from countenance.trackers.tracker import Tracker

_VIDEOS = (".mp4", ".mov", ".mkv", ".webm", ".avi")
_MOST_BYTES, _TOLD_APART = 150, 8  # of a case's name, so that files of it have suffixes and temporary names


class Corpus:
    """Clips by name, and their tracks, which are measured when they are first asked for.

    Args:
        folder: with the clips, also in folders of it.
        kept: folder where tracks are kept; made by whoever owns it.
        tracker_for: space -> tracker that measures in it; loads one when it is first needed.
    """

    def __init__(self, folder: Path, kept: Path, tracker_for: Callable[[str], Tracker]) -> None:
        self.folder, self._kept, self._tracker_for = folder, kept, tracker_for
        self._trackers: dict[str, Tracker] = {}
        self._tracks: dict[tuple[str, str], ClipTrack] = {}
        self._digests: dict[str, str] = {}

    def clips(self) -> list[str]:
        """Names of all clips, relative to the folder, sorted; hidden files are none.

        Raises:
            BadValue: there are none, or one has a name that can't be written down.
        """
        inside = (path.relative_to(self.folder) for path in self.folder.rglob("*") if path.is_file())
        found = sorted(
            path.as_posix()
            for path in inside
            if path.suffix.lower() in _VIDEOS and not any(part.startswith(".") for part in path.parts)
        )
        if odd := next((name for name in found if not _is_text(name)), None):
            raise BadValue(f"{self.folder} has a clip {odd!a}, whose name is no text; rename it")
        if not found:
            raise BadValue(
                f"there are no clips ({', '.join(_VIDEOS)}) in {self.folder}; name a folder with --data"
            )
        return found

    def tracker(self, space: str = "arkit") -> Tracker:
        """The tracker of a motion space; ``arkit``'s is the one that results are measured with."""
        if space not in self._trackers:
            self._trackers[space] = self._tracker_for(space)
        return self._trackers[space]

    def digest(self, clip: str) -> str:
        """SHA-256 of a clip.

        Raises:
            MediaUnreadable: it is not there, or closed to us.
        """
        if clip not in self._digests:
            try:
                self._digests[clip] = sha256_of(self.folder / clip)
            except OSError as error:
                reason = (error.strerror or str(error)).lower()
                raise MediaUnreadable(self.folder / clip, reason, "make it readable") from error
        return self._digests[clip]

    def track(self, clip: str, space: str = "arkit") -> ClipTrack:
        """A clip's track in one space.

        Raises:
            MediaUnreadable: no video, or one that can't be tracked, whatever keeps it from that.
            NoFaceFound: in no frame.
        """
        if (clip, space) not in self._tracks:
            path = self._path(clip, space)
            track = load_track(path)
            if track is None:
                track = self._tracked(clip, self.tracker(space))
                save_track(path, track)
            self._tracks = {(clip, space): track} | dict(list(self._tracks.items())[:7])
        return self._tracks[clip, space]

    def _tracked(self, clip: str, tracker: Tracker) -> ClipTrack:
        try:
            return track_clip(self.folder / clip, tracker)
        except CountenanceError:
            raise
        except Exception as error:  # whatever one clip brings about must not end the others
            raise MediaUnreadable(self.folder / clip, f"{type(error).__name__}: {error}") from error

    def is_tracked(self, clip: str, space: str) -> bool:
        """Its track is on disk, and was written to its end."""
        try:
            return is_zipfile(self._path(clip, space))
        except MediaUnreadable:
            return False

    def _path(self, clip: str, space: str) -> Path:
        return self._kept / f"{self.digest(clip)[:32]}-{space}.npz"


def person_of(clip: str) -> str:
    """Who is in a clip: its name up to the last underscore, as in ``p101_02.mp4``."""
    stem = clip.rpartition(".")[0]
    return stem.rpartition("_")[0] or stem


def case_name(*parts: str) -> str:
    """A name for a case, from names of clips: one that every file can have."""
    whole = "__".join(part.rpartition(".")[0] for part in parts)
    name = "".join("-" if c in "/\\:" or not c.isprintable() else c for c in whole)
    if len(name.encode()) <= _MOST_BYTES:
        return name
    told_apart = hashlib.sha256(whole.encode()).hexdigest()[:_TOLD_APART]
    return f"{name.encode()[: _MOST_BYTES - _TOLD_APART - 1].decode(errors='ignore')}-{told_apart}"


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
