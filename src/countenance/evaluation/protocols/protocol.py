"""What is compared with what: a fixed list of cases that can be saved, repeated and handed on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path, PurePath
from typing import Annotated, Final

from countenance.atomic import replacing
from countenance.digests import sha256_of
from countenance.errors import BadValue, ProtocolUnreadable
from countenance.motion.transfer import Mode
from countenance.ranges import FRAME_NUMBER, SEED
from countenance.stored.content import Malformed, reason_of
from countenance.stored.fields import NEWER, record
from countenance.stored.json_text import read_json

FORMAT: Final = "countenance-protocol"
VERSION: Final = 1
FILE: Final = "protocol.json"
MOTIONS: Final = "motions"

_MOST_BYTES: Final = 200  # of a case's name: files of it have suffixes, and 255 are allowed


@dataclass(frozen=True)
class Case:
    """One thing to render.

    Attributes:
        name: of the result; unique, and safe as a file name.
        source: clip, relative to the data folder.
        source_frame: number of its frame that is the portrait.
        driver: clip, relative to the data folder; or a motion file, relative to the protocol's own folder.
        start: first frame of the driver, counted from 0.
        stop: last frame of the driver and 1.
        compared: numbers of the driver's frames at which pictures are compared, within [start, stop).
        transfer: how the driver's motion becomes the source's; see :func:`countenance.motion.transfer.transfer`. A clip
            that drives its own frame is always taken as it is, in the same crop.
        truth: clip whose frames of the same numbers are the true pictures; None where there are none.
        stills: every frame is a picture by itself, not a moment of a movement.
        group: cases that the report also counts together.
    """

    name: str
    source: str
    source_frame: Annotated[int, FRAME_NUMBER]
    driver: str
    start: Annotated[int, FRAME_NUMBER]
    stop: Annotated[int, FRAME_NUMBER]
    compared: tuple[Annotated[int, FRAME_NUMBER], ...]
    transfer: Mode = field(default="absolute", metadata=NEWER)
    truth: str | None = field(default=None, metadata=NEWER)
    stills: bool = field(default=False, metadata=NEWER)
    group: str = field(default="", metadata=NEWER)

    @property
    def drives_with_motion(self) -> bool:
        """The driver is a motion file."""
        return self.driver.endswith(".npz")

    def wrong(self, clips: Collection[str]) -> str | None:
        """Why it can't be run, whatever its clips show; None if it can.

        Args:
            clips: of the protocol.
        """
        if not self.start < self.stop:
            return f"frames {self.start} to {self.stop} from frame {self.source_frame} are none"
        if not self.compared or not self.start <= min(self.compared) <= max(self.compared) < self.stop:
            return f"no frames, or others than {self.start} to {self.stop - 1}, are compared"
        if self.drives_with_motion and _leads_outside(self.driver):
            return f"the motion file {self.driver} lies outside the protocol's folder"
        used = {self.source, self.truth or self.source, *(() if self.drives_with_motion else (self.driver,))}
        other = next((clip for clip in used if clip not in clips), None)
        return None if other is None else f"the clip {other} is none of the protocol's"


@dataclass(frozen=True)
class Protocol:
    """Cases and where they come from.

    Attributes:
        name: of the catalogue.
        description: what is done, in one sentence.
        seed: of everything that was drawn by chance.
        cases: in the order in which they are run.
        clips: SHA-256 of every clip, by its name, so that nobody compares other films without noticing.
        left_out: clip -> why it has no case.
    """

    name: str
    description: str
    seed: Annotated[int, SEED]
    cases: tuple[Case, ...]
    clips: dict[str, str]
    left_out: dict[str, str] = field(default_factory=dict)

    def save(self, folder: Path) -> Path:
        """Write ``protocol.json`` into a folder.

        Raises:
            OutputUnwritable: the folder or the disk.
        """
        content = {"format": FORMAT, "version": VERSION, **asdict(self)}
        with replacing(folder / FILE) as temporary:
            temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")
        return folder / FILE

    @classmethod
    def load(cls, path: Path) -> Protocol:
        """Read what :meth:`save` wrote.

        Raises:
            ProtocolUnreadable: no such file, or not of this form.
        """
        try:
            content = read_json(path)
            if not isinstance(content, dict) or (content.get("format"), content.get("version")) != (
                FORMAT,
                VERSION,
            ):
                raise ProtocolUnreadable(path, f"it is not a protocol of version {VERSION}")
            known = {field.name for field in fields(cls)}
            protocol = record(cls, {name: part for name, part in content.items() if name in known})
            if wrong := protocol.wrong():
                raise ProtocolUnreadable(path, reason_of(Malformed(wrong)))
        except OSError as error:
            raise ProtocolUnreadable(path, reason_of(error)) from None
        except (Malformed, BadValue) as error:
            raise ProtocolUnreadable(path, f"it is damaged ({reason_of(error)})") from None
        return protocol

    def wrong(self) -> str | None:
        """Why nobody should run it; None for a sound one. It may come from anybody."""
        names = [case.name for case in self.cases]
        if not names or len(set(names)) < len(names) or any(map(_unsafe, names)):
            return "its cases have no names of their own that a file can have"
        if outside := next((name for name in self.clips if _leads_outside(name)), None):
            return f"its clip {outside} lies outside the folder of the clips"
        return next(
            (f"in its case {c.name}, {why}" for c in self.cases if (why := c.wrong(self.clips))), None
        )

    def check_clips(self, data: Path) -> None:
        """Expect the very same clips in a folder.

        Raises:
            ProtocolUnreadable: one is missing, or another film.
        """
        for name, digest in self.clips.items():
            path = data / name
            if not path.is_file():
                raise ProtocolUnreadable(path, "the protocol needs this clip", "name its folder with --data")
            try:
                same = sha256_of(path) == digest
            except OSError as error:
                reason = (error.strerror or str(error)).lower()
                raise ProtocolUnreadable(path, reason, "make it readable") from error
            if not same:
                raise ProtocolUnreadable(
                    path, "it is another film than the protocol's", "get the very same file"
                )

    @property
    def digest(self) -> str:
        """Says whether two protocols are the same."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def _unsafe(name: str) -> bool:
    odd = any(c in "/\\:" or not c.isprintable() for c in name)
    return not name or name.startswith(".") or odd or len(name.encode()) > _MOST_BYTES


def _leads_outside(name: str) -> bool:
    path = PurePath(name)
    return ".." in path.parts or path.is_absolute() or bool(path.drive)
