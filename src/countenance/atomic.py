"""Outputs appear whole or not at all: written beside the target, renamed into place."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from countenance.errors import OutputUnwritable


def check_writable(path: Path) -> None:
    """Fail early, before long work, where a file can't be written in the end.

    Raises:
        OutputUnwritable: the folder is missing or closed to us, or the path is a folder.
    """
    folder = path.parent
    if not folder.is_dir():
        raise OutputUnwritable(path, f"there is no folder {folder}", f"make it first: mkdir -p {folder}")
    if not os.access(folder, os.W_OK):
        raise OutputUnwritable(path, f"{folder} is not writable", "choose another folder")
    if path.is_dir():
        raise OutputUnwritable(path, "it is a folder", "give a file name")


def make_folder(path: Path) -> None:
    """Make a folder and those above it, if need be.

    Raises:
        OutputUnwritable: it can't be made or written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputUnwritable(
            path, (error.strerror or str(error)).lower(), "choose another folder"
        ) from error
    if not os.access(path, os.W_OK):
        raise OutputUnwritable(path, "it is not writable", "choose another folder")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path``, with its suffix; renamed to ``path`` if the block ends well.

    Whatever ends the block otherwise (an error, Ctrl-C), the temporary file or folder is removed and an existing
    ``path`` stays as it was.

    Raises:
        OutputUnwritable: the folder can't be written, or the disk is full.
    """
    check_writable(path)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputUnwritable(path, reason.lower(), "free some space or choose another folder") from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """As :func:`replacing`, for a folder that must not exist yet or be empty."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise OutputUnwritable(path, "it exists and is not empty", "give a new folder for the frames")
    if not path.parent.is_dir():
        raise OutputUnwritable(
            path, f"there is no folder {path.parent}", f"make it first: mkdir -p {path.parent}"
        )
    try:
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    except OSError as error:
        raise OutputUnwritable(
            path, (error.strerror or str(error)).lower(), "choose another folder"
        ) from error
    try:
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputUnwritable(path, reason.lower(), "free some space or choose another folder") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
