"""Motion files: ``.npz`` (everything, ours) and ``.csv`` (Live Link Face)."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from countenance.atomic import replacing
from countenance.errors import MotionInvalid, MotionUnreadable, OutputUnwritable, UnknownName
from countenance.motion import live_link
from countenance.motion.sequence import Motion
from countenance.motion.spaces import get_space

FORMAT: Final = "countenance-motion"
VERSION: Final = 1
SUFFIXES: Final = (".npz", ".csv")

_MOST_BYTES: Final = 2**31  # uncompressed; hours of motion are far below
_SUFFIX_FIX: Final = "name a file that ends in .npz (everything) or .csv (Live Link Face)"


def save_motion(path: Path | str, motion: Motion) -> None:
    """Writes a motion file; an old one is replaced only when the new one is complete.

    ``.npz`` keeps everything. ``.csv`` keeps ``arkit`` shapes and head angles, see :mod:`.live_link`.

    Raises:
        OutputUnwritable: unknown suffix, missing folder, no permission, full disk.
        MotionSpaceMismatch: another space than ``arkit`` for ``.csv``.
    """
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
            unknown or missing coefficients, values that are not finite.
        MotionInvalid: ``fps`` is not positive.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise MotionUnreadable(path, f"'{path.suffix}' is no kind of motion file", _SUFFIX_FIX)
    try:
        content = path.read_text(encoding="utf-8-sig") if suffix == ".csv" else _read_npz(path)
    except UnicodeDecodeError:
        raise MotionUnreadable(path, "it is no text", "export it from Live Link Face again") from None
    except OSError as error:
        raise MotionUnreadable(path, _reason(error), "check the path") from None
    if isinstance(content, str):
        return live_link.from_csv(content, path, fps)
    motion = _from_arrays(content, path)
    return motion if fps is None else replace(motion, fps=fps)


def _read_npz(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > _MOST_BYTES:
            raise MotionUnreadable(path, f"it unpacks to {size} bytes, far more than any motion")
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError):
        raise MotionUnreadable(path, "it is damaged or no .npz file") from None
    except (ValueError, MemoryError):  # pickled or cut off; a header that claims more than there is
        raise MotionUnreadable(path, "it holds pickled or damaged arrays, which are never loaded") from None


def _from_arrays(stored: Mapping[str, NDArray[Any]], path: Path) -> Motion:
    missing = {"format", "version", "space", "names", "fps", "values"} - stored.keys()
    if missing or _scalar(stored["format"]) != FORMAT:
        raise MotionUnreadable(path, "it is not a countenance motion file")
    if _scalar(stored["version"]) != VERSION:
        reason = f"it has format version {_scalar(stored['version'])}, and this release reads {VERSION}"
        raise MotionUnreadable(path, reason, "update countenance, or make it anew with `countenance track`")
    names = [str(name) for name in stored["names"].ravel()]
    values, fps = stored["values"], _scalar(stored["fps"])
    if values.ndim != 2 or values.shape[1] != len(names):
        raise MotionUnreadable(path, f"its values have shape {values.shape} for {len(names)} names")
    if not isinstance(fps, float | int):
        raise MotionUnreadable(path, f"its frame rate is '{fps}'")
    try:
        space = get_space(str(_scalar(stored["space"])))
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


def _reason(error: OSError) -> str:
    return (error.strerror or "it failed").lower()
