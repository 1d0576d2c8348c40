"""Where the work is done: in processes on this machine, or on a cluster through Ray. The results are the same."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from importlib.util import find_spec
from socket import create_connection
from typing import Any, Literal, Protocol

from countenance.errors import BadValue, DependencyMissing, WorkerLost
from countenance.evaluation.work import one_thread
from countenance.processes import in_processes

EngineName = Literal["local", "ray"]
_ANSWER_S = 5.0


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
    with closing(in_processes(_run, tasks, workers, one_thread)) as results:
        for _, name in results:
            if isinstance(name, WorkerLost):
                raise name
            yield name


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
