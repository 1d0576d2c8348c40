"""From answers to shares, fooling rates and mean opinion scores, with 95 % intervals.

The intervals come from a bootstrap that draws participants and cases anew, both with replacement and independently
(Owen 2007, "The pigeonhole bootstrap"), since answers of one person, and answers about one case, are alike: counting
answers as independent would make the intervals too narrow. Where that can't be done, as one person answered or all
answers are the same, shares get Wilson's interval (Wilson 1927), which takes answers as independent.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from itertools import combinations
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from countenance.arrays import Doubles
from countenance.atomic import replacing
from countenance.evaluation.study.answers import Answer
from countenance.evaluation.study.key import REAL, Key

Measure: TypeAlias = Literal["fooling rate", "preferred to", "preferred", "opinion"]

_DRAWS = 4000
_Z = 1.959964  # of the normal distribution, two-sided 95 %


@dataclass(frozen=True)
class Score:
    """One figure.

    Attributes:
        measure: ``fooling rate``: share of comparisons with a recording in which the system's clip was chosen; 0.5 is
            chance, a system that can't be told from recordings (PIRenderer, Table 2). ``preferred to``: share of
            comparisons of two systems that the first won. ``preferred``: share of all its comparisons with other
            systems that a system won. ``opinion``: mean rating, 1 (worst) to 5 (best).
        question: id.
        system: whose figure it is.
        against: the other system; empty for ``preferred`` and ``opinion``.
        value: 0 to 1; 1 to 5 for ``opinion``.
        low: lower end of the 95 % interval, None where there is none.
        high: upper end.
        interval: how it was found: ``bootstrap``, ``wilson`` or ``none``.
        answers: how many.
        participants: how many.
        cases: how many.
    """

    measure: Measure
    question: str
    system: str
    against: str
    value: float
    low: float | None
    high: float | None
    interval: Literal["bootstrap", "wilson", "none"]
    answers: int
    participants: int
    cases: int


@dataclass(frozen=True)
class _Mark:
    """One number given by a participant about a case: a rating, or 1 for chosen and 0 for not."""

    participant: str
    case: str
    value: float


def scores(answers: Iterable[Answer], key: Key) -> list[Score]:
    """All figures of a study; those without answers are left out.

    Args:
        answers: of :func:`countenance.evaluation.study.answers.read_answers`.
        key: of the study.
    """
    rows = list(answers)
    found = []
    for question in key.questions:
        of_question = [row for row in rows if row.question == question]
        found += _opinions(of_question, key) if key.kind == "ratings" else _choices(of_question, key)
    return found


def _opinions(rows: list[Answer], key: Key) -> list[Score]:
    marks: dict[str, list[_Mark]] = {name: [] for name in key.systems}
    for row in rows:
        clip = key.clips[row.left]
        marks[clip.system].append(_Mark(row.participant, clip.case, float(row.answer)))
    return [
        _score("opinion", rows[0].question, name, "", given) for name, given in marks.items() if len(given)
    ]


def _choices(rows: list[Answer], key: Key) -> list[Score]:
    found = []
    for first, second in combinations(key.systems, 2):
        marks = _won(rows, key, first, {second})
        if marks:
            measure: Measure = "fooling rate" if second == REAL else "preferred to"
            found.append(_score(measure, rows[0].question, first, second, marks))
    for name in key.systems:
        others = set(key.systems) - {name, REAL}
        marks = _won(rows, key, name, others) if name != REAL else []
        if marks:
            found.append(_score("preferred", rows[0].question, name, "", marks))
    return found


def _won(rows: list[Answer], key: Key, system: str, others: set[str]) -> list[_Mark]:
    """Comparisons of a system with others: 1 where it was chosen."""
    marks = []
    for row in rows:
        left, right = key.clips[row.left], key.clips[row.right]
        names = {left.system, right.system}
        if system in names and names - {system} <= others:
            won = key.clips[row.chosen].system == system
            marks.append(_Mark(row.participant, left.case, float(won)))
    return marks


def _score(measure: Measure, question: str, system: str, against: str, marks: list[_Mark]) -> Score:
    value = float(np.mean([mark.value for mark in marks]))
    people, cases = ({getattr(mark, name) for mark in marks} for name in ("participant", "case"))
    low, high = None, None
    how: Literal["bootstrap", "wilson", "none"] = "none"
    alike = len({mark.value for mark in marks}) == 1
    share = measure != "opinion"
    if share and (alike or len(people) == 1):
        how, (low, high) = "wilson", wilson(value, len(marks))
    elif not alike and (len(people) > 1 or len(cases) > 1):
        how, (low, high) = "bootstrap", _bootstrap(marks)
    return Score(
        measure, question, system, against, value, low, high, how, len(marks), len(people), len(cases)
    )


def wilson(share: float, count: int) -> tuple[float, float]:
    """95 % interval of a share among ``count`` independent answers (Wilson 1927)."""
    spread = _Z**2 / count
    middle = (share + spread / 2) / (1 + spread)
    half = _Z * np.sqrt(share * (1 - share) / count + spread / (4 * count)) / (1 + spread)
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def _bootstrap(marks: list[_Mark]) -> tuple[float, float]:
    """2.5 and 97.5 % of the mean, with participants and cases drawn anew; the same for the same answers."""
    people = sorted({mark.participant for mark in marks})
    cases = sorted({mark.case for mark in marks})
    totals, counts = np.zeros((2, len(people), len(cases)))
    for mark in marks:
        place = people.index(mark.participant), cases.index(mark.case)
        totals[place] += mark.value
        counts[place] += 1
    chance = np.random.default_rng(0)
    drawn_people, drawn_cases = (_times_drawn(chance, size) for size in totals.shape)
    sums, numbers = (
        np.einsum("bp,pc,bc->b", drawn_people, table, drawn_cases, optimize=True)
        for table in (totals, counts)
    )
    means = sums[numbers > 0] / numbers[numbers > 0]  # nobody drawn has answered about any case drawn
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)


def _times_drawn(chance: np.random.Generator, size: int) -> Doubles:
    """(draws, size): how often each of ``size`` is drawn in ``size`` draws with replacement."""
    return chance.multinomial(size, np.full(size, 1 / size), _DRAWS).astype(np.float64)


def write_scores(path: Path, found: list[Score]) -> None:
    """Write a table with the fields of :class:`Score` as columns.

    Raises:
        OutputUnwritable: the folder or the disk.
    """
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, [field.name for field in fields(Score)])
        table.writeheader()
        table.writerows(asdict(score) for score in found)
