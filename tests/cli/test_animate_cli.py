"""``countenance animate``: who moves whom, and what is said about it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

import countenance as cn
from countenance.cli.main import main
from countenance.media.video import VideoReader
from countenance.media.writer import VideoWriter
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT
from filmed import film, tilted


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("inputs")
    Image.fromarray(data.astronaut()).save(made / "me.png")
    twins = np.hstack([data.astronaut()[:300], data.astronaut()[:300, ::-1]])
    Image.fromarray(twins).save(made / "twins.png")
    film(made / "driver.mp4", [0, 5, 10, 0])
    neutral = Motion.neutral(ARKIT, 4, 25.0)
    cn.save_motion(made / "jaw.npz", neutral.set(jawOpen=[0, 0.9, 0.9, 0.9]))
    cn.save_motion(made / "lids.npz", neutral.set(eyeBlinkLeft=[0, 1, 1, 1], eyeBlinkRight=[0, 1, 1, 1]))
    return made


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(["animate", *(str(a) for a in arguments), "--model", "geometric"])
    printed = capsys.readouterr()
    return int(stop.value.code or 0), printed.out, printed.err


def frames(path: Path) -> list[np.ndarray]:
    with VideoReader(path) as video:
        return [frame.image.astype(int) for frame in video.frames()]


def test_everybody_moves_with_face_all(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, printed, _ = run(
        capsys, folder / "twins.png", folder / "jaw.npz", "-o", tmp_path / "o.mp4", "--face", "all", "--json"
    )
    assert code == 0
    assert json.loads(printed)["faces"] == 2
    first, *_, last = frames(tmp_path / "o.mp4")
    change = np.abs(last - first).max(axis=(0, 2))
    assert change[:512].max() > 60
    assert change[512:].max() > 60


def test_each_face_follows_its_own_driver(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = (folder / "twins.png", folder / "jaw.npz", folder / "lids.npz", "--face", 1, "--face", 2)
    assert run(capsys, *given, "-o", tmp_path / "o.mp4")[0] == 0
    people = cn.load_portraits(folder / "twins.png", (1, 2))
    first, *_, last = frames(tmp_path / "o.mp4")
    change = np.abs(last - first).mean(axis=2)
    for person, (moves, rests) in zip(people, (("mouth", "eyes"), ("eyes", "mouth")), strict=True):
        left, top, right, bottom = person.box_px.astype(int)
        middle = (top + bottom) // 2
        half = {"eyes": change[top:middle, left:right], "mouth": change[middle:bottom, left:right]}
        assert half[moves].max() > 2 * half[rests].max()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("me.png", "jaw.npz", "lids.npz"), "2 drivers can't move 1 face"),
        (("me.png", "jaw.npz", "--face", "0"), "a number from 1, or all"),
        (("me.png", "jaw.npz", "--face", "one"), "a number from 1, or all"),
        (("me.png",), "source and a driver"),
        (("driver.mp4", "me.png"), "swapped"),
        (("jaw.npz", "me.png"), "swapped"),
        (("jaw.npz", "driver.mp4"), "give a photo first"),
        (("driver.mp4", "jaw.npz", "--face", "all"), "photo only"),
        (("driver.mp4", "jaw.npz", "--fps", "10"), "leave --fps out"),
        (("me.png", "jaw.npz", "--fps", "-1"), "--fps is -1; give 0.1 to 480"),
        (("me.png", "jaw.npz", "--lips", "1000"), "--lips is 1000; give 0 to 5"),
        (("me.png", "jaw.npz", "--reference", "last"), "not auto, first"),
    ],
)
def test_roles_and_numbers_that_cannot_be(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    given: tuple[str, ...],
    says: str,
) -> None:
    arguments = [folder / g if (folder / g).is_file() else g for g in given]
    code, printed, complaint = run(capsys, *arguments, "-o", tmp_path / "o.mp4")
    assert (code, printed) == (2, "")
    assert says in complaint
    assert complaint.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_picture_as_driver_is_reached_and_held(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(tilted(15)).save(tmp_path / "tilted.png")
    code, printed, _ = run(
        capsys, folder / "me.png", tmp_path / "tilted.png", "-o", tmp_path / "o.mp4", "--seconds", 1, "--json"
    )
    assert code == 0
    assert json.loads(printed)["frames"] == 25
    shown = frames(tmp_path / "o.mp4")
    assert np.abs(shown[0] - data.astronaut()).mean() < 4
    assert np.abs(shown[-1] - shown[-5]).mean() < 0.3
    Image.fromarray(shown[-1].astype(np.uint8)).save(tmp_path / "last.png")
    reached, wanted = (cn.load_portrait(tmp_path / n).motion["roll"][0] for n in ("last.png", "tilted.png"))
    assert abs(reached - wanted) < 0.08


def test_the_calmest_frame_counts_unless_another_is_named(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = cn.load_portrait(folder / "me.png").motion
    smiling = Motion(own.still(4).set(mouthSmileLeft=[0, 1, 1, 0], jawOpen=[1, 0, 0, 1]).values, ARKIT, 25.0)
    values = smiling.values.copy()
    values[2] = own.values[0]
    cn.save_motion(tmp_path / "m.npz", smiling.with_values(values))
    chosen = []
    for more in ((), ("--reference", "first")):
        code, printed, _ = run(
            capsys, folder / "me.png", tmp_path / "m.npz", "-o", tmp_path / "o.mp4", "--json", *more
        )
        assert code == 0
        chosen.append(json.loads(printed)["reference_frame"])
    assert chosen == [2, 0]
    assert "frame 2 counts" in run(capsys, folder / "me.png", tmp_path / "m.npz", "-o", tmp_path / "o.mp4")[1]


def test_every_photo_of_a_folder_becomes_a_film(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for name in ("a.png", "a.jpg", "b.png"):
        Image.fromarray(data.astronaut()[:300, 80:380]).save(photos / name)
    Image.fromarray(data.coffee()[:200, :200]).save(photos / "cup.png")
    (photos / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    code, printed, note = run(capsys, photos, folder / "jaw.npz", "-o", out, "--json")
    assert code == 0
    assert sorted(p.name for p in out.iterdir()) == ["a.jpg.mp4", "a.png.mp4", "b.mp4"]
    assert json.loads(printed)["left_out"] == 1
    assert "cup.png" in note
    code, _, complaint = run(capsys, photos, folder / "jaw.npz", "-o", tmp_path / "o.mp4")
    assert code == 2
    assert "folder" in complaint


def test_a_cut_starts_anew_and_frames_without_a_face_stay(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wall = np.full((256, 256, 3), (0, 90, 220), np.uint8)
    other = np.ascontiguousarray(tilted(0)[:, ::-1] // 2)
    with VideoWriter(tmp_path / "film.mp4", 25.0, 256, 256, crf=4) as writer:
        for picture in (tilted(0), tilted(0), wall, wall, other, other):
            writer.write(picture)
    motion = Motion.neutral(ARKIT, 6, 25.0).set(jawOpen=[0, 0.9, 0, 0.9, 0, 0.9])
    cn.save_motion(tmp_path / "jaw.npz", motion)
    given = (tmp_path / "film.mp4", tmp_path / "jaw.npz", "-o", tmp_path / "o.mp4", "--reference", "first")
    code, printed, _ = run(capsys, *given, "--json")
    assert code == 0
    summary = json.loads(printed)
    assert (summary["frames"], summary["faceless_frames"], summary["shots"]) == (6, 2, 3)
    before, after = frames(tmp_path / "film.mp4"), frames(tmp_path / "o.mp4")
    change = [np.abs(a - b)[150:].max() for a, b in zip(before, after, strict=True)]
    assert max(change[2:4]) < 25  # encoding only
    assert min(change[1], change[5]) > 60
    assert "2 frames of the source show no face" in run(capsys, *given)[1]


def test_an_output_that_is_an_input_is_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    driver = tmp_path / "driver.mp4"
    driver.write_bytes((folder / "driver.mp4").read_bytes())
    (tmp_path / "link.mp4").symlink_to(driver)
    for output in (driver, tmp_path / "link.mp4"):
        code, _, complaint = run(capsys, folder / "me.png", driver, "-o", output)
        assert code == 2
        assert "input" in complaint
    assert driver.read_bytes() == (folder / "driver.mp4").read_bytes()
