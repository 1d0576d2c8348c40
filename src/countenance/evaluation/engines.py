"""Where the work is done: in processes on this machine, or on a cluster through Ray. The results are the same."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from importlib.util import find_spec
from multiprocessing import get_context, parent_process
from socket import create_connection
from threading import Event, Thread, current_thread, main_thread
from typing import Any, Literal, Protocol

from countenance.errors import BadValue, DependencyMissing, WorkerLost
from countenance.evaluation.work import one_thread

EngineName = Literal["local", "ray"]
_TERMINATED = 143
_ANSWER_S = 5.0
_told_to_stop = Event()


class Task(Protocol):
    """Something that a worker does; it can be pickled."""

    def run(self) -> str:
        """Do it; returns a name for the progress bar."""
        ...


def run_tasks(
    tasks: Sequence[Task],
    engine: EngineName = "local",
    workers: int | None = None,
    address: str | None = None,
) -> Iterator[str]:
    """Do all tasks; gives their names as they are done. Whoever stops early stops the work.

    Args:
        tasks: independent of each other.
        engine: "ray" needs the package, and on a cluster folders that all its machines share.
        workers: processes, of one thread each; one a core by default.
        address: of a Ray cluster; a cluster on this machine by default.

    Raises:
        DependencyMissing: Ray.
        BadValue: no cluster at that address.
        WorkerLost: a process ended without a word, as for want of memory.
    """
    if not tasks:
        return iter(())
    count = max(1, min(len(tasks), workers or os.cpu_count() or 1))
    return _ray(tasks, count, address) if engine == "ray" else _local(tasks, count)


def _local(tasks: Sequence[Task], workers: int) -> Iterator[str]:
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _start)
    futures: list[Future[str]] = []
    try:
        with _deaf_to_ctrl_c():
            futures += [pool.submit(_run_until_told, task) for task in tasks]
        for future in as_completed(futures):
            yield future.result()
    except BrokenProcessPool as error:
        raise WorkerLost(workers) from error
    finally:
        with _deaf_to_ctrl_c():  # a second one would leave processes behind
            if not all(future.done() for future in futures):
                _terminate(pool)
            pool.shutdown(cancel_futures=True)


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Processes that are started here stay deaf, even before they come to :func:`_start`."""
    if current_thread() is not main_thread():  # which alone may say so
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        if before is not None:  # as where Python runs within another program
            signal.signal(signal.SIGINT, before)


def _terminate(pool: ProcessPoolExecutor) -> None:
    """Whoever still works is told to stop, as some cases take minutes; what is done lies in files."""
    for process in list((pool._processes or {}).values()):
        process.terminate()


def _start() -> None:
    """Ctrl-C is for the process that started this one; SIGTERM stops it, once half-written files are removed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()
    one_thread()
    signal.signal(signal.SIGTERM, _tell_to_stop)


def _end_with_parent() -> None:
    """Nobody is left to work for where the process that started this one was killed."""
    if parent := parent_process():
        parent.join()
        os._exit(1)


def _tell_to_stop(*_: object) -> None:
    """Once: another signal (a whole group's, then :func:`_terminate`'s) must not break off the clearing up."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _told_to_stop.set()
    sys.exit(_TERMINATED)


def _run_until_told(task: Task) -> str:
    """The pool takes SystemExit for a result, and hands out the next task."""
    try:
        if _told_to_stop.is_set():
            sys.exit(_TERMINATED)
        return task.run()
    except SystemExit:
        os._exit(_TERMINATED)


def _run(task: Task) -> str:
    return task.run()


def _ray(tasks: Sequence[Task], workers: int, address: str | None) -> Iterator[str]:
    if find_spec("ray") is None:
        raise DependencyMissing("ray", "cluster", "--engine ray")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody is told that it runs, unless asked to be
    import ray

    _expect_cluster(address)
    settings: dict[str, Any] = {"address": address} if address else {"address": "local", "num_cpus": workers}
    try:
        ray.init(
            **settings,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env={"env_vars": {"OMP_NUM_THREADS": "1"}},
        )
        remote: Any = ray.remote(num_cpus=1)(_run)
        waiting = [remote.remote(task) for task in tasks]
        while waiting:
            done, waiting = ray.wait(waiting)
            yield ray.get(done[0])
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error
    except ray.exceptions.RayError as error:
        raise WorkerLost(workers) from error
    except ConnectionError as error:
        raise _no_cluster(address) from error
    finally:
        ray.shutdown()


def _expect_cluster(address: str | None) -> None:
    """Ray itself would try for minutes."""
    if address in (None, "auto"):
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        create_connection((host, int(port)), _ANSWER_S).close()
    except (OSError, OverflowError, ValueError) as error:
        raise _no_cluster(address) from error


def _no_cluster(address: str | None) -> BadValue:
    return BadValue(
        f"no Ray cluster answers at {address}; give HOST:PORT that `ray start --head` tells, and set "
        "RAY_AUTH_MODE=token where it asks for a token"
    )
