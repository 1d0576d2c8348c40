"""Everything that can go wrong in a way the user can mend, each as a class of its own.

A message says in one line what was wrong, where, and what to do about it. The command line prints it
and exits with ``exit_code``; Python callers catch :class:`CountenanceError` or one of its children.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

_LONGEST = 1000


class CountenanceError(Exception):
    """Base of all errors that the package raises on purpose."""

    exit_code = 2

    def __init__(self, message: str = "") -> None:
        """One line, whatever the names in it that come from files, which a terminal can show."""
        line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in message)
        super().__init__(line if len(line) <= _LONGEST else f"{line[:_LONGEST]} ... {line[-_LONGEST // 4 :]}")

    def __reduce__(self) -> tuple[Callable[..., CountenanceError], tuple[Any, ...]]:
        """Errors of worker processes are pickled; the message is written already."""
        return _told_again, (type(self), self.args, self.__dict__)


def _told_again(
    kind: type[CountenanceError], args: tuple[Any, ...], attributes: dict[str, Any]
) -> CountenanceError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(attributes)
    return error


class MediaUnreadable(CountenanceError):
    """A picture, video or sound file that cannot be decoded, or holds nothing of the kind asked for."""

    def __init__(
        self, path: Path | str, reason: str, fix: str = "check that it plays in a media player"
    ) -> None:
        super().__init__(f"cannot read {path}: {reason}; {fix}")
        self.path = Path(path)


class Note(UserWarning):
    """A warning for the person who gave a file or an option: the command line shows each in one line."""


class MediaDamaged(Note):
    """A warning: part of a file could not be read, and the rest is used."""


class PoorPhoto(Note):
    """A warning: a photo shows too little of the head for a good result, which is made all the same."""


class LossLeftOut(Note):
    """A warning: a network of a loss is not on this machine, and the loss does without."""


class HardToPlay(Note):
    """A warning: a video is so large or fast that common players and phones can't show it."""


class TransparencyLost(Note):
    """A warning: an output can't be transparent, so that it is laid over white."""


class LeftOut(Note):
    """A warning: one of several things could not be done, and the others are."""


class OutputUnwritable(CountenanceError):
    """An output path that cannot be written: missing folder, no permission, full disk, unknown suffix."""

    def __init__(self, path: Path | str, reason: str, fix: str) -> None:
        super().__init__(f"cannot write {path}: {reason}; {fix}")
        self.path = Path(path)


class NoFaceFound(CountenanceError):
    """No face in a picture, or none in a whole video."""

    def __init__(self, where: str, fix: str = "use a picture in which one face is clearly visible") -> None:
        super().__init__(f"no face found in {where}; {fix}")


class FaceNotThere(CountenanceError):
    """``--face N`` asks for more faces than there are."""

    def __init__(self, where: str, asked: int, found: int) -> None:
        super().__init__(
            f"{where} shows {found} face(s), so face {asked} is not there; use --face 1 to {found}"
        )


class MotionUnreadable(CountenanceError):
    """A motion file of the wrong kind, version, shape, or with NaN in it."""

    def __init__(
        self, path: Path | str, reason: str, fix: str = "make it anew with `countenance track`"
    ) -> None:
        super().__init__(f"cannot read motion from {path}: {reason}; {fix}")
        self.path = Path(path)


class DatasetUnreadable(CountenanceError):
    """A prepared dataset that is missing, damaged or of another kind."""

    def __init__(
        self, path: Path | str, reason: str, fix: str = "make it anew with `countenance prepare`"
    ) -> None:
        super().__init__(f"cannot read a dataset from {path}: {reason}; {fix}")
        self.path = Path(path)


class MotionInvalid(CountenanceError):
    """Numbers that are no motion: wrong shape, NaN or infinite values, a frame rate that is not positive."""


class ProtocolUnreadable(CountenanceError):
    """An evaluation protocol that is missing, damaged, or of other clips."""

    def __init__(
        self, path: Path | str, reason: str, fix: str = "make it anew with `countenance evaluate`"
    ) -> None:
        super().__init__(f"cannot evaluate with {path}: {reason}; {fix}")
        self.path = Path(path)


class WorkerLost(CountenanceError):
    """A worker process ended without a word."""

    def __init__(self, workers: int) -> None:
        super().__init__(
            f"a worker process ended without a word, perhaps for want of memory; with fewer than {workers} --workers "
            "the same command goes on where it stopped"
        )


class StudyUnreadable(CountenanceError):
    """A key or an answer file of a user study that is missing, damaged, or of another study."""

    def __init__(
        self, path: Path | str, reason: str, fix: str = "ask the participant to download it again"
    ) -> None:
        super().__init__(f"cannot use {path}: {reason}; {fix}")
        self.path = Path(path)


class MotionSpaceMismatch(CountenanceError):
    """Motion of one space given to something that speaks another; never reshaped silently."""

    def __init__(self, given: str, expected: str, by: str) -> None:
        super().__init__(
            f"{by} takes motion in the space '{expected}', but this motion is in '{given}'; "
            f"track the driver again in '{expected}' or choose a renderer for '{given}' (`countenance models`)"
        )


class UnknownName(CountenanceError):
    """A name that is not in a list of names; the message offers the nearest."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = list(known)
        folded = {n.casefold(): n for n in names}
        near = [folded[n] for n in get_close_matches(name.casefold(), list(folded), n=3, cutoff=0.5)]
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}"
        super().__init__(f"unknown {kind} '{name}'; {hint}")


class BadValue(CountenanceError):
    """An argument outside what it may be."""


class WeightsMissing(CountenanceError):
    """A file of weights or an asset that is not on this machine."""

    def __init__(self, name: str, fix: str) -> None:
        super().__init__(f"'{name}' is not on this machine; {fix}")


class WeightsDamaged(CountenanceError):
    """A file of weights whose checksum, names or shapes are not what they should be, or that holds code."""

    def __init__(self, path: Path | str, reason: str, fix: str = "delete it and fetch it again") -> None:
        super().__init__(f"{path} is damaged or not what it claims to be: {reason}; {fix}")
        self.path = Path(path)


class DependencyMissing(CountenanceError):
    """An optional package that this feature needs."""

    def __init__(self, package: str, extra: str, feature: str) -> None:
        super().__init__(
            f"{feature} needs the package '{package}'; install it with: pip install 'countenance[{extra}]'"
        )


class PluginBroken(CountenanceError):
    """A renderer, tracker or voice of another package that can't be loaded."""

    def __init__(self, name: str, package: str, reason: str) -> None:
        super().__init__(
            f"'{name}' of the package '{package}' can't be used: {' '.join(reason.split())}; "
            "update or uninstall that package, or choose another name"
        )


class TrainingDiverged(CountenanceError):
    """The loss became NaN or infinite."""

    def __init__(self, step: int, loss: float, checkpoint: Path) -> None:
        super().__init__(
            f"the loss is {loss} at step {step}; resume from {checkpoint} with a lower --learning-rate or in float32"
        )


class InversionDiverged(CountenanceError):
    """No code of a generator was found for a portrait, because the loss grew or became NaN."""

    def __init__(self, loss: float, start: float, rate: float) -> None:
        super().__init__(
            f"the portrait could not be inverted: the loss went from {start:.3g} to {loss:.3g}, at the lowest learning "
            f"rate, {rate:.2g}, too; use a clear picture of one face, or check the weights"
        )


def expect_type(given: object, kind: type | tuple[type, ...], what: str, fix: str) -> None:
    """Refuse an argument of a wrong type where a person passes it in, not deep inside.

    Args:
        given: the argument.
        kind: what it must be an instance of.
        what: names it in the error.
        fix: what to do instead.

    Raises:
        BadValue: it is something else.
    """
    if not isinstance(given, kind):
        names = " or ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))
        raise BadValue(f"{what} is of type {type(given).__name__}, not {names}; {fix}")
