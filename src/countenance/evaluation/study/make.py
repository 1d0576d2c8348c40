"""From folders of results to a page and its key."""

from __future__ import annotations

import math
import re
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from countenance.atomic import replacing
from countenance.errors import BadValue, OutputUnwritable, StudyUnreadable
from countenance.evaluation.study.clips import encoded_case, have_sound
from countenance.evaluation.study.items import (
    Cases,
    drawn_items,
    fingerprint,
    found_cases,
    named_systems,
    telling_nothing,
)
from countenance.evaluation.study.key import REAL, Key, Kind, Shown, key_path, read_key
from countenance.evaluation.study.page import Words, as_text, check_size, page_text

REALISM = "Which looks more real?"
"""PIRenderer, Sec. 4.1 and 4.3: the more realistic one of a pair."""

LIP_SYNC = "Lip-sync: how well do the lips fit the sound?"
RATED = ("Image quality: how good is the picture?", "Realness: how real does the video look?")
"""PIR, Sec. 4.5 and Table 3: lip-sync, image quality and video realness, from 1 (worst) to 5 (best)."""

_THINKING_S = 5.0  # beyond watching, for an answer
_LARGE_MB = 50.0  # from here on phones may find a page too large


@dataclass(frozen=True)
class Options:
    """What a study asks and shows.

    Attributes:
        kind: pairs or ratings.
        questions: their texts; the papers' own if there are none.
        items: at most so many.
        seed: draws items.
        title: on the page.
        contact: who answers questions and gets the answers.
        notice: text for the first page.
        side_px: most of a clip's longer side.
        seconds: longest clip.
        sound: keep it, drop it, or auto: keep it in ratings where all videos have it.
        most_mb: largest page.
    """

    kind: Kind = "pairs"
    questions: tuple[str, ...] = ()
    items: int = 20
    seed: int = 0
    title: str = "Videos of faces"
    contact: str = ""
    notice: str = ""
    side_px: int = 256
    seconds: float = 10.0
    sound: Literal["auto", "keep", "drop"] = "auto"
    most_mb: float = 150.0

    def check(self) -> None:
        """Raises BadValue where a number or text can't be."""
        if self.side_px < 16:
            raise BadValue(f"--side {self.side_px} is too small to see anything; give 64 or more")
        if not 0 < self.seconds < math.inf:
            raise BadValue(f"--seconds {self.seconds:g} is no length; give 1 or more")
        if not all(text.strip() for text in (*self.questions, self.title)):
            raise BadValue("a question or the title is empty; write what people shall read")


@dataclass(frozen=True)
class Made:
    """What was made.

    Attributes:
        key: of the study.
        page: its file.
        megabytes: of the page.
        minutes: that a participant needs, estimated.
        notes: what the maker should know, a line each.
    """

    key: Key
    page: Path
    megabytes: float
    minutes: int
    notes: tuple[str, ...]


def make_study(
    results: Sequence[Path],
    page: Path,
    options: Options,
    *,
    real: Path | None = None,
    progress: Callable[[Iterable[Any], str, int | None], Iterable[Any]] = lambda items, label, total: items,
) -> Made:
    """Write the page, and the key beside it; the same folders and options give the same ids.

    Args:
        results: a folder a system.
        page: ends in .html.
        options: see there.
        real: recordings of the same cases.
        progress: see :mod:`countenance.progress`.

    Raises:
        BadValue: systems, cases or options that make no study, or a page that grows too large.
        MediaUnreadable: a folder or video.
        OutputUnwritable: the page, or a key of another study lies there.
    """
    options.check()
    if page.suffix.lower() != ".html":
        raise OutputUnwritable(page, f"'{page.suffix}' is no page", "give a name that ends in .html")
    systems = named_systems(results, real)
    cases, partial = found_cases(systems)
    items = drawn_items(cases, list(systems), options.kind, options.items, options.seed)
    sound, questions, notes = _asked(cases, items, options)
    notes = [*_about_cases(partial, items, options), *_giving_away(list(systems), options), *notes]
    key = _key(cases, list(systems), items, options, questions, sound)
    _keep_other_keys(key_path(page), key.study)
    with replacing(page) as temporary, replacing(key_path(page)) as temporary_key:
        clips, watching_s, remarks = _encoded(key, cases, options, sound, progress)
        minutes = max(1, math.ceil((watching_s + _THINKING_S * len(key.items) * len(questions)) / 60))
        text = page_text(key, clips, Words(minutes, sound, options.contact, options.notice))
        check_size(len(text), options.most_mb)
        temporary.write_text(text, encoding="utf-8")
        temporary_key.write_text(key.to_json(), encoding="utf-8")
    megabytes = len(text) / 1e6
    if megabytes > _LARGE_MB:
        remarks.append(
            f"the page has {megabytes:.0f} MB, too much for some phones; --seconds or --items help"
        )
    return Made(key, page, megabytes, minutes, (*notes, *remarks))


def _asked(
    cases: Cases, items: list[tuple[Shown, ...]], options: Options
) -> tuple[bool, dict[str, str], list[str]]:
    """Whether there is sound, questions by id, and notes."""
    wanted = options.sound == "keep" or (options.sound == "auto" and options.kind == "ratings")
    videos = sorted({cases[clip.case][clip.system] for clips in items for clip in clips})
    sound = wanted and have_sound(videos)
    if options.sound == "keep" and not sound:
        raise BadValue("not all videos have sound to keep; leave --sound away, or render them with sound")
    notes = []
    texts = options.questions or ((REALISM,) if options.kind == "pairs" else RATED)
    if options.kind == "ratings" and not options.questions:
        if sound:
            texts = (LIP_SYNC, *texts)
        else:
            notes.append("without sound in all videos, they are shown without, and lip-sync is not asked")
    return sound, {f"q{number}": text for number, text in enumerate(texts, 1)}, notes


def _about_cases(partial: list[str], items: list[tuple[Shown, ...]], options: Options) -> list[str]:
    notes = []
    if partial:
        notes.append(f"left out, as not all folders have them: {_some(partial)}")
    if len(items) < options.items and options.kind == "pairs":
        notes.append(f"fewer different pairs than {options.items}: {len(items)}")
    recordings = [clip for clips in items for clip in clips if clip.system == REAL]
    if options.kind == "pairs" and len(recordings) > len(set(recordings)):
        notes.append(
            "recordings come back, and who sees one again may know it: add cases, or make a page for each system"
        )
    return notes


def _giving_away(systems: list[str], options: Options) -> list[str]:
    """What the maker wrote is shown to people as it is."""
    written = " ".join((options.title, *options.questions, options.contact, options.notice)).casefold()
    words = (rf"(?<!\w){re.escape(name.casefold())}(?!\w)" for name in systems)  # "A" is in many words
    names = [
        name for name, word in zip(systems, words, strict=True) if name != REAL and re.search(word, written)
    ]
    return [f"the page's text names {_some(names)}, and should not"] if names else []


def _key(
    cases: Cases,
    systems: list[str],
    items: list[tuple[Shown, ...]],
    options: Options,
    questions: dict[str, str],
    sound: bool,
) -> Key:
    secret = fingerprint(cases, (clip for clips in items for clip in clips), options.seed)
    clips = {telling_nothing("c", secret, c.case, c.system): c for both in items for c in both}
    ids = {clip: name for name, clip in clips.items()}
    shown = {
        telling_nothing("i", secret, *(text for c in both for text in (c.case, c.system))): tuple(
            sorted(ids[c] for c in both)
        )
        for both in items
    }
    looks = f"{options.side_px} {options.seconds} {sound}"
    study = telling_nothing("s", secret, options.kind, looks, *questions.values(), *sorted(shown))
    return Key(study, options.kind, options.title, questions, tuple(systems), clips, shown)


def _keep_other_keys(path: Path, study: str) -> None:
    """The key of a page that people have answered must not be lost."""
    if not path.is_file():
        return
    try:
        same = read_key(path).study == study
    except StudyUnreadable:
        same = False
    if not same:
        raise OutputUnwritable(
            path,
            "the key of another study lies there, without which its answers are worth nothing",
            "choose another -o, or move it away",
        )


def _encoded(
    key: Key,
    cases: Cases,
    options: Options,
    sound: bool,
    progress: Callable[[Iterable[Any], str, int | None], Iterable[Any]],
) -> tuple[dict[str, str], float, list[str]]:
    """Clips as base64, how long it takes to watch every item once in seconds, and notes."""
    by_case: dict[str, dict[str, Path]] = {}
    for name, clip in key.clips.items():
        by_case.setdefault(clip.case, {})[name] = cases[clip.case][clip.system]
    texts: dict[str, str] = {}
    seconds: dict[str, float] = {}
    remarked: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for case, videos in progress(sorted(by_case.items()), "encoding", len(by_case)):
            encoded = encoded_case(
                videos,
                Path(folder),
                side_px=options.side_px,
                most_s=options.seconds,
                sound=sound,
                mixed=key.has_real,
            )
            texts |= as_text(encoded.clips)
            check_size(sum(map(len, texts.values())), options.most_mb)
            seconds |= dict.fromkeys(encoded.clips, encoded.seconds)
            for remark in encoded.remarks:
                remarked.setdefault(remark, []).append(case)
    one_by_one = sound and key.kind == "pairs"
    watching = sum(
        sum(seconds[c] for c in clips) if one_by_one else seconds[clips[0]] for clips in key.items.values()
    )
    return texts, watching, [f"videos of {_some(names)} {remark}" for remark, names in remarked.items()]


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
