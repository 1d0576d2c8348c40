"""How many threads the libraries that compute start, and how these wait for one another.

The libraries read environment variables while they are loaded, so that this comes first: ``countenance/__init__.py``
calls it. Whoever sets one of the variables keeps its value.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def share_cores(environment: MutableMapping[str, str] = os.environ) -> None:
    """Make threads that wait sleep, and start no more of them than this process has cores.

    A thread that spins while it waits takes the core from the very thread that it waits for, as soon as other work
    wants a core, too; a minute's work then takes ten. OpenMP (PyTorch, whose count OpenVINO is given) can be told to
    sleep. OpenBLAS (NumPy, SciPy) can't; its products are small here, so that one thread does them.

    The count does not depend on how busy the machine is: sums are split among threads, and the same command would
    then give other last digits each time.
    """
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    environment.setdefault("OPENBLAS_NUM_THREADS", "1")
    cores = usable_cores()
    if cores < (os.cpu_count() or 1):
        environment.setdefault("OMP_NUM_THREADS", str(cores))


def usable_cores(quota: Path = _QUOTA) -> int:
    """Cores that this process may use: those that it may run on, and no more than its container's share.

    Args:
        quota: ``cpu.max`` of the control group: microseconds, or "max", of each period of so many.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        allowed, period = (int(number) for number in quota.read_text().split())
    except (OSError, ValueError):  # no such system, or no limit
        return cores
    return min(cores, max(1, math.ceil(allowed / period)))


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread of PyTorch's for what is inside: thousands of tiny products, which several only make slower."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
