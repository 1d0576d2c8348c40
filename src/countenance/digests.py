"""What a file holds, by SHA-256, and whether it has changed since that was last looked at."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from countenance.ranges import Range

_SYSTEM_NUMBER: Final = Range(0, 2**64)


@dataclass(frozen=True)
class FileState:
    """What changes when a file's content does; two files of one state are taken to hold the same.

    Attributes:
        size: in bytes.
        modified_ns: since 1970.
        inode: of the file; another file that was moved into its place has another one.
    """

    size: Annotated[int, _SYSTEM_NUMBER]
    modified_ns: Annotated[int, _SYSTEM_NUMBER]
    inode: Annotated[int, _SYSTEM_NUMBER]

    @classmethod
    def of(cls, path: Path) -> FileState:
        """The present state of a file.

        Raises:
            OSError: it is not there, or closed to us.
        """
        found = path.stat()
        return cls(found.st_size, found.st_mtime_ns, found.st_ino)


def sha256_of(path: Path) -> str:
    """Of a file's whole content.

    Raises:
        OSError: it is not there, or closed to us.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
