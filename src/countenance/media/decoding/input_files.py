"""Files that come in: only real ones are opened, and nothing that a decoder raises on odd bytes gets out."""

from __future__ import annotations

import os
import stat
import struct
import zipfile
import zlib
from pathlib import Path

from countenance.errors import MediaUnreadable

DECODER_ERRORS: tuple[type[Exception], ...] = (
    OSError,
    ValueError,  # Unicode errors, too
    SyntaxError,  # Pillow's word for a format that is not what it seemed
    EOFError,
    LookupError,
    ArithmeticError,
    TypeError,
    AttributeError,
    AssertionError,
    MemoryError,
    RuntimeError,  # NotImplementedError and RecursionError, too
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
)
"""What decoders are known to raise on bytes that nobody expected."""


def check_input_file(path: Path) -> int:
    """Refuse what is no regular file: missing ones, folders, pipes, devices, sockets.

    Returns:
        Its size in bytes, above 0.

    Raises:
        MediaUnreadable: it can't be opened, or is empty.
    """
    try:
        found = path.stat()
        if stat.S_ISREG(found.st_mode) and not os.access(path, os.R_OK):
            raise MediaUnreadable(path, "it may not be read", "change its permissions")
    except FileNotFoundError:
        raise MediaUnreadable(path, "there is no such file", "check the path") from None
    except (OSError, ValueError) as error:  # too long a name, a folder that may not be entered, a zero byte
        raise MediaUnreadable(path, reason_of(error), "check the path") from None
    if stat.S_ISDIR(found.st_mode):
        raise MediaUnreadable(path, "there is no such file, but a folder", "give a file")
    if not stat.S_ISREG(found.st_mode):
        raise MediaUnreadable(path, "it is a pipe or a device, no file", "save it to a file first")
    if found.st_size == 0:
        raise MediaUnreadable(path, "the file is empty", "copy it again")
    return found.st_size


def is_folder(path: Path) -> bool:
    """Whether a path names a folder; not if nobody can tell."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def reason_of(error: Exception) -> str:
    """What an error says, in one short line."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())[:120]
