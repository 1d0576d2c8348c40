from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import data

import countenance as cn
from countenance.cli.main import VERBS, main
from countenance.cli.train import Train
from countenance.media.video import VideoReader
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT, FLAME
from countenance.pipeline.sources import load_portrait
from countenance.trackers.catalogue import load_tracker


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "astronaut.png"
    Image.fromarray(data.astronaut()).save(path)
    return path


@pytest.fixture
def motion(tmp_path: Path) -> Path:
    path = tmp_path / "motion.npz"
    cn.save_motion(path, Motion.neutral(ARKIT, 4, 25.0).set(yaw=np.linspace(0, 0.2, 4)))
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    printed = capsys.readouterr()
    return int(stop.value.code or 0), printed.out, printed.err


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_every_verb_teaches(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, printed, _ = run(capsys, verb, "--help")
    assert code == 0
    if verb == "study":
        printed += run(capsys, verb, "score", "--help")[1]
    assert "--json" in printed
    if verb != "models":
        assert "examples:" in printed


def test_models_and_assets_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert "gdpw-lite (default)" in run(capsys, "models")[1]
    listed = json.loads(run(capsys, "assets", "--json")[1])
    assert listed["assets"][0]["path"]


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("yaw", "name=value"),
        ("yaw=east", "no number"),
        ("yaw=170", "-90 to 90 degrees"),
        ("jawOpen=2", "0 to 1"),
        ("expression=smle", "smile"),
        ("noseWidht=1", "noseWidth"),
        ("noseWidth=2", "-1 to 1"),
    ],
)
def test_settings_that_are_none(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], setting: str, says: str
) -> None:
    code, _, complaint = run(capsys, "edit", photo, "-o", tmp_path / "o.png", "--set", setting)
    assert code == 2
    assert says in complaint


def test_frontalizing_turns_the_head_to_the_camera(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tracker = load_tracker()
    turned, front = tmp_path / "turned.png", tmp_path / "front.png"
    assert run(capsys, "edit", photo, "-o", turned, "--set", "yaw=-14", "--set", "roll=10")[0] == 0
    assert run(capsys, "edit", turned, "-o", front, "--frontalize")[0] == 0
    before, after = (
        np.degrees(np.abs([load_portrait(p, tracker=tracker).motion[n][0] for n in ("yaw", "roll")]))
        for p in (turned, front)
    )
    assert before.max() > 8
    assert after.max() < 0.5 * before.max()


def test_a_sweep_needs_two_ends(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, complaint = run(capsys, "edit", photo, "-o", tmp_path / "o.mp4", "--sweep", "yaw=20")
    assert code == 2
    assert "start:stop" in complaint


def test_a_sweep_goes_there_and_back(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "o.mp4"
    assert run(capsys, "edit", photo, "-o", out, "--sweep", "yaw=-15:15", "--seconds", 0.4)[0] == 0
    with VideoReader(out) as video:
        first, *_, last = (frame.image.astype(int) for frame in video.frames())
    assert np.abs(first - last).mean() < 2


def test_a_face_gets_another_shape(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, film = tmp_path / "o.png", tmp_path / "o.mp4"
    settings = ("--set", "jawWidth=-1", "--set", "yaw=10")
    assert run(capsys, "edit", photo, "-o", out, *settings)[0] == 0
    assert (np.asarray(Image.open(out)) != data.astronaut()).any()
    assert run(capsys, "edit", photo, "-o", film, "--sweep", "noseWidth=-1:1", "--seconds", 0.2)[0] == 0
    with VideoReader(film) as video:
        first, *_, middle, _, _ = (frame.image.astype(int) for frame in video.frames())
    assert np.abs(first - middle).max() > 20
    listed = run(capsys, "edit", "--list")[1]
    assert "noseWidth              -1 to 1" in listed


def test_a_model_without_shapes_says_which_have_them(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    what = ("--set", "noseWidth=1", "--model", "pirenderer-lite")
    code, _, complaint = run(capsys, "edit", photo, "-o", tmp_path / "o.png", *what)
    assert code == 2
    assert complaint.count("\n") == 1
    assert "--model geometric or gdpw-lite" in complaint


def test_errors_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, complaint = run(capsys, "track", tmp_path / "none.mp4", "-o", tmp_path / "m.npz", "--json")
    assert code == 2
    assert json.loads(complaint)["exit_code"] == 2


def test_an_unknown_model(
    photo: Path, motion: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, complaint = run(
        capsys, "animate", photo, motion, "-o", tmp_path / "o.mp4", "--model", "geomtric"
    )
    assert code == 2
    assert "did you mean geometric" in complaint


def test_a_motion_of_another_space(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flame = tmp_path / "flame.npz"
    cn.save_motion(flame, Motion.neutral(FLAME, 3, 25.0))
    code, _, complaint = run(capsys, "animate", photo, flame, "-o", tmp_path / "o.mp4")
    assert code == 2
    assert "flame" in complaint
    assert "arkit" in complaint


@pytest.mark.parametrize("output", ["missing/o.mp4", "o.xyz", "o"])
def test_outputs_that_cannot_be(
    photo: Path, motion: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], output: str
) -> None:
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / "kept.txt").write_text("mine")
    code, _, complaint = run(capsys, "animate", photo, motion, "-o", tmp_path / output)
    assert code == 2
    assert complaint.startswith("countenance: cannot write")
    assert (tmp_path / "o" / "kept.txt").read_text() == "mine"


def test_two_faces(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both = shared / "data" / "frames" / "two_faces.jpg"
    before = np.asarray(Image.open(both).convert("RGB")).astype(int)
    changed = []
    for face in (1, 2):
        out = tmp_path / f"face{face}.png"
        assert run(capsys, "edit", both, "-o", out, "--set", "roll=10", "--face", face)[0] == 0
        difference = np.abs(np.asarray(Image.open(out)).astype(int) - before).max(axis=(0, 2))
        changed.append(float(np.flatnonzero(difference > 30).mean()))
    assert abs(changed[0] - changed[1]) > 200
    code, _, complaint = run(capsys, "edit", both, "-o", tmp_path / "o.png", "--set", "yaw=5", "--face", 3)
    assert code == 2
    assert "--face 1 to 2" in complaint


def test_ctrl_c_leaves_nothing(
    photo: Path,
    motion: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from countenance.renderers.geometric import renderer

    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    out = tmp_path / "o.mp4"
    out.write_bytes(b"an older file")
    monkeypatch.setattr(renderer, "drive", interrupted)
    code, _, complaint = run(capsys, "animate", photo, motion, "-o", out, "--model", "geometric")
    assert code == 130
    assert "interrupted" in complaint
    assert out.read_bytes() == b"an older file"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["motion.npz", "o.mp4"]


def test_a_cut_off_driver_is_used_and_said(
    shared: Path, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut = tmp_path / "cut.mp4"
    cut.write_bytes((shared / "data" / "heads" / "test" / "p101_01.mp4").read_bytes()[:40_000])
    code, printed, note = run(capsys, "animate", photo, cut, "-o", tmp_path / "o.mp4", "--json")
    assert code == 0
    assert "countenance: note:" in note
    assert "it ends after" in note
    assert 0 < json.loads(printed)["frames"] < 200


def test_a_video_as_source_keeps_what_is_not_driven(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = shared / "data" / "heads" / "test" / "p111_01.mp4", tmp_path / "o.mp4"
    still = tmp_path / "still.npz"
    cn.save_motion(still, Motion.neutral(ARKIT, 10, 25.0))
    code, printed, _ = run(
        capsys, "animate", source, still, "-o", out, "--pose", 0, "--expression", 0, "--json"
    )
    assert code == 0
    assert json.loads(printed)["frames"] == 10
    with VideoReader(out) as new, VideoReader(source) as old:
        pairs: Iterator[Any] = zip(new.frames(), old.frames(), strict=False)
        assert max(np.abs(a.image.astype(int) - b.image).mean() for a, b in pairs) < 3


@pytest.mark.parametrize("suffix", [".npz", ".csv"])
def test_track_writes_motion_that_drives(
    shared: Path, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    motion = tmp_path / f"m{suffix}"
    assert run(capsys, "track", shared / "data" / "heads" / "test" / "p112_01.mp4", "-o", motion)[0] == 0
    assert len(cn.load_motion(motion)) == 75
    code, _, _ = run(
        capsys, "animate", photo, motion, "-o", tmp_path / "o.mp4", "--crop", "--reference", "auto"
    )
    assert code == 0


@pytest.mark.parametrize(
    "given",
    [
        ("edit", "me.png", "-o", "me.png", "--set", "yaw=5"),
        ("edit", "me.png", "-o", "link.png"),
        ("edit", "me.png", "-o", "hard.png"),
        ("track", "me.npz", "-o", "me.npz"),
        ("talk", "me.png", "talk.mp4", "-o", "talk.mp4"),
        ("interpolate", "me.png", "me.npz", "talk.mp4", "-o", "talk.mp4"),
        ("morph", "me.png", "hard.png", "-o", "frames"),
        ("convert", "w.safetensors", "-o", "w.safetensors", "--from", "gdpw"),
    ],
    ids=" ".join,
)
def test_an_input_is_never_an_output(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], given: tuple[str, ...]
) -> None:
    (tmp_path / "frames").mkdir()
    for name in ("me.png", "me.npz", "talk.mp4", "w.safetensors", "frames/b.png"):
        (tmp_path / name).write_bytes(photo.read_bytes())
    (tmp_path / "link.png").symlink_to("me.png")
    (tmp_path / "hard.png").hardlink_to(tmp_path / "me.png")
    files = {"me.png", "me.npz", "talk.mp4", "link.png", "hard.png", "frames", "w.safetensors"}
    code, _, complaint = run(capsys, *(tmp_path / word if word in files else word for word in given))
    assert code == 2
    assert "input" in complaint or "not empty" in complaint
    assert (tmp_path / "me.png").read_bytes() == photo.read_bytes()


def test_a_package_that_is_not_installed_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def without_torch(self: object) -> None:
        raise ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn")

    monkeypatch.setattr(Train, "run", without_torch)
    code, _, complaint = run(capsys, "train", "gdpw", "--data", "d", "-o", "r")
    assert code == 2
    assert "`countenance train` needs the package 'torch'" in complaint
    assert "countenance[torch]" in complaint


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (ZeroDivisionError("division by zero"), 70, "a fault of Countenance itself, ZeroDivisionError"),
        (ImportError("libGL.so.1: cannot open shared object file"), 2, "apt-get install libgl1"),
        (MemoryError(), 2, "memory"),
        (ModuleNotFoundError("No module named 'countenance.x'", name="countenance.x"), 70, "a fault"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_happens_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    code: int,
    says: str,
) -> None:
    def fails(self: object) -> None:
        raise error

    monkeypatch.setattr(Train, "run", fails)
    found, _, complaint = run(capsys, "train", "gdpw", "--data", "d", "-o", "r")
    assert (found, complaint.count("\n")) == (code, 1)
    assert says in complaint
