"""Heads in 3D on the command line: turntable, morph, and avatars kept by the other verbs; with random weights."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from countenance.arrays import Image as Pixels
from countenance.audio.samples import write_wave
from countenance.cli.avatars import load_enroller
from countenance.cli.main import main
from countenance.cli.progress import Enrolling
from countenance.media.image_writer import read_image_metadata
from countenance.media.video import VideoReader, read_metadata
from countenance.motion.files import save_motion
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT
from countenance.pipeline.sources import load_portrait
from countenance.portrait.crop import Crop
from countenance.renderers.otavatar import renderer
from countenance.renderers.otavatar.config import InversionConfig, debug
from countenance.renderers.otavatar.drawing import Drawing
from countenance.renderers.otavatar.network import MODEL, Animator
from countenance.weights.weight_files import save_weights
from sounds import voice

pytestmark = pytest.mark.filterwarnings("ignore::countenance.errors.LossLeftOut")
FILES = ("a.png", "b.png", "nobody.png", "w.safetensors", "a.safetensors", "b.safetensors")


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    printed = capsys.readouterr()
    return int(stop.value.code or 0), printed.out, printed.err


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    short = InversionConfig(steps_w=2, steps_w_plus=2, large_steps=1)
    monkeypatch.setattr(renderer, "ours", lambda: short)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people, nobody, weights, and avatars of the two."""
    folder = tmp_path_factory.mktemp("heads")
    torch.manual_seed(0)
    animator = Animator(debug(52))
    animator.generator.decoder.net[2].bias.data[0] = 3  # matter everywhere
    save_weights(folder / "w.safetensors", animator, MODEL, animator.config, {}, half=False)
    face = data.astronaut()[:280, 80:360]
    for name, picture in (("a", face), ("b", 255 - face[:, ::-1]), ("nobody", data.coffee()[:200, :200])):
        Image.fromarray(picture).save(folder / f"{name}.png")
    ours = renderer.from_file(folder / "w.safetensors")
    ours.inversion = InversionConfig(steps_w=2, steps_w_plus=2, large_steps=1)
    for name in "ab":
        ours.enroll(load_portrait(folder / f"{name}.png")).save(folder / f"{name}.safetensors")
    return folder


@pytest.fixture(scope="module")
def crop(folder: Path) -> Crop:
    return load_portrait(folder / "a.png").crop


def turntable(folder: Path, out: Path, *more: object) -> tuple[object, ...]:
    weights, avatar = folder / "w.safetensors", folder / "a.safetensors"
    return "turntable", folder / "a.png", "-o", out, "--model", weights, "--avatar", avatar, *more


def morph(folder: Path, out: Path, *more: object) -> tuple[object, ...]:
    weights, *avatars = (folder / f"{name}.safetensors" for name in "wab")
    options = ("--model", weights, "--avatar", avatars[0], "--avatar-b", avatars[1])
    return "morph", folder / "a.png", folder / "b.png", "-o", out, *options, *more


def pictures(folder: Path) -> list[Pixels]:
    return [np.asarray(Image.open(path)) for path in sorted(folder.iterdir())]


def test_the_camera_swings_to_and_fro(
    folder: Path, crop: Crop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    length = ("--seconds", 0.24, "--json")
    code, printed, complaint = run(capsys, *turntable(folder, tmp_path / "o", *length))
    assert (code, complaint) == (0, "")
    assert json.loads(printed)["frames"] == 6
    shown = pictures(tmp_path / "o")
    assert [picture.shape for picture in shown] == [(crop.side, crop.side, 3)] * 6
    assert min(np.abs(a.astype(int) - b).max() for a, b in pairwise(shown)) > 2
    for there, back in ((1, 5), (2, 4)):
        assert np.abs(shown[there].astype(int) - shown[back]).max() <= 1
    marks = read_image_metadata(tmp_path / "o" / "00000.png")
    assert (marks["synthetic"], marks["model"]) == ("true", "w")

    less = ("--degrees", 5, "--set", "yaw=5")
    assert run(capsys, *turntable(folder, tmp_path / "less", *length, *less))[0] == 0
    angles = pictures(tmp_path / "less")
    assert np.abs(shown[0].astype(int) - angles[0]).max() > 2


def test_depth_lies_beside_the_picture(
    folder: Path, crop: Crop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, more in (("plain", ()), ("depth", ("--depth",))):
        command = turntable(folder, tmp_path / name, "--seconds", 0.2, *more)
        assert run(capsys, *command)[0] == 0
    shown, side = pictures(tmp_path / "depth"), crop.side
    assert {picture.shape for picture in shown} == {(side, 2 * side, 3)}
    for both, plain in zip(shown, pictures(tmp_path / "plain"), strict=True):
        np.testing.assert_array_equal(both[:, :side], plain)
        assert np.ptp(both[:, side:].astype(int).sum(-1)) > 0  # random matter is nearly flat
    assert (shown[0][:, side:] != shown[2][:, side:]).any()


def test_round_an_ellipse_as_a_film(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "o.mp4"
    assert run(capsys, *turntable(folder, out, "--around", "ellipse", "--seconds", 0.4))[0] == 0
    with VideoReader(out) as video:
        assert len(list(video.frames())) == 10
    assert read_metadata(out)["synthetic"] == "true"


def test_from_one_person_to_another(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, printed, _ = run(capsys, *morph(folder, tmp_path / "o", "--seconds", 0.4, "--json"))
    assert (code, json.loads(printed)["frames"]) == (0, 10)
    assert run(capsys, *morph(folder, tmp_path / "few", "--seconds", 0.4, "--steps", 5))[0] == 0
    all_of_them, few = pictures(tmp_path / "o"), pictures(tmp_path / "few")
    assert len({picture.tobytes() for picture in few}) == 5
    for first, second in zip(few[::2], few[1::2], strict=True):
        np.testing.assert_array_equal(first, second)
    ours = renderer.from_file(folder / "w.safetensors")
    a, b = (ours.load_avatar(folder / f"{name}.safetensors") for name in "ab")
    for shown in (all_of_them, few):
        for person, picture in ((a, shown[0]), (replace(b, crop=a.crop), shown[-1])):
            (alone,) = ours.render(person, a.motion)
            np.testing.assert_array_equal(picture, alone)


def test_a_driver_moves_them_meanwhile(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_motion(tmp_path / "m.npz", Motion.neutral(ARKIT, 3, 12.5).set(yaw=[0, 0.3, 0.6]))
    driven = morph(folder, tmp_path / "o", "--driver", tmp_path / "m.npz", "--json")
    code, printed, _ = run(capsys, *driven)
    assert (code, json.loads(printed)["frames"], json.loads(printed)["fps"]) == (0, 3, 12.5)
    assert run(capsys, *morph(folder, tmp_path / "still", "--seconds", 0.12))[0] == 0
    moving, held = pictures(tmp_path / "o"), pictures(tmp_path / "still")
    np.testing.assert_array_equal(moving[0], held[0])
    assert np.abs(moving[2].astype(int) - held[2]).max() > 2


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("turntable a.png -o o.mp4 --model geometric", "train otavatar"),
        ("morph a.png b.png -o o.mp4 --model geometric", "--model otavatar-lite, or a .safetensors file"),
        ("turntable a.png -o o.mp4 --model otavatar", "--from otavatar"),
        ("turntable nobody.png -o o.mp4 --model w.safetensors", "no face found"),
        ("turntable a.png -o o.mp4 --model w.safetensors --face 2", "face 2 is not there"),
        ("turntable a.png -o o.mp4 --model w.safetensors --set noseWidth=1", "can't change a face's shape"),
        ("turntable a.png -o o.mp4 --model w.safetensors --avatar b.safetensors", "of another photo"),
        ("turntable a.png -o o.mp4 --model w.safetensors --avatar a.png", "enroll the portrait again"),
        ("turntable a.png -o o.mp4 --model w.safetensors --avatar none/a.safetensors", "mkdir -p"),
        ("turntable a.png -o o.mp4 --degrees 95", "give 0.1 to 90 degrees"),
        ("turntable a.png -o o.mp4 --degrees nan", "give 0.1 to 90 degrees"),
        ("turntable a.png -o o.mp4 --around ellipse --degrees 20", "--degrees is for a swing"),
        ("turntable a.png -o o.mp4 --seconds 0", "give 0.04 to 86400 seconds"),
        ("turntable a.png -o o.mp4 --fps inf", "give 0.1 to 480"),
        ("turntable a.png -o o.mp4 --seconds 0.02", "give 0.04 to 86400"),
        ("turntable a.png -o none/o.mp4", "mkdir -p"),
        ("turntable a.png -o o.xyz", "no video format"),
        ("morph a.png nobody.png -o o.mp4 --model w.safetensors", "no face found"),
        ("morph a.png b.png -o o.mp4 --model w.safetensors --face-b 2", "face 2 is not there"),
        ("morph a.png b.png -o o.mp4 --model w.safetensors --steps 1", "give 2 to 1000000"),
        ("morph a.png b.png -o o.mp4 --model w.safetensors --steps 101", "--steps 2 to 100"),
        ("morph a.png b.png -o o.mp4 --avatar-b none/b.safetensors", "mkdir -p"),
        ("talk a.png none.wav -o o.mp4 --avatar none/a.safetensors", "mkdir -p"),
        ("edit a.png -o o.png --avatar none/a.safetensors", "mkdir -p"),
    ],
)
def test_what_cannot_be_shown(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    says: str,
) -> None:
    for name in FILES:
        (tmp_path / name).symlink_to(folder / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(renderer, "invert", None)  # nobody waits for an avatar to be told this
    code, _, complaint = run(capsys, *command.split())
    assert code == 2
    assert says in complaint
    assert complaint.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(FILES)


@pytest.mark.parametrize("verb", [turntable, morph])
@pytest.mark.parametrize("name", ["o", "o.mp4"])
def test_ctrl_c_leaves_nothing(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    verb: object,
    name: str,
) -> None:
    drawn, draw = list[int](), Drawing.picture

    def interrupted(*given: object) -> object:
        drawn.append(1)
        if len(drawn) == 3:
            raise KeyboardInterrupt
        return draw(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(Drawing, "picture", interrupted)
    code, _, complaint = run(capsys, *verb(folder, tmp_path / name))  # type: ignore[operator]
    assert (code, "interrupted" in complaint, len(drawn)) == (130, True, 3)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", ["turntable", "morph", "edit", "sweep", "talk"])
def test_every_verb_enrolls_once(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
) -> None:
    write_wave(tmp_path / "speech.wav", voice(0.3))
    options = ("--model", folder / "w.safetensors", "--avatar", tmp_path / "kept.safetensors")
    photo, film, short = folder / "a.png", tmp_path / "o.mp4", ("--seconds", 0.12)
    kept_b = ("--avatar-b", folder / "b.safetensors")
    command: tuple[object, ...] = {
        "turntable": ("turntable", photo, "-o", film, *options, *short),
        "morph": ("morph", photo, folder / "b.png", "-o", film, *options, *short, *kept_b),
        "edit": ("edit", photo, "-o", tmp_path / "o.png", *options, "--set", "yaw=10"),
        "sweep": ("edit", photo, "-o", film, *options, "--sweep", "yaw=0:9", *short),
        "talk": ("talk", photo, tmp_path / "speech.wav", "-o", film, *options, "--count", 2),
    }[verb]
    made, invert = list[int](), renderer.invert
    monkeypatch.setattr(renderer, "invert", lambda *given, **named: made.append(1) or invert(*given, **named))
    for _ in range(2):
        code, _, complaint = run(capsys, *command)
        assert (code, complaint, len(made)) == (0, "", 1)
    assert (tmp_path / "kept.safetensors").is_file()


def test_progress_is_told_of_what_takes_long(folder: Path) -> None:
    assert isinstance(load_enroller(str(folder / "w.safetensors")).progress, Enrolling)
    assert not hasattr(load_enroller("geometric"), "progress")
