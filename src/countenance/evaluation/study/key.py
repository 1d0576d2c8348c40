"""The key of a study: what its ids stand for. Who runs the study keeps it; the page holds nothing of it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from countenance.errors import BadValue, StudyUnreadable
from countenance.stored.content import Malformed, reason_of
from countenance.stored.fields import record
from countenance.stored.json_text import read_json

Kind: TypeAlias = Literal["pairs", "ratings"]

REAL = "real"
"""Name of the recordings among the systems."""

_FORMAT = "countenance study key 1"


@dataclass(frozen=True)
class Shown:
    """What a clip shows.

    Attributes:
        case: name of the video, the same for all systems.
        system: what made it; :data:`REAL` for a recording.
    """

    case: str
    system: str


@dataclass(frozen=True)
class Key:
    """A study as its maker knows it.

    Attributes:
        study: id, a hash of all that decides what people see.
        kind: two clips to choose from, or one to rate from 1 to 5.
        title: as on the page.
        questions: id -> text.
        systems: names, in the order of the folders; :data:`REAL` last where recordings are shown.
        clips: id -> what it shows.
        items: id -> the ids of its one clip, or of its two, which come left and right by chance.
    """

    study: str
    kind: Kind
    title: str
    questions: dict[str, str]
    systems: tuple[str, ...]
    clips: dict[str, Shown]
    items: dict[str, tuple[str, ...]]

    @property
    def has_real(self) -> bool:
        """Recordings are among the clips."""
        return REAL in self.systems

    def to_json(self) -> str:
        """Text of the key's file."""
        return json.dumps({"format": _FORMAT, **asdict(self)}, indent=1, ensure_ascii=False) + "\n"


def key_path(page: Path) -> Path:
    """Where the key of a page lies: ``study.html`` has ``study.key.json`` beside it."""
    return page.with_name(f"{page.stem}.key.json")


def read_key(path: Path) -> Key:
    """Read what :meth:`Key.to_json` wrote.

    Raises:
        StudyUnreadable: missing, damaged, or something else.
    """
    fix = "give the .key.json that `countenance study make` wrote beside the page"
    try:
        raw = read_json(path)
    except (OSError, Malformed) as error:
        raise StudyUnreadable(path, reason_of(error), fix) from error
    if not isinstance(raw, dict) or raw.pop("format", None) != _FORMAT:
        raise StudyUnreadable(path, "it is no study key", fix)
    try:
        return _checked(record(Key, raw))
    except (BadValue, Malformed) as error:
        again = "take a copy, or make it anew: the same command and folders give the same key"
        raise StudyUnreadable(path, "the key is damaged", again) from error


def _checked(key: Key) -> Key:
    sizes = {"pairs": 2, "ratings": 1}
    if not key.questions or not key.items:
        raise Malformed("nothing is asked")
    if any(len(clips) != sizes[key.kind] or set(clips) - set(key.clips) for clips in key.items.values()):
        raise Malformed("an item's clips are not what its kind needs")
    if {clip.system for clip in key.clips.values()} - set(key.systems):
        raise Malformed("a clip is of no system")
    return key
