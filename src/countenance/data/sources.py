"""The films that a dataset is made of: found in folders, named, and known again by source and content."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from countenance.data.dataset import Clip
from countenance.digests import FileState, sha256_of
from countenance.errors import BadValue, MediaUnreadable
from countenance.media.kinds import VIDEO_SUFFIXES

SPLIT_FOLDERS = ("train", "test")
_MOST_BYTES = 150  # of a clip's name, so that its files have room for suffixes and temporary names


def find_clips(inputs: Sequence[Path], leave_out: Path | None = None) -> list[Path]:
    """Video files among and under ``inputs``, sorted; hidden ones are passed over unless they are named.

    Links are followed, each folder is searched once, and a film that is found under several names counts once.

    Args:
        inputs: files, and folders that are searched.
        leave_out: a folder that is not searched.

    Raises:
        BadValue: one of them is not there, or there are no videos.
        MediaUnreadable: a folder is closed to us.
    """
    found: dict[Path, Path] = {}  # real path -> as found
    seen = set() if leave_out is None else {leave_out.resolve()}
    for given in sorted(inputs):
        if not given.exists():
            raise BadValue(f"there is no {given}; check the path")
        for path in _videos_under(given, seen) if given.is_dir() else [given]:
            real = path.resolve()
            if real not in found or path == real:
                found[real] = path
    if not found:
        raise BadValue(
            f"there are no videos in {', '.join(map(str, inputs))}; name files or folders of videos"
        )
    return sorted(found.values())


def _videos_under(folder: Path, seen: set[Path]) -> Iterator[Path]:
    def closed(error: OSError) -> None:
        reason = (error.strerror or str(error)).lower()
        raise MediaUnreadable(error.filename, reason, "make it readable, or move it elsewhere") from error

    for here, folders, files in os.walk(folder, onerror=closed, followlinks=True):
        inside = Path(here)
        if (real := inside.resolve()) in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not name.startswith(".")]
        for path in (inside / name for name in files if not name.startswith(".")):
            if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file():
                yield path


def identity_of(clip: Path) -> str:
    """Who is in a clip, by its name: ``ANNA_03.mp4`` -> ``ANNA``; a name without a number stands for itself."""
    return re.sub(r"[_-]\d+$", "", clip.stem) or clip.stem


def split_of(clip: Path, test_share: float) -> str:
    """The split: a folder called ``train`` or ``test`` decides, else a hash of the identity."""
    for part in reversed(clip.parts[:-1]):
        if part in SPLIT_FOLDERS:
            return part
    digest = (
        int.from_bytes(hashlib.sha256(identity_of(clip).encode("utf-8", "surrogatepass")).digest()[:4], "big")
        / 2**32
    )
    return "test" if digest < test_share else "train"


def source_text(path: Path) -> str:
    """The absolute path, as manifests have it; bytes that are no text are written as escapes."""
    whole = os.path.abspath(path)  # noqa: PTH100 (".." goes, but links stay: their names say who is in a clip)
    return os.fsencode(whole).decode("utf-8", "backslashreplace")


def free_name(source: Path, taken: Collection[str]) -> str:
    """A name for a new clip's files.

    Args:
        source: that it is made of.
        taken: names of others, in lower case: some file systems don't tell cases apart.
    """
    plain = re.sub(r"[^\w.-]", "_", source.stem)
    stem = plain.encode()[:_MOST_BYTES].decode(errors="ignore")
    name, number = stem, 1
    while name.casefold() in taken:
        number += 1
        name = f"{stem}_{number}"
    return name


@dataclass(frozen=True)
class Known:
    """A clip that was made of a source before.

    Attributes:
        clip: with the source's present path and, if that is unchanged, state.
        unchanged: the source holds what the clip was made of.
    """

    clip: Clip
    unchanged: bool


def known_sources(sources: Sequence[Path], clips: Sequence[Clip]) -> dict[Path, Known]:
    """Which sources clips were made of before.

    A source is known by its path. What it holds is looked at only if size, time or inode have changed; the SHA-256 of
    the whole file decides. A path that is new is known, too, if it holds what a clip was made of whose own source is no
    longer there: somebody moved it.

    Args:
        sources: of a run.
        clips: of the dataset.
    """
    by_source = {source_text(Path(clip.source)): clip for clip in clips}
    known: dict[Path, Known] = {}
    for source in sources:
        if clip := by_source.pop(source_text(source), None):
            known[source] = _looked_at(source, clip)
    moved = [clip for path, clip in by_source.items() if clip.sha256 and not Path(path).exists()]
    for source in sources:
        if source in known:
            continue
        for clip in moved:
            if clip.source_state and clip.source_state.size == _size(source):
                found = _looked_at(source, clip)
                if found.unchanged:
                    known[source] = found
                    moved.remove(clip)
                    break
    return known


def _looked_at(source: Path, clip: Clip) -> Known:
    clip = replace(clip, source=source_text(source))
    try:
        state = FileState.of(source)
        if clip.sha256 and state == clip.source_state:
            return Known(clip, True)
        digest = sha256_of(source)
    except OSError:  # which whoever opens it says
        return Known(clip, False)
    same = clip.sha256 in ("", digest)
    return Known(replace(clip, sha256=digest, source_state=state) if same else clip, same)


def _size(source: Path) -> int | None:
    try:
        return source.stat().st_size
    except OSError:
        return None
