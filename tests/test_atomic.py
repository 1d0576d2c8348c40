"""Outputs are whole or absent, never an input's end, and what killed runs leave is cleared."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from countenance.atomic import (
    check_folder_writable,
    check_writable,
    expect_other_than_inputs,
    make_folder,
    replacing,
    replacing_folder,
)
from countenance.errors import OutputUnwritable


def put(path: Path, text: str = "new") -> None:
    with replacing(path) as temporary:
        temporary.write_text(text)


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """64 KiB and a few files."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k,nr_inodes=4", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root may mount a small disk")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


# Links, permissions, special files.


def test_a_link_stays_and_its_target_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    target = tmp_path / "elsewhere" / "real.txt"
    target.write_text("old")
    (tmp_path / "first.txt").symlink_to("elsewhere/real.txt")
    (tmp_path / "second.txt").symlink_to(tmp_path / "first.txt")
    put(tmp_path / "second.txt")
    assert target.read_text() == "new"
    assert (tmp_path / "first.txt").is_symlink()
    assert (tmp_path / "second.txt").is_symlink()
    assert names(tmp_path / "elsewhere") == ["real.txt"]


def test_a_dangling_link_makes_its_target(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "out.txt"
    link.symlink_to("elsewhere/not yet.txt")
    put(link)
    assert link.is_symlink()
    assert (tmp_path / "elsewhere" / "not yet.txt").read_text() == "new"
    lost = tmp_path / "lost.txt"
    lost.symlink_to("nowhere/a.txt")
    with pytest.raises(OutputUnwritable, match=r"no folder .*nowhere; make it first"):
        put(lost)


def test_a_link_to_another_disk(tmp_path: Path, small_disk: Path) -> None:
    (small_disk / "real.txt").write_text("old")
    (tmp_path / "out.txt").symlink_to(small_disk / "real.txt")
    put(tmp_path / "out.txt")
    assert (small_disk / "real.txt").read_text() == "new"


def test_links_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a.txt").symlink_to("b.txt")
    (tmp_path / "b.txt").symlink_to("a.txt")
    for refuse in (check_writable, put, check_folder_writable, make_folder):
        with pytest.raises(OutputUnwritable, match="link that leads back to itself"):
            refuse(tmp_path / "a.txt")


def test_a_linked_folder_of_frames(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o750)
    (tmp_path / "real").chmod(0o750)
    (tmp_path / "link").symlink_to("real")
    with replacing_folder(tmp_path / "link") as temporary:
        (temporary / "0.png").write_text("frame")
    assert (tmp_path / "link").is_symlink()
    assert names(tmp_path / "real") == ["0.png"]
    assert stat.S_IMODE((tmp_path / "real").stat().st_mode) == 0o750


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755])
def test_permissions_of_what_is_replaced_are_kept(tmp_path: Path, mode: int) -> None:
    (tmp_path / "a.txt").write_text("old")
    (tmp_path / "a.txt").chmod(mode)
    put(tmp_path / "a.txt")
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == mode


def test_new_files_have_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "usual.txt").write_text("by hand")
    put(tmp_path / "a.txt")
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "usual.txt").stat().st_mode


def test_devices_pipes_and_folders_stay_what_they_are(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "nothing.txt").symlink_to("/dev/null")
    (tmp_path / "folder.txt").mkdir()
    for name, says in (
        ("pipe.txt", "device or pipe"),
        ("nothing.txt", "device or pipe"),
        ("folder.txt", "fol"),
    ):
        with pytest.raises(OutputUnwritable, match=says):
            put(tmp_path / name)
    with pytest.raises(OutputUnwritable, match="device or pipe"):
        put(Path("/dev/null"))
    assert Path("/dev/null").is_char_device()
    assert (tmp_path / "pipe.txt").is_fifo()
    assert names(tmp_path) == ["folder.txt", "nothing.txt", "pipe.txt"]


# An output that is also an input.


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    path = tmp_path / "photos" / "a.jpg"
    path.write_text("photo")
    (tmp_path / "link.jpg").symlink_to("photos/a.jpg")
    (tmp_path / "hard.jpg").hardlink_to(path)
    (tmp_path / "other").symlink_to("photos")
    return path


@pytest.mark.parametrize(
    "output", ["photos/a.jpg", "link.jpg", "hard.jpg", "other/a.jpg", "photos/../photos/a.jpg"]
)
def test_an_output_that_is_an_input(tmp_path: Path, photo: Path, output: str) -> None:
    with pytest.raises(OutputUnwritable, match="is also an input; give another -o"):
        expect_other_than_inputs(tmp_path / output, [tmp_path / "missing.mp4", photo])
    with pytest.raises(OutputUnwritable, match="is also an input"):
        expect_other_than_inputs(photo, [tmp_path / output])


def test_a_relative_name_of_an_input(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photo.parent)
    with pytest.raises(OutputUnwritable, match="is also an input"):
        expect_other_than_inputs(Path("./a.jpg"), [photo])


def test_a_folder_that_holds_an_input(tmp_path: Path, photo: Path) -> None:
    for folder in ("photos", "other", "."):
        with pytest.raises(OutputUnwritable, match=r"it holds the input .*a\.jpg; give another -o"):
            expect_other_than_inputs(tmp_path / folder, [photo])


def test_outputs_beside_and_below_inputs_are_fine(tmp_path: Path, photo: Path) -> None:
    (tmp_path / "photos" / "b.jpg").write_text("photo")
    for output in ("photos/new.jpg", "photos/b.jpg", "photos/frames", "new.jpg"):
        expect_other_than_inputs(tmp_path / output, [photo, tmp_path / "photos"])


def test_inputs_that_cannot_be_are_passed_over(tmp_path: Path, photo: Path) -> None:
    unreadable = [tmp_path / "nul\0.jpg", tmp_path / ("a" * 300), photo / "below"]
    expect_other_than_inputs(tmp_path / "photos" / "a.jpg", unreadable)
    with pytest.raises(OutputUnwritable, match="also an input"):
        expect_other_than_inputs(photo, [*unreadable, photo])


# What can't be written says so in one line, and leaves nothing.


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("a" * 260 + ".txt", "give a shorter name"),
        ("d/" * 2100 + "a.txt", "give a shorter name"),
        ("nul\0.txt", "no file can have this name"),
        ("half\ud800.txt", "no file can have this name"),
        ("missing/a.txt", "mkdir -p"),
        ("file/a.txt", "file is no folder; choose another folder"),
        ("file/below/a.txt", "file is no folder; choose another folder"),
    ],
)
def test_paths_that_cannot_be(tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "file").write_text("no folder")
    for refuse in (check_writable, check_folder_writable, put):
        with pytest.raises(OutputUnwritable, match=says) as told:
            refuse(tmp_path / name)
        str(told.value).encode()
        assert "\n" not in str(told.value)
    assert names(tmp_path) == ["file"]


def test_the_longest_name_that_the_system_allows(tmp_path: Path) -> None:
    for name in ("a" * 251 + ".txt", "a." + "b" * 253, "é" * 127):
        put(tmp_path / name)
        assert (tmp_path / name).read_text() == "new"
    with replacing_folder(tmp_path / ("f" * 255)) as temporary:
        (temporary / "0.png").write_text("frame")
    assert len(names(tmp_path)) == 4


def test_folders_in_use_are_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputUnwritable, match="in use"):
        check_folder_writable(Path())


def test_a_working_folder_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    for refuse in (check_writable, check_folder_writable, make_folder):
        with pytest.raises(OutputUnwritable, match="no such file or directory"):
            refuse(Path("a.txt"))


def test_make_folder_over_a_file(tmp_path: Path) -> None:
    put(tmp_path / "a.txt")
    with pytest.raises(OutputUnwritable, match="it is a file"):
        make_folder(tmp_path / "a.txt")
    with pytest.raises(OutputUnwritable, match="not a directory"):
        make_folder(tmp_path / "a.txt" / "b")
    make_folder(tmp_path / "b" / "c")
    make_folder(tmp_path / "b" / "c")


def test_a_disk_without_files_to_give(small_disk: Path) -> None:
    for i in range(3):
        (small_disk / f"{i}").write_text("")
    with pytest.raises(OutputUnwritable, match="free some space"):
        put(small_disk / "a.txt")
    with pytest.raises(OutputUnwritable, match="free some space"), replacing_folder(small_disk / "frames"):
        pass
    assert names(small_disk) == ["0", "1", "2"]


def test_a_disk_that_fills(small_disk: Path) -> None:
    put(small_disk / "a.txt", "old")
    with pytest.raises(OutputUnwritable, match=r"no space left.*free some space"):
        put(small_disk / "a.txt", "x" * 100_000)
    assert names(small_disk) == ["a.txt"]
    assert (small_disk / "a.txt").read_text() == "old"


def test_a_full_disk_behind_another_error(tmp_path: Path) -> None:
    def fails(number: int) -> None:
        try:
            raise OSError(number, os.strerror(number))
        except OSError:
            raise RuntimeError("unexpected pos 704 vs 598")  # noqa: B904 - as torch does

    with pytest.raises(OutputUnwritable, match="free some space"), replacing(tmp_path / "a.pt"):
        fails(errno.ENOSPC)
    with pytest.raises(RuntimeError, match="unexpected"), replacing(tmp_path / "a.pt"):
        fails(errno.EPERM)
    assert names(tmp_path) == []


def as_nobody(code: str, folder: Path) -> str:
    """What a process without root's rights prints."""
    prelude = "import os\nfrom pathlib import Path\nfrom countenance.atomic import *\n"
    prelude += "from countenance.errors import *\n"
    prelude += "if os.geteuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
    prelude += f"folder = Path({str(folder)!r})\n"
    done = subprocess.run(
        [sys.executable, "-c", prelude + textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_folders_and_files_that_are_closed(tmp_path: Path) -> None:
    for above in (tmp_path, *tmp_path.parents):
        if not above.stat().st_mode & 0o001 and os.geteuid() == 0:
            above.chmod(above.stat().st_mode | 0o001)
    for name, mode in (("read only", 0o555), ("no entry", 0o000), ("no listing", 0o733)):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(mode)
    (tmp_path / "no listing" / "fixed.txt").write_text("old")
    (tmp_path / "no listing" / "fixed.txt").chmod(0o444)
    told = as_nobody(
        """
        for name in ("read only/a.txt", "no entry/a.txt", "no entry/below/a.txt", "no listing/fixed.txt"):
            try:
                check_writable(folder / name)
            except OutputUnwritable as error:
                print(error)
        with replacing(folder / "no listing" / "b.txt") as temporary:
            temporary.write_text("new")
        """,
        tmp_path,
    )
    for name in ("read only", "no entry"):
        (tmp_path / name).chmod(0o755)
    lines = told.splitlines()
    assert len(lines) == 4
    assert "read only is not writable" in lines[0]
    assert all("permission denied" in line for line in lines[1:3])
    assert "write-protected" in lines[3]
    assert names(tmp_path / "no listing") == ["b.txt", "fixed.txt"]


# Dead and living runs.

_RUN = """
import sys, time
from pathlib import Path
from countenance.atomic import replacing, replacing_folder
folder = Path(sys.argv[1])
with replacing(folder / "out.mp4") as file, replacing_folder(folder / "frames") as frames:
    file.write_text("half")
    (frames / "0.png").write_text("frame")
    print("writing", flush=True)
    sys.stdin.readline()
"""


def running(folder: Path) -> subprocess.Popen[str]:
    run = subprocess.Popen(
        [sys.executable, "-c", _RUN, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert run.stdout is not None
    assert run.stdout.readline() == "writing\n"
    return run


def test_what_killed_runs_leave_is_cleared_by_the_next(tmp_path: Path) -> None:
    run = running(tmp_path)
    left = names(tmp_path)
    assert len(left) == 2
    run.send_signal(signal.SIGKILL)
    run.communicate()
    assert names(tmp_path) == left
    put(tmp_path / "new.txt")
    assert names(tmp_path) == ["new.txt"]


def test_living_runs_are_left_alone(tmp_path: Path) -> None:
    run = running(tmp_path)
    put(tmp_path / "new.txt")
    with replacing_folder(tmp_path / "more") as temporary:
        (temporary / "0.png").write_text("frame")
    assert len(names(tmp_path)) == 4
    run.communicate("go on\n")
    assert run.returncode == 0
    assert names(tmp_path) == ["frames", "more", "new.txt", "out.mp4"]
    assert names(tmp_path / "frames") == ["0.png"]


def test_many_at_once_in_one_folder(tmp_path: Path) -> None:
    def work(number: int) -> None:
        for i in range(20):
            put(tmp_path / f"{number}-{i}.txt", f"{number} {i}")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names(tmp_path)) == 80
    assert all(p.read_text() == p.stem.replace("-", " ") for p in tmp_path.iterdir())


def left_behind(folder: Path) -> Path:
    """What a killed run on this machine has left."""
    run = running(folder)
    run.kill()
    run.communicate()
    return next(p for p in folder.iterdir() if p.is_file())


def test_what_only_looks_alike_is_left_alone(tmp_path: Path) -> None:
    ours = left_behind(tmp_path).name
    host = ours.split("-")[1]
    alike = [f".countenance-{host}-draft.mp4", ".countenance-notes", f"x{ours}", f"{ours}.part.txt"]
    elsewhere = ours.replace(host, "0" * 8)
    long_ago = ours.replace(host, "1" * 8)
    for name in (*alike, elsewhere, long_ago):
        (tmp_path / name).write_text("somebody's")
    os.utime(tmp_path / long_ago, (1.0, 1.0))
    (tmp_path / ours).unlink()
    (tmp_path / ours).symlink_to(tmp_path / "x")
    put(tmp_path / "new.txt")
    assert names(tmp_path) == sorted([*alike, elsewhere, ours, "new.txt"])


def test_what_other_users_left_is_left_alone(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")
    left = left_behind(tmp_path)
    os.chown(left, 65534, 65534)
    put(tmp_path / "new.txt")
    assert names(tmp_path) == sorted([left.name, "new.txt"])
