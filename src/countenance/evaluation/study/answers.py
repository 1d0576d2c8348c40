"""Reading what participants downloaded: strictly, so that no damaged number becomes a result."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from countenance.errors import StudyUnreadable
from countenance.evaluation.study.key import Key
from countenance.stored.content import Malformed, read_text, reason_of

COLUMNS = (
    "study",
    "kind",
    "participant",
    "seed",
    "position",
    "item",
    "question",
    "left",
    "right",
    "answer",
    "ms",
)
"""Columns of an answer file, as ``page.js`` writes them; docs/user-studies.md explains each."""

_PARTICIPANT = re.compile(r"p-[0-9a-f]{16}")
_NUMBER = re.compile(r"[0-9]{1,15}")
_NO_STUDY = "give a file that was downloaded from the study's page"


@dataclass(frozen=True)
class Answer:
    """One answer of one participant.

    Attributes:
        participant: random id.
        item: id.
        question: id.
        left: id of the left clip, or of the only one.
        right: id of the right clip; empty for ratings.
        answer: left or right; or 1 to 5.
        ms: time on the item until then, with the page in front.
    """

    participant: str
    item: str
    question: str
    left: str
    right: str
    answer: str
    ms: int

    @property
    def chosen(self) -> str:
        """Id of the clip that was chosen; of the one that was rated."""
        return self.right if self.answer == "right" else self.left


@dataclass(frozen=True)
class Answers:
    """All answers that count.

    Attributes:
        rows: of all participants.
        notes: files that were replaced by later ones, a line each.
    """

    rows: tuple[Answer, ...]
    notes: tuple[str, ...]


def read_answers(paths: Iterable[Path], key: Key) -> Answers:
    """Read answer files; of a participant who is in several, the last file counts.

    Raises:
        StudyUnreadable: a file that is missing, empty, no answer file, of another study, or with a row that can't be.
    """
    by_participant: dict[str, tuple[Path, list[Answer]]] = {}
    notes = []
    for path in paths:
        for participant, rows in _read(path, key).items():
            if participant in by_participant:
                earlier = by_participant[participant][0]
                notes.append(f"{participant} is in {earlier} and in {path}; only the latter counts")
            by_participant[participant] = path, rows
    return Answers(tuple(row for _, rows in by_participant.values() for row in rows), tuple(notes))


def _read(path: Path, key: Key) -> dict[str, list[Answer]]:
    """Participant -> answers."""
    try:
        text = read_text(path)
    except OSError as error:
        raise StudyUnreadable(path, reason_of(error), "check the path") from error
    except Malformed as error:
        raise StudyUnreadable(path, reason_of(error), _NO_STUDY) from error
    if not text.strip():
        raise StudyUnreadable(path, "it is empty")
    lines = text.splitlines()
    comma = ";" if ";" in lines[0] else ","  # some spreadsheets save with semicolons
    if lines[0].replace('"', "").split(comma) != list(COLUMNS):
        raise StudyUnreadable(path, f"line 1 does not name the columns {', '.join(COLUMNS)}", _NO_STUDY)
    found: dict[str, list[Answer]] = {}
    seen: dict[tuple[str, str, str], int] = {}
    rows = csv.reader(lines[1:], delimiter=comma, strict=True)
    while True:
        try:
            fields = next(rows, None)
        except csv.Error as error:
            raise StudyUnreadable(path, f"line {rows.line_num + 1} is damaged ({error})") from error
        if fields is None:
            break
        if not any(fields):
            continue
        line = rows.line_num + 1
        answer = _answer(fields, key, path, line)
        what = (answer.participant, answer.item, answer.question)
        if what in seen:
            raise StudyUnreadable(path, f"line {line} answers the same again as line {seen[what]}")
        seen[what] = line
        found.setdefault(answer.participant, []).append(answer)
    if not found:
        raise StudyUnreadable(path, "it holds no answers", "leave it out")
    return found


def _answer(fields: list[str], key: Key, path: Path, line: int) -> Answer:
    """A row of which everything fits the key."""
    if len(fields) != len(COLUMNS):
        raise StudyUnreadable(path, f"line {line} has {len(fields)} fields, not {len(COLUMNS)}")
    row = dict(zip(COLUMNS, (field.strip() for field in fields), strict=True))
    if row["study"] != key.study:
        other = f"line {line} is of the study '{row['study'][:40]}', the key of '{key.study}'"
        raise StudyUnreadable(path, other, "give the key of the page that was answered")
    clips = [clip for clip in (row["left"], row["right"]) if clip]
    allowed = ("left", "right") if key.kind == "pairs" else ("1", "2", "3", "4", "5")
    wrong = {
        "kind": row["kind"] != key.kind,
        "participant": not _PARTICIPANT.fullmatch(row["participant"]),
        "seed": not _NUMBER.fullmatch(row["seed"]),
        "position": not _NUMBER.fullmatch(row["position"]) or not 1 <= int(row["position"]) <= len(key.items),
        "item": row["item"] not in key.items,
        "question": row["question"] not in key.questions,
        "left": not row["left"] or sorted(clips) != sorted(key.items.get(row["item"], clips)),
        "answer": row["answer"] not in allowed,
        "ms": not _NUMBER.fullmatch(row["ms"]),
    }
    for name, is_wrong in wrong.items():
        if is_wrong:
            shown = f"{row['left']} {row['right']}".strip() if name == "left" else row[name]
            what = "clips" if name == "left" else name
            raise StudyUnreadable(path, f"line {line}: {what} '{shown[:40]}' can't be in this study")
    return Answer(
        row["participant"],
        row["item"],
        row["question"],
        row["left"],
        row["right"],
        row["answer"],
        int(row["ms"]),
    )
