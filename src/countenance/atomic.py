"""Outputs appear whole or not at all: written beside the target, renamed into place.

The target is where links lead, so that a link stays one. What a run that was killed has left behind is cleared by the
next one that writes into the same folder: a temporary file is held by a lock for as long as its process lives.
"""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import re
import secrets
import shutil
import stat
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from countenance.errors import CountenanceError, OutputUnwritable

if sys.platform != "win32":  # which has no such locks; nothing is cleared there
    import fcntl

_HOST = hashlib.sha256(os.fsencode(platform.node())).hexdigest()[
    :8
]  # locks may not be seen by other machines
_TEMPORARY = re.compile(r"\.countenance-([0-9a-f]{8})-[0-9a-f]{16}(\.\w{1,11})?")
_ABANDONED_S = 7 * 86_400.0  # after so long without a change, what other machines left is cleared, too
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def unwritable(path: Path, error: OSError | ValueError) -> OutputUnwritable:
    """What the system says, as an error of ours, in one line that names the fix."""
    if isinstance(error, OSError):
        fix = "free some space or choose another folder" if error.errno in _FULL else "choose another folder"
        if error.errno == errno.ENAMETOOLONG:
            fix = "give a shorter name"
        return OutputUnwritable(path, (error.strerror or str(error)).lower(), fix)
    return OutputUnwritable(repr(str(path)), "no file can have this name", "give another")


def check_writable(path: Path) -> None:
    """Fail early, before long work, where a file can't be written in the end.

    Raises:
        OutputUnwritable: the folder is missing or closed to us, or the path is a folder, a device, a write-protected
            file, a link that leads back to itself, or no name.
    """
    _file_target(path)


def check_folder_writable(path: Path) -> None:
    """As :func:`check_writable`, for :func:`replacing_folder`.

    Raises:
        OutputUnwritable: the folder above is missing or closed to us, or there is something already.
    """
    _folder_target(path)


def expect_other_than_inputs(output: Path, inputs: Iterable[Path]) -> None:
    """Refuse an output that is also an input, under whatever name: through links, or in other letters.

    Args:
        output: a file, or a folder, which must not hold an input either.
        inputs: files and folders that are read; those that are not there are passed over.

    Raises:
        OutputUnwritable: it is.
    """
    written = _identity(output)
    if written is None:
        return
    for path in inputs:
        read = _identity(path)
        if read is None:
            continue
        if read == written:
            raise OutputUnwritable(output, "it is also an input", "give another -o")
        if any(_identity(above) == written for above in Path(os.path.realpath(path)).parents):
            raise OutputUnwritable(output, f"it holds the input {path}", "give another -o")


def make_folder(path: Path) -> None:
    """Make a folder and those above it, if need be.

    Raises:
        OutputUnwritable: it can't be made or written.
    """
    target, there = _followed(path)
    if there is not None and not stat.S_ISDIR(there.st_mode):
        raise OutputUnwritable(path, "it is a file", "give a folder")
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error
    if not os.access(target, os.W_OK | os.X_OK):
        raise OutputUnwritable(path, "it is not writable", "choose another folder")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path``, with its suffix; renamed to ``path`` if the block ends well.

    Whatever ends the block otherwise (an error, Ctrl-C), the temporary file or folder is removed and an existing
    ``path`` stays as it was. Of a file that is replaced, the permissions are kept; of a link, the link.

    Raises:
        OutputUnwritable: the folder can't be written, or the disk is full.
    """
    target = _file_target(path)
    with _replaced(path, target, as_folder=False) as temporary:
        yield temporary


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """As :func:`replacing`, for a folder that must not exist yet or be empty."""
    target = _folder_target(path)
    with _replaced(path, target, as_folder=True) as temporary:
        yield temporary


@contextmanager
def _replaced(path: Path, target: Path, *, as_folder: bool) -> Iterator[Path]:
    try:
        _clear_dead(target.parent)
        temporary, lock = _claimed(target.parent, target.suffix, as_folder)
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        yield temporary
        _give_permissions(temporary, target)
        temporary.replace(target)
    except Exception as error:
        failure = _failure_of_disk(error)
        if failure is None:
            raise
        raise unwritable(path, failure) from error
    finally:
        with suppress(OSError):
            if as_folder:
                shutil.rmtree(temporary, ignore_errors=True)
            else:
                temporary.unlink(missing_ok=True)
        if lock is not None:
            os.close(lock)


def _failure_of_disk(error: Exception) -> OSError | None:
    """What the system said; torch's and others' writers hide a full disk behind errors of their own."""
    if isinstance(error, OSError | CountenanceError):
        return error if isinstance(error, OSError) else None
    behind = error.__context__
    while behind is not None and not (isinstance(behind, OSError) and behind.errno in _FULL):
        behind = behind.__context__
    return behind


def _give_permissions(temporary: Path, target: Path) -> None:
    """Those of what is replaced, else what new files and folders have."""
    try:
        old = target.stat()
    except FileNotFoundError:
        temporary.chmod((0o777 if temporary.is_dir() else 0o666) & ~_umask())
        return
    if hasattr(os, "chown"):
        with suppress(OSError):  # only root may give files away
            os.chown(temporary, old.st_uid, old.st_gid)
    temporary.chmod(stat.S_IMODE(old.st_mode))


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _file_target(path: Path) -> Path:
    target, there = _followed(path)
    _check_folder_of(path, target)
    if there is None:
        return target
    if stat.S_ISDIR(there.st_mode):
        raise OutputUnwritable(path, "it is a folder", "give a file name")
    if not stat.S_ISREG(there.st_mode):
        raise OutputUnwritable(path, "it is a device or pipe", "give the name of an ordinary file")
    if not os.access(target, os.W_OK):
        raise OutputUnwritable(path, "it is write-protected", "give another name")
    return target


def _folder_target(path: Path) -> Path:
    target, there = _followed(path)
    _check_folder_of(path, target)
    try:
        if there is not None and not stat.S_ISDIR(there.st_mode):
            raise OutputUnwritable(path, "it exists and is no folder", "give a new folder for the frames")
        if there is not None and any(target.iterdir()):
            raise OutputUnwritable(path, "it exists and is not empty", "give a new folder for the frames")
        if there is not None and (target.is_mount() or target.samefile(Path.cwd())):
            raise OutputUnwritable(path, "it is in use", "give a new folder for the frames, perhaps inside")
    except OSError as error:
        raise unwritable(path, error) from error
    return target


def _followed(path: Path) -> tuple[Path, os.stat_result | None]:
    """Where links lead, and what is there, if anything."""
    try:
        target = Path(os.path.realpath(path))
        try:
            there = target.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return target, None
    except (OSError, ValueError) as error:
        raise unwritable(path, error) from error
    if stat.S_ISLNK(there.st_mode):
        raise OutputUnwritable(path, "it is a link that leads back to itself", "remove the link")
    return target, there


def _check_folder_of(path: Path, target: Path) -> None:
    folder = target.parent if path.is_symlink() else path.parent
    if not folder.is_dir():
        above = next((p for p in folder.parents if p.exists()), folder) if not folder.exists() else folder
        if above.exists() and not above.is_dir():
            raise OutputUnwritable(path, f"{above} is no folder", "choose another folder")
        raise OutputUnwritable(path, f"there is no folder {folder}", f"make it first: mkdir -p {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputUnwritable(path, f"{folder} is not writable", "choose another folder")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        there = path.stat()
    except (OSError, ValueError):
        return None
    return there.st_dev, there.st_ino


def _claimed(folder: Path, suffix: str, as_folder: bool) -> tuple[Path, int | None]:
    """A new temporary file or folder, and the descriptor that holds its lock."""
    # The name's length does not depend on the target's, which may be as long as the system allows.
    kept = suffix if re.fullmatch(r"\.\w{1,11}", suffix) else ""
    while True:
        path = folder / f".countenance-{_HOST}-{secrets.token_hex(8)}{kept}"
        if as_folder:
            path.mkdir(mode=0o700)
        else:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        if sys.platform == "win32":
            return path, None
        with suppress(FileNotFoundError, BlockingIOError):  # taken for dead before it was locked: try another
            return path, _locked(path)


def _locked(path: Path) -> int:
    """A descriptor that holds the lock of a new file or folder.

    Raises:
        BlockingIOError: another run has it.
        FileNotFoundError: another run had it, and has removed the file.
    """
    lock = _opened(path)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise
    except OSError:  # the file system knows no locks, so nobody else can get one either
        return lock
    if _identity(path) != _identity_of(lock):
        os.close(lock)
        raise FileNotFoundError(path)
    return lock


def _clear_dead(folder: Path) -> None:
    """Remove the temporary files and folders of runs that are no more."""
    if sys.platform == "win32":
        return
    with suppress(OSError), os.scandir(folder) as entries:  # some folders may be written, but not listed
        for named in [found for entry in entries if (found := _TEMPORARY.fullmatch(entry.name))]:
            with suppress(OSError):
                _clear(folder / named[0], elsewhere=named[1] != _HOST)


def _clear(path: Path, elsewhere: bool) -> None:
    """Remove one if it is this user's, of this machine (or old), and nobody holds its lock."""
    there = path.lstat()
    is_folder = stat.S_ISDIR(there.st_mode)
    if there.st_uid != os.geteuid() or not (is_folder or stat.S_ISREG(there.st_mode)):
        return
    if elsewhere and time.time() - there.st_mtime < _ABANDONED_S:
        return
    lock = _opened(path)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _identity(path) != _identity_of(lock):
            return
        if is_folder:
            shutil.rmtree(path)
        else:
            path.unlink()
    finally:
        os.close(lock)


def _opened(path: Path) -> int:
    """For its lock; network file systems lock only what is open for writing."""
    access = os.O_RDONLY if path.is_dir() else os.O_RDWR
    return os.open(path, access | os.O_NOFOLLOW | os.O_CLOEXEC)


def _identity_of(descriptor: int) -> tuple[int, int]:
    there = os.fstat(descriptor)
    return there.st_dev, there.st_ino
