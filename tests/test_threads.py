"""Threads beside other work: variables that the libraries read, and that they do read them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from countenance.threads import one_thread, share_cores, usable_cores

COUNTED = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_WAIT_POLICY")


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("max 100000", 4), ("200000 100000", 2), ("150000 100000", 2), ("5000 100000", 1), ("900000 100000", 4)],
)
def test_a_containers_share_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, quota: str, cores: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2, 3}, raising=False)
    (tmp_path / "cpu.max").write_text(quota + "\n")
    assert usable_cores(tmp_path / "cpu.max") == cores
    assert usable_cores(tmp_path / "absent") == 4


def test_threads_are_counted_only_where_some_cores_are_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    for cores, expected in ((8, None), (3, "3")):
        monkeypatch.setattr("countenance.threads.usable_cores", lambda cores=cores: cores)
        environment = dict[str, str]()
        share_cores(environment)
        assert environment.get("OMP_NUM_THREADS") == expected


def test_what_somebody_set_stays() -> None:
    own = {"OMP_NUM_THREADS": "7", "OMP_WAIT_POLICY": "ACTIVE", "OPENBLAS_NUM_THREADS": "3"}
    environment = dict(own)
    share_cores(environment)
    assert environment == own


def test_the_libraries_obey() -> None:
    """In a fresh process: PyTorch's OpenMP prints what it took from the environment when it is loaded."""
    pytest.importorskip("torch")
    environment = {name: value for name, value in os.environ.items() if name not in COUNTED}
    code = "import countenance, torch"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment, "OMP_DISPLAY_ENV": "TRUE"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.search(r"OMP_WAIT_POLICY *= *'PASSIVE'", done.stderr)


def test_one_thread_ends_where_it_was() -> None:
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
