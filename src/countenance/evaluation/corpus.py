"""A folder of clips to evaluate on, with their tracks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from countenance.errors import BadValue
from countenance.evaluation.protocols.protocol import sha256_of
from countenance.evaluation.tracks import ClipTrack, load_track, save_track, track_clip
from countenance.trackers.tracker import Tracker

_VIDEOS = (".mp4", ".mov", ".mkv", ".webm", ".avi")


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
        """Names of all clips, relative to the folder, sorted.

        Raises:
            BadValue: there are none.
        """
        found = sorted(
            path.relative_to(self.folder).as_posix()
            for path in self.folder.rglob("*")
            if path.suffix.lower() in _VIDEOS and path.is_file()
        )
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
        """SHA-256 of a clip."""
        if clip not in self._digests:
            self._digests[clip] = sha256_of(self.folder / clip)
        return self._digests[clip]

    def track(self, clip: str, space: str = "arkit") -> ClipTrack:
        """A clip's track in one space.

        Raises:
            MediaUnreadable: no video.
            NoFaceFound: in no frame.
        """
        if (clip, space) not in self._tracks:
            path = self._path(clip, space)
            if not path.is_file():
                save_track(path, track_clip(self.folder / clip, self.tracker(space)))
            self._tracks = {(clip, space): load_track(path)} | dict(list(self._tracks.items())[:7])
        return self._tracks[clip, space]

    def is_tracked(self, clip: str, space: str) -> bool:
        """Its track is on disk."""
        return self._path(clip, space).is_file()

    def _path(self, clip: str, space: str) -> Path:
        return self._kept / f"{self.digest(clip)[:32]}-{space}.npz"


def person_of(clip: str) -> str:
    """Who is in a clip: its name up to the last underscore, as in ``p101_02.mp4``."""
    stem = clip.rpartition(".")[0]
    return stem.rpartition("_")[0] or stem


def case_name(*parts: str) -> str:
    """A name for a case, from names of clips."""
    return "__".join(part.rpartition(".")[0].replace("/", "-") or part for part in parts)
