"""One process at a time in a folder. The lock goes with the process that holds it, however that ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from countenance.errors import OutputUnwritable

_LOCK = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder for the time of the block.

    Args:
        folder: is there, and can be written.

    Raises:
        OutputUnwritable: another process holds it, or no file can be made in it.
    """
    path = folder / _LOCK
    try:
        held = _opened(path)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OutputUnwritable(folder, reason, "free some space or choose another folder") from error
    if held is None:
        raise OutputUnwritable(
            folder, "another process is at work in it", "wait for its end, or give another -o"
        )
    try:
        yield
    finally:
        with suppress(OSError):  # Windows does not remove what is open; it is of no harm
            path.unlink()
        os.close(held)


def _opened(path: Path) -> int | None:
    """The lock, held; None if somebody else has it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        if not _taken(descriptor):
            os.close(descriptor)
            return None
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        os.close(descriptor)  # whoever had it removed it in the meantime


def _taken(descriptor: int) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
        except OSError:
            return False
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: better unguarded than not at all
        return True
    return True
