"""The first look at a file of weights."""

from __future__ import annotations

import errno
from pathlib import Path

from countenance.errors import WeightsDamaged, WeightsMissing
from countenance.stored.content import reason_of, size_of_file


def expect_file(path: Path, fix: str = "check the path") -> int:
    """Bytes of a file of weights.

    Args:
        path: the file.
        fix: what to do where there is none.

    Raises:
        WeightsMissing: no such file.
        WeightsDamaged: a folder or a pipe stands there, it is empty, or the path can't be looked at.
    """
    try:
        size = size_of_file(path)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            raise WeightsMissing(str(path), fix) from error
        raise WeightsDamaged(path, reason_of(error), fix) from error
    if not size:
        raise WeightsDamaged(path, "it is empty")
    return size
