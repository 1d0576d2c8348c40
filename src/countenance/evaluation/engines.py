"""Where the work is done: in processes on this machine, or on a cluster through Ray. The results are the same."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from importlib.util import find_spec
from multiprocessing import get_context
from typing import Any, Literal, Protocol

from countenance.errors import DependencyMissing, WorkerLost
from countenance.evaluation.work import one_thread

EngineName = Literal["local", "ray"]


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
        WorkerLost: a process ended without a word, as for want of memory.
    """
    if not tasks:
        return iter(())
    count = max(1, min(len(tasks), workers or os.cpu_count() or 1))
    return _ray(tasks, count, address) if engine == "ray" else _local(tasks, count)


def _local(tasks: Sequence[Task], workers: int) -> Iterator[str]:
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _start)
    try:
        futures = [pool.submit(_run, task) for task in tasks]
        for future in as_completed(futures):
            yield future.result()
    except BrokenProcessPool as error:
        raise WorkerLost(workers) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _start() -> None:
    """A worker finishes what it does when Ctrl-C is pressed; the process that started it stops the rest."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    one_thread()


def _run(task: Task) -> str:
    return task.run()


def _ray(tasks: Sequence[Task], workers: int, address: str | None) -> Iterator[str]:
    if find_spec("ray") is None:
        raise DependencyMissing("ray", "cluster", "--engine ray")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody is told that it runs, unless asked to be
    import ray

    settings: dict[str, Any] = {"address": address} if address else {"num_cpus": workers}
    ray.init(
        **settings,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        runtime_env={"env_vars": {"OMP_NUM_THREADS": "1"}},
    )
    try:
        remote: Any = ray.remote(num_cpus=1)(_run)
        waiting = [remote.remote(task) for task in tasks]
        while waiting:
            done, waiting = ray.wait(waiting)
            yield ray.get(done[0])
    except ray.exceptions.WorkerCrashedError as error:
        raise WorkerLost(workers) from error
    finally:
        ray.shutdown()
