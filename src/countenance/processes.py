"""Work in processes that start afresh, end with the one that started them, and leave Ctrl-C to it."""

from __future__ import annotations

import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from threading import Event, Thread, current_thread, main_thread
from typing import TypeVar

from countenance.errors import WorkerLost

TERMINATED = 143
"""Exit code of whoever is told to stop by SIGTERM."""
_told_to_stop = Event()
T = TypeVar("T")
R = TypeVar("R")


def in_processes(
    work: Callable[[T], R], tasks: Sequence[T], workers: int, start: Callable[[], None] | None = None
) -> Generator[tuple[T, R | WorkerLost], None, None]:
    """Do all tasks; gives each with its result as they are done. Whoever stops early stops the work.

    A process that ends without a word takes the tasks that were in work at that time with it, as nobody knows whose
    fault it was: each of them comes with :class:`WorkerLost`, and the others go on in new processes.

    Args:
        work: what is done; it, tasks and results can be pickled.
        tasks: independent of each other.
        workers: processes.
        start: called once in each of them, before anything else.

    Raises:
        Exception: what ``work`` raises; the others are stopped.
    """
    waiting = deque(tasks)
    while waiting:
        yield from _in_one_pool(work, waiting, min(workers, len(waiting)), start)


def _in_one_pool(
    work: Callable[[T], R], waiting: deque[T], workers: int, start: Callable[[], None] | None
) -> Generator[tuple[T, R | WorkerLost], None, None]:
    """Until all is done, or a process is lost."""
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _start, (start,))
    running: dict[Future[R], T] = {}
    try:
        while waiting or running:
            with _ctrl_c_postponed():
                while waiting and len(running) < workers:
                    running[pool.submit(_run_until_told, work, waiting[0])] = waiting[0]
                    waiting.popleft()
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                result = future.result()
                yield running.pop(future), result
    except BrokenProcessPool as error:
        for task in running.values():
            lost = WorkerLost(workers)
            lost.__cause__ = error
            yield task, lost
    finally:
        with _ctrl_c_postponed():  # a second one would leave processes behind
            if not all(future.done() for future in running):
                _terminate(pool)
            pool.shutdown(cancel_futures=True)


@contextmanager
def _ctrl_c_postponed() -> Iterator[None]:
    """Ctrl-C waits for the end of the block. Processes that are started in it are deaf, before :func:`_start`, too."""
    if current_thread() is not main_thread():  # which alone may say so
        yield
        return
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: pressed.append(number))
    blocks = hasattr(signal, "pthread_sigmask")  # what is blocked stays so in processes that are started
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if blocks else None
    try:
        yield
    finally:
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if before is not None:  # as where Python runs within another program
            signal.signal(signal.SIGINT, before)
        if pressed and callable(before):
            before(signal.SIGINT, None)


def _terminate(pool: ProcessPoolExecutor) -> None:
    """Whoever still works is told to stop, as some tasks take minutes; what is done lies in files."""
    for process in list((pool._processes or {}).values()):
        process.terminate()


def _start(start: Callable[[], None] | None) -> None:
    """Ctrl-C is for the process that started this one; other signals stop it, once half-written files are removed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()
    if start is not None:
        start()
    signal.signal(signal.SIGTERM, _tell_to_stop)
    hang_up = getattr(signal, "SIGHUP", None)  # not on Windows
    if hang_up is not None and signal.getsignal(hang_up) != signal.SIG_IGN:  # as nohup has it
        signal.signal(hang_up, _tell_to_stop)


def _end_with_parent() -> None:
    """Nobody is left to work for where the process that started this one was killed."""
    if parent := parent_process():
        parent.join()
        os._exit(1)


def _tell_to_stop(*_: object) -> None:
    """Once: another signal (a whole group's, then :func:`_terminate`'s) must not break off the clearing up."""
    for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        signal.signal(number, signal.SIG_IGN)
    _told_to_stop.set()
    sys.exit(TERMINATED)


def _run_until_told(work: Callable[[T], R], task: T) -> R:
    """The pool takes SystemExit for a result, and hands out the next task."""
    try:
        if _told_to_stop.is_set():
            sys.exit(TERMINATED)
        return work(task)
    except SystemExit:
        os._exit(TERMINATED)
