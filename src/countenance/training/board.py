"""What a run leaves for TensorBoard."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from countenance.arrays import Image
from countenance.errors import DependencyMissing, OutputUnwritable


class Board:
    """Curves and pictures of one run; see :func:`board`.

    Args:
        folder: of TensorBoard's files.
        step: that the run goes on from; what a stopped one left of later steps is not shown.

    Raises:
        DependencyMissing: TensorBoard.
        OutputUnwritable: the folder or the disk; so do all methods, as a thread does the writing.
    """

    def __init__(self, folder: Path, step: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise DependencyMissing("tensorboard", "train", "training") from None
        self._folder = folder
        with self._writing():
            self._writer = SummaryWriter(str(folder), purge_step=step)

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """One point of each curve."""
        with self._writing():
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)

    def picture(self, name: str, picture: Image, step: int) -> None:
        """H x W x 3."""
        with self._writing():
            self._writer.add_image(name, picture, step, dataformats="HWC")

    def close(self) -> None:
        """Writes what waits."""
        with self._writing():
            self._writer.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            fix = "free some space or choose another folder"
            raise OutputUnwritable(self._folder, reason, fix) from error


@contextmanager
def board(folder: Path, step: int) -> Iterator[Board]:
    """A :class:`Board` that is closed after the block."""
    told = threading.excepthook
    # what goes wrong in the writing thread comes again with the next call: one line, not two
    threading.excepthook = lambda args: None if isinstance(args.exc_value, OSError) else told(args)
    try:
        shown = Board(folder, step)
        try:
            yield shown
        finally:
            shown.close()
    finally:
        threading.excepthook = told
