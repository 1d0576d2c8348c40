"""Live Link Face CSV: what the iPhone app of that name records, as text <-> ``arkit`` motion.

A file has 63 columns: ``Timecode`` (HH:MM:SS:FF.sss: frame of the second, then thousandths of a frame),
``BlendShapeCount`` (61), Apple's 52 shapes in PascalCase, and nine angles.

Known: the columns and their names; the shapes are Apple's, in [0, 1]; the app writes angles in radians, taken
from ARKit's face transform, whose axes (x to the person's left, y up, z out of the face) are our head
frame's. Assumed: ``HeadYaw``, ``HeadPitch`` and ``HeadRoll`` are the right-hand turns about y, x and z of
:mod:`countenance.motion.pose`, in that composition; and an eye turns by :data:`EYE_TURN_RAD` at a look weight
of 1. The file says neither.

Not carried by the format: x, y and logScale (read as 0), crop and identity. A frame that was bridged is
written like any other.
"""

from __future__ import annotations

import codecs
import csv
import io
import math
import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from countenance.arrays import Doubles, Mask
from countenance.errors import MotionSpaceMismatch, MotionUnreadable, UnknownName
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT, ARKIT_SHAPES
from countenance.ranges import FRAME_RATE

EYE_TURN_RAD: Final = math.radians(30)
"""Turn of an eye at an ``eyeLook...`` weight of 1; assumed."""

_HEAD: Final = {"HeadYaw": "yaw", "HeadPitch": "pitch", "HeadRoll": "roll"}
_EYE_ANGLES: Final = tuple(
    f"{side}Eye{angle}" for side in ("Left", "Right") for angle in ("Yaw", "Pitch", "Roll")
)
# The app lists right before left for the jaw and for the mouth's shift, against Apple's order.
_SWAPPED: Final = {
    "jawLeft": "jawRight",
    "jawRight": "jawLeft",
    "mouthLeft": "mouthRight",
    "mouthRight": "mouthLeft",
}
_SHAPES: Final = tuple(_SWAPPED.get(name, name) for name in ARKIT_SHAPES)

COLUMNS: Final[tuple[str, ...]] = (
    "Timecode",
    "BlendShapeCount",
    *(name[0].upper() + name[1:] for name in _SHAPES),
    *_HEAD,
    *_EYE_ANGLES,
)
"""The 63 headers as they are written."""

_RATES: Final = (24, 25, 30, 60)
_NTSC_RATES: Final = (24000 / 1001, 30000 / 1001, 60000 / 1001)
_TIMECODE: Final = re.compile(r"(\d{1,4})[:;](\d{1,2})[:;](\d{1,2})([:;])(\d{1,4}(?:[.,]\d+)?)")
_DROPPED: Final = {
    30: 2,
    60: 4,
}  # numbers that drop-frame timecode leaves out in nine of ten minutes (SMPTE 12M)
_SEPARATORS: Final = (",", ";", "\t")
_LARGEST: Final = 100.0  # weights are 0 to 1, perhaps in percent
_DAY_S: Final = 86400.0
_SNAP: Final = 0.01  # a measured rate this near to a standard one is that one
_NAMED: Final = {name.casefold(): name for name in (*ARKIT_SHAPES, *_HEAD)}
_OPTIONAL: Final = {"tongueOut", *_HEAD}
_FIX: Final = "export it from Live Link Face again"


def to_csv(motion: Motion) -> str:
    """Writes ``arkit`` motion as Live Link Face does, all numbers to 10 decimals.

    The timecode counts in the motion's own rate if that is 24, 25, 30 or 60, else in 60ths with a fraction.
    It starts at the last frame of second 0, so that even two frames show where a second ends, which is how
    the rate is read back.

    Raises:
        MotionSpaceMismatch: any other space.
    """
    if motion.space != ARKIT:
        raise MotionSpaceMismatch(motion.space.name, ARKIT.name, by="a Live Link Face CSV")
    shapes = motion[_SHAPES]
    head = motion[tuple(_HEAD.values())]
    numbers = np.concatenate([shapes, head, _eye_angles(motion)], axis=1)
    base = round(motion.fps) if motion.fps in _RATES else 60
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for time_s, row in zip(motion.times_s, numbers, strict=True):
        writer.writerow([_timecode(time_s, base), len(COLUMNS) - 2, *(f"{number:.10f}" for number in row)])
    return text.getvalue()


def from_csv(text: str, path: Path | str, fps: float | None = None) -> Motion:
    """Reads a Live Link Face CSV.

    Cells may be separated by commas, or by semicolons or tabs with decimal commas or points, as
    spreadsheets save them. Columns are found by name, in any order: PascalCase, camelCase, ``_L``/``_R`` for
    ``Left``/``Right``.
    Angles and ``tongueOut`` may be missing (0); other columns are passed over. Gaze comes from the eyeLook
    shapes, not from the eye angles.

    The rate: frame numbers count up to the smallest of 24, 25, 30, 60 that fits the highest one seen; in a
    file that never crosses a second, up to 60. The rate is then the inverse of the median step between rows,
    taken as the nearest of these and their NTSC rates (29.97 ...) within one percent. Rows that a recording
    dropped, or left without numbers because no face was seen, are bridged in a straight line and marked as
    not observed. With ``fps`` given, timecodes are not looked at.

    Args:
        text: the file's content.
        path: named in errors.
        fps: frames a second, if known better.

    Returns:
        Motion in ``arkit``.

    Raises:
        MotionUnreadable: no such CSV, a missing shape, a cell that is no finite number, angles beyond half a
            turn (degrees?), no frame with a face, a timecode that tells nothing.
        MotionInvalid: ``fps`` is not positive.
    """
    table = _read_table(text, path)
    if not table.timecodes:
        raise MotionUnreadable(path, "no row follows its header", _FIX)
    if fps is None:
        rate, frames = _timing(table.timecodes, path)
    else:
        rate, frames = fps, np.arange(len(table.values))
    seen = ~np.isnan(table.values[:, 0])
    if not seen.any():
        raise MotionUnreadable(path, "no row holds numbers", _FIX)
    values, observed = _bridged(table.values, frames, seen)
    return Motion(values.astype(np.float32), ARKIT, rate, observed=None if observed.all() else observed)


@dataclass(frozen=True)
class _Table:
    """Rows as they stand: timecodes, and (T, 58) numbers with NaN in rows without a face."""

    timecodes: tuple[str, ...]
    values: Doubles


def text_of(content: bytes, path: Path | str) -> str:
    """The text of a CSV file: UTF-8, or UTF-16 with a byte order mark.

    Raises:
        MotionUnreadable: it is no such text.
    """
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        raise MotionUnreadable(path, "it is no text", _FIX) from None


def names_columns(head: bytes) -> bool:
    """Whether a file that begins so is a Live Link Face CSV."""
    wide = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    lines = head.decode("utf-16" if wide else "utf-8", "ignore").lstrip("\ufeff\r\n ").splitlines()
    names = {_named(cell) for line in lines[:2] for cell in re.split(r"[,;\t]", line)}
    return len(names - {None}) > len(ARKIT_SHAPES) // 2


def _read_table(text: str, path: Path | str) -> _Table:
    text = re.sub(r"^\s*sep=.\s*\n", "", text.lstrip("\ufeff"))  # a spreadsheet's note to itself
    rows = csv.reader(io.StringIO(text), delimiter=_separator(text))
    filled = (row for row in rows if any(cell.strip(" \t,;") for cell in row))
    timecodes: list[str] = []
    numbers = array("d")
    try:
        header = [cell.strip() for cell in next(filled, [])]
        if not header:
            raise MotionUnreadable(path, "it is empty", _FIX)
        columns = _find_columns(header, path)
        timecode = _position(header, "timecode")
        for row in filled:
            numbers.extend(_numbers(row, columns, rows.line_num, path))
            timecodes.append(row[timecode].strip() if 0 <= timecode < len(row) else "")
    except csv.Error as error:
        raise MotionUnreadable(path, f"line {rows.line_num}: {error}", _FIX) from None
    return _Table(tuple(timecodes), np.array(numbers, np.float64).reshape(-1, ARKIT.size))


def _separator(text: str) -> str:
    """Whatever splits the first line into the most columns that are known."""
    first = next((line for line in io.StringIO(text) if line.strip(" ,;\t\r\n")), "")
    return max(_SEPARATORS, key=lambda s: sum(_named(cell) is not None for cell in first.split(s)))


def _numbers(row: Sequence[str], columns: dict[str, int], line: int, path: Path | str) -> list[float]:
    """All coefficients of a row; NaN where it has no numbers."""
    cells = {name: row[at].strip() if at < len(row) else "" for name, at in columns.items()}
    if not any(cells.values()):
        return [math.nan] * ARKIT.size
    values = [0.0] * ARKIT.size
    for name, cell in cells.items():
        values[ARKIT.index(name)] = _number(cell, name, line, path)
    return values


def _find_columns(header: Sequence[str], path: Path | str) -> dict[str, int]:
    """Our coefficient -> its column."""
    columns: dict[str, int] = {}
    for position, given in enumerate(header):
        name = _named(given)
        if name is None:
            continue
        if name in columns:
            raise MotionUnreadable(path, f"it has two columns for '{name}'", _FIX)
        columns[name] = position
    missing = [name for name in ARKIT_SHAPES if name not in columns and name not in _OPTIONAL]
    if len(missing) > len(ARKIT_SHAPES) // 2:
        raise MotionUnreadable(path, "its first line does not name Live Link Face's columns", _FIX)
    if missing:
        near = UnknownName("column", missing[0], header)
        raise MotionUnreadable(path, f"{len(missing)} column(s) are missing, first '{missing[0]}'", str(near))
    return columns


def _named(header: str) -> str | None:
    """Our coefficient of a column; None if it is none of ours."""
    folded = header.strip().strip('"').casefold()
    name = _NAMED.get(re.sub(r"_r$", "right", re.sub(r"_l$", "left", folded)))
    return None if name is None else _HEAD.get(name, name)


def _position(header: Sequence[str], name: str) -> int:
    return next((i for i, given in enumerate(header) if given.casefold() == name), -1)


def _number(cell: str, name: str, line: int, path: Path | str) -> float:
    try:
        number = float(cell.replace(",", "."))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise MotionUnreadable(path, f"line {line}: '{name}' is '{cell}', which is no finite number", _FIX)
    if abs(number) > _LARGEST:
        raise MotionUnreadable(path, f"line {line}: '{name}' is {number:g}, far beyond any face", _FIX)
    if name in _HEAD.values() and abs(number) > math.pi:
        reason = f"line {line}: '{name}' is {number:g}, more than half a turn in radians"
        raise MotionUnreadable(path, reason, "convert its angles from degrees to radians")
    return number


def _eye_angles(motion: Motion) -> Doubles:
    """(T, 6) yaw, pitch and roll of the left and the right eye, by the head's rule of signs."""
    look = {way: motion[f"eyeLook{way}Left", f"eyeLook{way}Right"].astype(np.float64) for way in _WAYS}
    yaw = (look["Out"] - look["In"]) * (1, -1)
    pitch = look["Down"] - look["Up"]
    roll = np.zeros_like(yaw)
    return EYE_TURN_RAD * np.stack([yaw, pitch, roll], axis=-1).reshape(len(motion), 6)


_WAYS: Final = ("In", "Out", "Up", "Down")


def _timecode(time_s: float, base: int) -> str:
    thousandths = round((time_s * base + base - 1) * 1000)
    frames, fraction = divmod(thousandths, 1000)
    seconds, frame = divmod(frames, base)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour % 24:02d}:{minute:02d}:{second:02d}:{frame:02d}.{fraction:03d}"


def _timing(
    timecodes: Sequence[str], path: Path | str
) -> tuple[float, np.ndarray[tuple[int], np.dtype[np.intp]]]:
    """The rate, and on which frame of it each row lies."""
    matches = [_TIMECODE.fullmatch(code) for code in timecodes]
    bad = next((i for i, match in enumerate(matches) if match is None), None)
    if bad is not None:
        reason = f"row {bad + 1} has the timecode '{timecodes[bad]}', expected HH:MM:SS:FF.sss"
        raise MotionUnreadable(path, reason, "give its frame rate")
    found = [match for match in matches if match is not None]
    fields = np.array([[float(match[i].replace(",", ".")) for i in (1, 2, 3, 5)] for match in found])
    whole_s = fields[:, :3] @ (3600.0, 60.0, 1.0)
    whole_s += _DAY_S * np.concatenate([[0], np.cumsum(np.diff(whole_s) < -_DAY_S / 2)])
    crosses = len(np.unique(whole_s)) > 1
    highest = int(fields[:, 3].max()) if crosses else _RATES[-1] - 1
    base = next((rate for rate in _RATES if rate > highest), highest + 1)
    times = whole_s + fields[:, 3] / base
    if base in _DROPPED and all(match[4] == ";" for match in found):
        minutes = whole_s // 60
        times = (times * base - _DROPPED[base] * (minutes - minutes // 10)) / (base * 1000 / 1001)
    steps = np.diff(times)
    if len(steps) == 0:
        return _plausible(float(base), path), np.zeros(1, dtype=np.intp)
    if (steps <= 0).any():
        # Rows sampled faster than their timecode ticks: evenly spread is the best that is known.
        if times[-1] <= times[0]:
            raise MotionUnreadable(path, "its timecodes do not move forward", "give its frame rate")
        rate = _standard(len(steps) / (times[-1] - times[0]))
        return _plausible(rate, path), np.arange(len(times))
    rate = _plausible(_standard(1 / float(np.median(steps))), path)
    frames = np.round((times - times[0]) * rate).astype(np.intp)
    if frames[-1] > 10 * len(frames):
        raise MotionUnreadable(path, "its timecodes leave nine tenths of the time out", "give its frame rate")
    return rate, frames


def _standard(rate: float) -> float:
    nearest = min((*_RATES, *_NTSC_RATES), key=lambda standard: abs(standard - rate))
    return float(nearest) if abs(nearest - rate) <= _SNAP * nearest else round(rate, 3)


def _plausible(rate: float, path: Path | str) -> float:
    if not FRAME_RATE.holds(rate):
        reason = f"its timecodes say {rate:g} frames a second, not {FRAME_RATE}"
        raise MotionUnreadable(path, reason, "give its frame rate")
    return rate


def _bridged(
    values: Doubles, frames: np.ndarray[tuple[int], np.dtype[np.intp]], seen: Mask
) -> tuple[Doubles, Mask]:
    """Puts rows on their frames and bridges those without one in a straight line."""
    count = int(frames[-1]) + 1
    observed = np.zeros(count, dtype=np.bool_)
    observed[frames[seen]] = True
    known, first = np.unique(frames[seen], return_index=True)
    rows = values[seen][first]
    filled = np.stack([np.interp(np.arange(count), known, column) for column in rows.T], axis=1)
    return filled, observed
