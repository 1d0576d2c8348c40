"""Workers: their errors come home, and they end when they are no longer wanted."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import countenance.errors
from countenance.errors import BadValue, CountenanceError, DependencyMissing, MediaUnreadable, WorkerLost
from countenance.evaluation import engines
from countenance.evaluation.engines import run_tasks

NAP_S = 60


@dataclass(frozen=True)
class Job:
    """Does as its name says, and leaves a file."""

    name: str
    folder: Path

    def run(self) -> str:
        try:
            (self.folder / f"{self.name}-{os.getpid()}").touch()
            if self.name == "fails":
                raise MediaUnreadable("film.mp4", "it is no video")
            if self.name == "dies":
                os._exit(9)
            if self.name == "sleeps":
                time.sleep(NAP_S)
        finally:
            if self.name == "sleeps":
                (self.folder / f"woken-{os.getpid()}").touch()
        return self.name


def pids(folder: Path, name: str) -> set[int]:
    return {int(path.name.rpartition("-")[2]) for path in folder.glob(f"{name}-*")}


def waited_for(folder: Path, name: str, count: int = 1) -> set[int]:
    end = time.monotonic() + 60
    while len(pids(folder, name)) < count and time.monotonic() < end:
        time.sleep(0.05)
    return pids(folder, name)


def ended(process: int) -> bool:
    """It is gone, or a corpse that nobody has buried yet."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            os.kill(process, 0)
            if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


def kinds(of: type[CountenanceError] = CountenanceError) -> Iterator[type[CountenanceError]]:
    yield of
    for kind in of.__subclasses__():
        yield from kinds(kind)


def test_every_error_survives_the_way_from_a_worker() -> None:
    errors = [
        MediaUnreadable("film.mp4", "it is no video"),
        DependencyMissing("ray", "cluster", "this"),
        countenance.errors.UnknownName("model", "x", ["xy"]),
        countenance.errors.TrainingDiverged(3, float("nan"), Path("x")),
        *[kind.__new__(kind, "what was wrong") for kind in kinds()],
    ]
    for error in errors:
        again = pickle.loads(pickle.dumps(error))  # noqa: S301
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert again.__dict__ == error.__dict__


def test_nothing_to_do_starts_nobody(tmp_path: Path) -> None:
    assert list(run_tasks([])) == []
    assert list(run_tasks([], "ray")) == []


def test_workers_do_all_tasks(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    assert sorted(run_tasks([Job(name, tmp_path) for name in "abc"], workers=2)) == ["a", "b", "c"]
    assert len([*tmp_path.iterdir()]) == 3
    assert signal.getsignal(signal.SIGINT) is before


def test_an_error_of_a_task_ends_the_others(tmp_path: Path) -> None:
    tasks = [Job("sleeps", tmp_path), Job("fails", tmp_path), *[Job("sleeps", tmp_path)] * 3]
    with pytest.raises(MediaUnreadable, match=r"cannot read film\.mp4: it is no video; check"):
        list(run_tasks(tasks, workers=2))
    assert all(ended(process) for process in pids(tmp_path, "sleeps"))
    assert pids(tmp_path, "woken") == pids(tmp_path, "sleeps"), "each could clear away what it had begun"


def test_a_worker_that_ends_without_a_word(tmp_path: Path) -> None:
    with pytest.raises(WorkerLost, match="the same command goes on where it stopped"):
        list(run_tasks([Job("sleeps", tmp_path), Job("dies", tmp_path)], workers=2))
    assert all(ended(process) for process in pids(tmp_path, "sleeps"))


def test_whoever_stops_early_stops_the_work(tmp_path: Path) -> None:
    names = run_tasks([Job("a", tmp_path), *[Job("sleeps", tmp_path)] * 3], workers=1)
    assert next(names) == "a"
    begun = time.monotonic()
    names.close()  # type: ignore[attr-defined]
    assert time.monotonic() - begun < NAP_S, "it waited for none of them"
    assert all(ended(process) for process in pids(tmp_path, "sleeps"))


SCRIPT = """
import sys
from pathlib import Path
from test_engines import Job
from countenance.evaluation.engines import run_tasks
if __name__ == "__main__":
    import signal
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts with & ignores Ctrl-C
    print(list(run_tasks([Job("sleeps", Path(sys.argv[1]))] * 4, workers=2)))
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")
@pytest.mark.parametrize(
    ("number", "to_all"), [("SIGINT", True), ("SIGTERM", False), ("SIGTERM", True), ("SIGKILL", False)]
)
def test_no_process_is_left_after_a_signal(tmp_path: Path, number: str, to_all: bool) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    whole = subprocess.Popen(
        [sys.executable, str(tmp_path / "script.py"), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": path},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    workers = waited_for(tmp_path, "sleeps", 2)
    assert len(workers) == 2
    (os.killpg if to_all else os.kill)(whole.pid, getattr(signal, number))
    _, said = whole.communicate(timeout=120)
    assert all(ended(process) for process in workers)
    if number != "SIGKILL":
        assert pids(tmp_path, "woken") == workers
    if number == "SIGTERM":
        assert whole.returncode == 143
        assert said == ""


def test_ray_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "find_spec", lambda _: None)
    with pytest.raises(DependencyMissing, match=r"countenance\[cluster\]"):
        list(run_tasks([Job("a", tmp_path)], "ray"))


@pytest.mark.slow
def test_errors_come_home_from_ray_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="Ray is not installed")
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)
    assert sorted(run_tasks([Job(name, tmp_path) for name in "abc"], "ray", 2)) == ["a", "b", "c"]
    with pytest.raises(MediaUnreadable, match=r"^cannot read film\.mp4: it is no video; check"):
        list(run_tasks([Job("fails", tmp_path)], "ray", 1))
    with pytest.raises(WorkerLost):
        list(run_tasks([Job("dies", tmp_path)], "ray", 1))
    with pytest.raises(BadValue, match=r"no Ray cluster answers at 127\.0\.0\.1:9; give HOST:PORT"):
        list(run_tasks([Job("a", tmp_path)], "ray", 1, "127.0.0.1:9"))
