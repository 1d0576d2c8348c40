"""Clips are known again by source and content, whatever happens between and during runs."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

import filmed
from countenance.data import prepare as module
from countenance.data.dataset import MANIFEST, Clip, Dataset, Manifest
from countenance.data.prepare import PrepareOptions, prepare
from countenance.errors import BadValue, OutputUnwritable

SMALL = PrepareOptions(size=32, shortest=1)
TURNS = {"one": [0, 2, 4], "two": [0, -3], "three": [0, 5, 8, 9]}


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same face, for 3, 2 and 4 frames."""
    folder = tmp_path_factory.mktemp("films")
    return {name: filmed.film(folder / f"{name}.mp4", turns) for name, turns in TURNS.items()}


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Sources that are worked on, in order."""
    names: list[str] = []
    whole = module._prepare_clip

    def noted(task: Any) -> Any:
        names.append(task.source.name)
        return whole(task)

    monkeypatch.setattr(module, "_prepare_clip", noted)
    return names


def frames(folder: Path) -> dict[str, int]:
    """What is there, by source; it must be whole."""
    manifest = Manifest.read(folder)
    for split in {clip.split for clip in manifest.clips}:
        dataset = Dataset(folder, split)
        for clip in dataset.clips:
            counts = len(dataset.frames(clip)), len(dataset.motion(clip)), len(dataset.landmarks(clip))
            assert set(counts) == {clip.frames}
    return {Path(clip.source).name: clip.frames for clip in manifest.clips}


def test_a_file_that_sorts_before_others_changes_nothing_of_theirs(
    films: dict[str, Path], tmp_path: Path, made: list[str]
) -> None:
    """All have one stem, so that only their place would tell them apart."""
    for name, part in (("two", "m"), ("three", "z")):
        (tmp_path / "in" / part).mkdir(parents=True)
        shutil.copy(films[name], tmp_path / "in" / part / "clip.mp4")
    before = prepare([tmp_path / "in"], tmp_path / "out", SMALL).clips
    (tmp_path / "in" / "a").mkdir()
    shutil.copy(films["one"], tmp_path / "in" / "a" / "clip.mp4")
    after = prepare([tmp_path / "in"], tmp_path / "out", SMALL).clips
    assert len(made) == 3
    assert {clip.source: clip for clip in before}.items() <= {clip.source: clip for clip in after}.items()
    assert sorted(clip.frames for clip in after) == [2, 3, 4]
    frames(tmp_path / "out")


def test_a_replaced_file_is_made_anew_and_a_touched_one_is_not(
    films: dict[str, Path], tmp_path: Path, made: list[str]
) -> None:
    clip = tmp_path / "in" / "ANNA_01.mp4"
    clip.parent.mkdir()
    shutil.copy(films["one"], clip)
    prepare([clip], tmp_path / "out", SMALL)
    os.utime(clip, (1, 1))
    prepare([clip], tmp_path / "out", SMALL)
    assert len(made) == 1
    shutil.copy(films["three"], clip)
    again = prepare([clip], tmp_path / "out", SMALL)
    assert len(made) == 2
    assert [c.name for c in again.clips] == ["ANNA_01"]
    assert frames(tmp_path / "out") == {"ANNA_01.mp4": 4}
    clip.write_bytes(b"no video any more")
    assert prepare([clip], tmp_path / "out", SMALL).clips == (), "nothing of an older film is left"
    assert list(Manifest.read(tmp_path / "out").failed) == [str(clip)]


def test_a_later_run_adds_to_what_is_there(films: dict[str, Path], tmp_path: Path, made: list[str]) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        shutil.copy(films[name], tmp_path / name / "clip.mp4")
        (tmp_path / name / "broken.mp4").write_bytes(b"no video")
        manifest = prepare([tmp_path / name], tmp_path / "out", SMALL)
    assert sorted((clip.name, clip.frames) for clip in manifest.clips) == [("clip", 3), ("clip_2", 2)]
    assert len(manifest.failed) == 2
    (tmp_path / "one" / "broken.mp4").unlink()
    manifest = prepare([tmp_path / "two"], tmp_path / "out", SMALL)
    assert [Path(source).parent.name for source in manifest.failed] == ["two"]
    assert made.count("clip.mp4") == 2
    frames(tmp_path / "out")


def test_a_moved_file_is_known_and_a_copy_is_another_clip(
    films: dict[str, Path], tmp_path: Path, made: list[str]
) -> None:
    first = tmp_path / "in" / "clip.mp4"
    first.parent.mkdir()
    shutil.copy(films["one"], first)
    prepare([first], tmp_path / "out", SMALL)
    (tmp_path / "test").mkdir()
    moved = first.rename(tmp_path / "test" / "ANNA_07.mp4")
    (clip,) = prepare([moved], tmp_path / "out", SMALL).clips
    assert len(made) == 1
    assert (clip.source, clip.identity, clip.split) == (str(moved), "ANNA", "test")
    shutil.copy(moved, first)
    assert len(prepare([first], tmp_path / "out", SMALL).clips) == 2
    assert len(made) == 2


def test_nobody_comes_into_two_splits_by_another_share(films: dict[str, Path], tmp_path: Path) -> None:
    for name in ("ANNA_01", "ANNA_02"):
        shutil.copy(films["one"], tmp_path / f"{name}.mp4")
    prepare([tmp_path / "ANNA_01.mp4"], tmp_path / "out", replace(SMALL, test_share=0))
    clips = prepare([tmp_path / "ANNA_02.mp4"], tmp_path / "out", replace(SMALL, test_share=1)).clips
    assert [clip.split for clip in clips] == ["train", "train"]


def test_a_dataset_of_version_1_goes_on(films: dict[str, Path], tmp_path: Path, made: list[str]) -> None:
    prepare([films["one"], films["two"]], tmp_path, SMALL)
    content = json.loads((tmp_path / MANIFEST).read_text())
    for clip in content["clips"]:
        del clip["sha256"], clip["source_state"]
    (tmp_path / MANIFEST).write_text(json.dumps({**content, "version": 1}))
    assert Dataset(tmp_path).clips[0].sha256 == ""
    manifest = prepare([films["one"], films["three"]], tmp_path, SMALL)
    assert made == ["one.mp4", "two.mp4", "three.mp4"]
    assert [bool(clip.sha256) for clip in manifest.clips] == [True, True, False], "'two' was not looked at"
    assert json.loads((tmp_path / MANIFEST).read_text())["version"] == 2


def test_whatever_one_clip_brings_about_the_others_are_made(
    films: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = module._cut

    def cut(task: Any, tracker: Any) -> Clip:
        if task.source.stem == "two":
            raise PermissionError(errno.EPERM, "Operation not permitted")
        return whole(task, tracker)

    monkeypatch.setattr(module, "_cut", cut)
    manifest = prepare([films["one"], films["two"], films["three"]], tmp_path, SMALL)
    assert [clip.name for clip in manifest.clips] == ["one", "three"]
    assert "PermissionError" in manifest.failed[str(films["two"])]


def test_a_damaged_film_of_the_trials(shared: Path, films: dict[str, Path], tmp_path: Path) -> None:
    damaged = shared / "trials" / "damaged_moov.mp4"
    manifest = prepare([damaged, films["one"]], tmp_path, SMALL)
    assert [clip.name for clip in manifest.clips] == ["one"]
    assert list(manifest.failed) == [str(damaged)]


def test_a_full_disk_keeps_what_is_done(
    films: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare([films["one"]], tmp_path, SMALL)

    def full(*_: object) -> None:
        raise OutputUnwritable(tmp_path, "no space left on device", "free some space")

    with monkeypatch.context() as patch:
        patch.setattr(module, "save_motion", full)
        with pytest.raises(OutputUnwritable, match="no space left"):
            prepare([films["one"], films["two"]], tmp_path, SMALL)
    assert frames(tmp_path) == {"one.mp4": 3}
    prepare([films["one"], films["two"]], tmp_path, SMALL)
    assert frames(tmp_path) == {"one.mp4": 3, "two.mp4": 2}


# --- processes that are killed

SCRIPT = """
import sys, time
from pathlib import Path
import psutil
from countenance.data.prepare import PrepareOptions, prepare

def held(results, total):
    for number, result in enumerate(results, 1):
        yield result
        if number == int(count):
            children = psutil.Process().children()
            Path(sign).with_suffix(".part").write_text(" ".join(str(c.pid) for c in children))
            Path(sign).with_suffix(".part").rename(sign)
            time.sleep(600)

if __name__ == "__main__":
    clips, out, sign, count, workers = sys.argv[1:]
    options = PrepareOptions(size=32, shortest=1)
    prepare([Path(clips)], Path(out), options, workers=int(workers), done=held)
"""


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Callable[..., tuple[subprocess.Popen[str], list[int]]]]:
    """Starts a run that stops to wait after some clips; gives it and its workers."""
    begun: list[subprocess.Popen[str]] = []
    (tmp_path / "script.py").write_text(SCRIPT)

    def start(
        clips: Path, out: Path, count: int, workers: int = 1
    ) -> tuple[subprocess.Popen[str], list[int]]:
        sign = tmp_path / "sign"
        command = [sys.executable, tmp_path / "script.py", clips, out, sign, count, workers]
        run = subprocess.Popen([str(part) for part in command], stderr=subprocess.PIPE, text=True)
        begun.append(run)
        while not sign.exists():
            assert run.poll() is None, run.communicate()[1]
            time.sleep(0.02)
        return run, [int(pid) for pid in sign.read_text().split()]

    yield start
    for run in begun:
        run.kill()
        run.communicate()


def test_a_killed_run_goes_on_with_what_it_had(
    films: dict[str, Path], tmp_path: Path, made: list[str], held: Any
) -> None:
    (tmp_path / "in").mkdir()
    for i in range(9):
        shutil.copy(films["two"], tmp_path / "in" / f"P{i}_01.mp4")
    run, _ = held(tmp_path / "in", tmp_path / "out", 3)
    with pytest.raises(OutputUnwritable, match="another process is at work in it"):
        prepare([tmp_path / "in"], tmp_path / "out", SMALL)
    run.kill()
    run.wait()
    assert list(frames(tmp_path / "out")) == ["P0_01.mp4", "P1_01.mp4", "P2_01.mp4"]
    prepare([tmp_path / "in"], tmp_path / "out", SMALL)
    assert made == [f"P{i}_01.mp4" for i in range(3, 9)]
    assert len(frames(tmp_path / "out")) == 9


def test_no_worker_outlives_a_killed_run(films: dict[str, Path], tmp_path: Path, held: Any) -> None:
    (tmp_path / "in").mkdir()
    for i in range(4):
        shutil.copy(films["two"], tmp_path / "in" / f"P{i}_01.mp4")
    run, pids = held(tmp_path / "in", tmp_path / "out", 1, workers=2)
    children = [psutil.Process(pid) for pid in pids]
    assert len(children) >= 2
    run.kill()
    run.wait()
    assert psutil.wait_procs(children, timeout=60)[1] == []


def deadly(task: Any) -> Clip:
    """Some clips kill whoever opens them; each tells that it was tried."""
    with (task.folder / "tried").open("a") as file:
        file.write(f"{task.source.stem}\n")
    if task.source.stem == "two":
        os.kill(os.getpid(), signal.SIGKILL)
    return Clip(task.name, task.identity, task.split, 3, 25.0, str(task.source), (0, 0, 9), 0, False)


@pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")
def test_a_clip_that_kills_its_process_twice_is_left_out(
    films: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_prepare_clip", deadly)
    manifest = prepare(list(films.values()), tmp_path, SMALL, workers=2)
    assert [clip.name for clip in manifest.clips] == ["one", "three"]
    assert "ended without a word twice" in manifest.failed[str(films["two"])]
    assert (tmp_path / "tried").read_text().split().count("two") == 2


def test_options_of_another_dataset_are_refused(films: dict[str, Path], tmp_path: Path) -> None:
    prepare([films["one"]], tmp_path, SMALL)
    with pytest.raises(BadValue, match="same options"):
        prepare([films["two"]], tmp_path, replace(SMALL, crop_scale=1.2))
    assert frames(tmp_path) == {"one.mp4": 3}
