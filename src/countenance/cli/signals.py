"""What ends a command from outside: Ctrl-C, a closed terminal, `kill`. Each unwinds, so nothing half-written stays."""

from __future__ import annotations

import signal
import sys
from types import FrameType, TracebackType
from typing import Any, Self

_ENDING = ("SIGTERM", "SIGHUP")  # a terminal that is closed sends the second; Windows has only the first


class Signals:
    """Handlers of signals for as long as a command runs. What is ignored already (`nohup`, `&`) stays ignored.

    Attributes:
        interrupted: Ctrl-C was pressed.
    """

    def __init__(self) -> None:
        self.interrupted = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        """Sets them."""
        for name in _ENDING:
            if hasattr(signal, name):
                self._set(getattr(signal, name), self._end)
        self._set(signal.SIGINT, self._interrupt)
        return self

    def _set(self, number: int, handler: Any) -> None:
        before = signal.getsignal(number)
        if before != signal.SIG_IGN:
            self._before[number] = before
            signal.signal(number, handler)

    def _end(self, number: int, frame: FrameType | None) -> None:
        sys.exit(128 + number)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self.interrupted = True
        raise KeyboardInterrupt

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Puts back what there was."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
