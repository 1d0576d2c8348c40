"""Motion files: ``.npz`` (everything, ours) and ``.csv`` (Live Link Face)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from countenance.atomic import replacing
from countenance.errors import MotionInvalid, MotionUnreadable, OutputUnwritable, UnknownName, expect_type
from countenance.motion import live_link
from countenance.motion.sequence import Motion
from countenance.motion.spaces import get_space
from countenance.ranges import FRAME_RATE
from countenance.stored.content import Malformed, read_bytes, reason_of, size_of_file
from countenance.stored.npz import read_npz

FORMAT: Final = "countenance-motion"
VERSION: Final = 1
SUFFIXES: Final = (".npz", ".csv")

_MOST_NAMES: Final = 10_000
_HEAD: Final = 16_384  # bytes; a header of Live Link's columns is 1 KB
_SUFFIX_FIX: Final = "name a file that ends in .npz (everything) or .csv (Live Link Face)"


def save_motion(path: Path | str, motion: Motion) -> None:
    """Writes a motion file; an old one is replaced only when the new one is complete.

    ``.npz`` keeps everything. ``.csv`` keeps ``arkit`` shapes and head angles, see :mod:`.live_link`.

    Raises:
        OutputUnwritable: unknown suffix, missing folder, no permission, full disk.
        MotionSpaceMismatch: another space than ``arkit`` for ``.csv``.
    """
    expect_type(path, (Path, str), "the output", "give its path first, then the motion")
    expect_type(motion, Motion, "what is written", "give its path first, then the motion")
    path = Path(path)
    check_motion_output(path)
    if path.suffix.lower() == ".csv":
        content = live_link.to_csv(motion).encode()
        with replacing(path) as temporary:
            temporary.write_bytes(content)
        return
    beside = {"crop": motion.crop, "identity": motion.identity, "observed": motion.observed}
    arrays: dict[str, NDArray[Any]] = {
        "format": np.array(FORMAT),
        "version": np.array(VERSION),
        "space": np.array(motion.space.name),
        "names": np.array(motion.space.names),
        "fps": np.array(motion.fps),
        "values": motion.values,
        **{name: array for name, array in beside.items() if array is not None},
    }
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def check_motion_output(path: Path) -> None:
    """Fails early, before long work, where a motion file cannot be written.

    Raises:
        OutputUnwritable: unknown suffix or missing folder.
    """
    if path.suffix.lower() not in (".npz", ".csv"):
        raise OutputUnwritable(path, f"'{path.suffix}' is no kind of motion file", _SUFFIX_FIX)
    if not path.parent.is_dir():
        raise OutputUnwritable(
            path, f"there is no folder {path.parent}", f"make it first: mkdir -p {path.parent}"
        )


def load_motion(path: Path | str, fps: float | None = None) -> Motion:
    """Reads a motion file. Never runs what a file holds: pickled arrays are refused.

    Coefficients are matched by name, so a file in another order reads the same.

    Args:
        path: ``.npz`` or ``.csv``.
        fps: a frame rate to use instead of the file's own; the frames stay as they are.

    Raises:
        MotionUnreadable: not there, of another kind or version, cut off, pickled arrays, wrong shapes,
            unknown or missing coefficients, values that are not finite or far outside their ranges, or a frame rate
            outside :data:`countenance.ranges.FRAME_RATE`.
        MotionInvalid: ``fps`` is outside it.
    """
    expect_type(path, (Path, str), "a motion file", "give its path")
    path = Path(path)
    as_text = False
    try:
        as_text = _is_text(path)
        content = live_link.text_of(read_bytes(path), path) if as_text else read_npz(path)
    except Malformed as error:
        fix = "export it from Live Link Face again" if as_text else "make it anew with `countenance track`"
        raise MotionUnreadable(path, reason_of(error), fix) from None
    except OSError as error:
        raise MotionUnreadable(path, reason_of(error), "check the path") from None
    if isinstance(content, str):
        return live_link.from_csv(content, path, fps)
    motion = _from_arrays(content, path)
    return motion if fps is None else replace(motion, fps=fps)


def _is_text(path: Path) -> bool:
    """Whether a file is read as CSV: by what it holds, and by its suffix only where that does not tell."""
    size_of_file(path)
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if head.startswith(b"PK"):
        return False
    if path.suffix.lower() not in SUFFIXES and not live_link.names_columns(head):
        raise MotionUnreadable(path, "it is no motion file", _SUFFIX_FIX)
    return path.suffix.lower() != ".npz" or live_link.names_columns(head)


def _from_arrays(stored: Mapping[str, NDArray[Any]], path: Path) -> Motion:
    missing = {"format", "version", "space", "names", "fps", "values"} - stored.keys()
    if missing or _scalar(stored["format"]) != FORMAT:
        raise MotionUnreadable(path, "it is not a countenance motion file")
    if _scalar(stored["version"]) != VERSION:
        reason = (
            f"it has format version {str(_scalar(stored['version']))[:40]}, and this release reads {VERSION}"
        )
        raise MotionUnreadable(path, reason, "update countenance, or make it anew with `countenance track`")
    values, fps = stored["values"], _scalar(stored["fps"])
    if values.ndim != 2 or values.shape[1] != stored["names"].size:
        raise MotionUnreadable(path, f"its values have shape {values.shape} for {stored['names'].size} names")
    if not isinstance(fps, float | int) or not FRAME_RATE.holds(fps):
        raise MotionUnreadable(path, f"its frame rate is '{str(fps)[:40]}'; {FRAME_RATE} is possible")
    if values.shape[1] > _MOST_NAMES:
        raise MotionUnreadable(path, f"it has {values.shape[1]} coefficients, more than any motion")
    try:
        space = get_space(str(_scalar(stored["space"]))[:60])
        names = [str(name)[:60] for name in stored["names"].ravel()]
        order = space.indices(names)
        if sorted(order) != list(range(space.size)):
            lacking = next((n for n in space.names if n not in names), names[0])
            raise MotionUnreadable(path, f"'{lacking}' does not stand there exactly once")
        return Motion(
            values=values[:, np.argsort(order)],
            space=space,
            fps=fps,
            crop=stored.get("crop"),
            identity=stored.get("identity"),
            observed=stored.get("observed"),
        )
    except (UnknownName, MotionInvalid) as error:
        raise MotionUnreadable(path, str(error)) from None


def _scalar(array: NDArray[Any]) -> object:
    return array.item() if array.size == 1 else None
