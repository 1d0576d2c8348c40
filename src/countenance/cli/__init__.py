"""The command ``countenance``: one file a verb."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType


def main() -> None:
    """Entry point of the command."""
    if (
        signal.getsignal(signal.SIGINT) is signal.default_int_handler
    ):  # a shell's `&` makes Ctrl-C deaf; it stays so
        signal.signal(signal.SIGINT, _leave)
    from countenance.cli.main import main as run

    run()


def _leave(number: int, frame: FrameType | None) -> None:
    """Ctrl-C while modules are still loading: nothing was begun, and many of them would print a traceback."""
    os.write(
        sys.__stderr__.fileno() if sys.__stderr__ else 2, b"countenance: interrupted; nothing was written\n"
    )
    os._exit(130)
