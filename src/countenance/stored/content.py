"""The first look at a file that comes in: is it one, how large is it, and the error for all that it should not hold."""

from __future__ import annotations

import errno
import stat
from pathlib import Path
from typing import Final

MOST_TEXT: Final = 64 * 2**20
"""Bytes of a text (JSON, CSV) that somebody gives; the largest honest ones are a hundredth of it."""


class Malformed(ValueError):
    """Content that is not what a file of its kind holds. The message is the reason, in one line."""


def size_of_file(path: Path) -> int:
    """Bytes of a regular file.

    Raises:
        OSError: none there, closed to us, a name that no file can have; or a folder, or a pipe, which would never end.
    """
    try:
        found = path.stat()
    except ValueError as error:  # a zero byte or half a character in the name
        raise OSError(errno.EINVAL, "no file can have this name") from error
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, "is a directory")
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file")
    return found.st_size


def read_bytes(path: Path, most: int = MOST_TEXT) -> bytes:
    """A whole file.

    Args:
        path: the file.
        most: bytes that it may have.

    Raises:
        OSError: as :func:`size_of_file`, or it can't be read.
        Malformed: it is larger.
    """
    if (size := size_of_file(path)) > most:
        raise Malformed(f"it has {size:,} bytes, and {most:,} are the most that such a file has")
    return path.read_bytes()


def read_text(path: Path, most: int = MOST_TEXT) -> str:
    """A whole text, UTF-8 with or without a byte order mark.

    Raises:
        OSError: as :func:`read_bytes`.
        Malformed: larger than ``most`` bytes, or no text.
    """
    try:
        return read_bytes(path, most).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Malformed("it is no text") from error


def reason_of(error: Exception) -> str:
    """Why a file could not be read, in one line for a message."""
    if isinstance(error, OSError):
        return (error.strerror or str(error) or "it failed").lower()
    words = " ".join(str(error).split()) or type(error).__name__
    return words if len(words) <= 200 else f"{words[:200]} ..."
