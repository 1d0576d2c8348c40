"""The package as a person uses it: real photograph in, files out."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

import countenance as cn
from countenance.cli.main import main
from countenance.media.image_writer import read_image_metadata
from countenance.media.video import VideoReader, read_metadata
from countenance.motion.spaces import ARKIT


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "astronaut.png"
    Image.fromarray(data.astronaut()).save(path)
    return path


@pytest.fixture(scope="module")
def motion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with resources.as_file(resources.files("countenance.motion") / "data" / "demo.npz") as shipped:
        short = cn.load_motion(shipped)[10:22]
    path = tmp_path_factory.mktemp("motion") / "short.npz"
    cn.save_motion(path, short)
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    printed = capsys.readouterr()
    return int(stop.value.code or 0), printed.out, printed.err


def test_nothing_set_nothing_changed(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "same.png"
    assert run(capsys, "edit", photo, "-o", out)[0] == 0
    np.testing.assert_array_equal(np.array(Image.open(out)), data.astronaut())
    assert read_image_metadata(out)["synthetic"] == "true"


@pytest.mark.parametrize(
    ("setting", "coefficient", "least"),
    [
        ("yaw=18", "yaw", 0.18),
        ("pitch=12", "pitch", 0.12),
        ("jawOpen=0.6", "jawOpen", 0.12),
        ("roll=15", "roll", 0.2),
    ],
)
def test_an_edit_is_seen_by_the_tracker(
    photo: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    setting: str,
    coefficient: str,
    least: float,
) -> None:
    out = tmp_path / "edited.png"
    assert run(capsys, "edit", photo, "-o", out, "--set", setting)[0] == 0
    before, after = cn.load_portrait(photo).motion, cn.load_portrait(out).motion
    assert after[coefficient][0] - before[coefficient][0] > least


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".gif"])
def test_animate_writes_marked_videos(
    photo: Path, motion: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    out = tmp_path / f"out{suffix}"
    code, printed, _ = run(capsys, "animate", photo, motion, "-o", out, "--json")
    assert code == 0
    assert json.loads(printed)["frames"] == 12
    texts = read_metadata(out)
    assert texts["synthetic"] == "true"
    assert "gdpw-lite" in texts["comment"]
    with VideoReader(out) as video:
        assert (video.width, video.height) == (512, 512)
        assert sum(1 for _ in video.frames()) == 12
    assert [p.name for p in tmp_path.iterdir()] == [out.name]


def test_five_lines_of_python(photo: Path, motion: Path, tmp_path: Path) -> None:
    renderer = cn.load_renderer("geometric")
    portrait = cn.load_portrait(photo, crop_scale=renderer.spec.crop_scale)
    driven = cn.transfer(cn.load_motion(motion), portrait.motion)
    out = tmp_path / "frames"
    cn.write_video(out, cn.animate(portrait, driven, renderer), driven.fps, model="geometric")
    assert len(list(out.glob("*.png"))) == 12


def test_own_motion_gives_the_source_back(photo: Path) -> None:
    renderer = cn.load_renderer("geometric")
    portrait = cn.load_portrait(photo, crop_scale=renderer.spec.crop_scale)
    frame = next(cn.animate(portrait, portrait.motion, renderer))
    np.testing.assert_array_equal(frame.image, portrait.image)


def bad_inputs(folder: Path) -> dict[str, Path]:
    landscape = folder / "coffee.png"
    Image.fromarray(data.coffee()[:200, :200]).save(landscape)
    dot = folder / "dot.png"
    Image.fromarray(np.zeros((1, 1, 3), np.uint8)).save(dot)
    text = folder / "text.mp4"
    text.write_text("not a video")
    empty = folder / "empty.mp4"
    empty.write_bytes(b"")
    damaged = folder / "damaged.png"
    damaged.write_bytes((folder / "coffee.png").read_bytes()[:2000])
    nan = folder / "nan.npz"
    np.savez(nan, values=np.full((3, ARKIT.size), np.nan))
    return {"landscape": landscape, "dot": dot, "text": text, "empty": empty, "damaged": damaged, "nan": nan}


@pytest.mark.parametrize(
    ("verb", "first", "second", "says"),
    [
        ("edit", "landscape", None, "no face found"),
        ("edit", "dot", None, "no face found"),
        ("edit", "damaged", None, "damaged"),
        ("edit", "missing", None, "no such file"),
        ("animate", "photo", "text", "no picture, film or sound"),
        ("animate", "photo", "empty", "empty"),
        ("animate", "photo", "nan", "cannot read motion"),
        ("track", "text", None, "cannot read"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    photo: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    verb: str,
    first: str,
    second: str | None,
    says: str,
) -> None:
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    files = {**bad_inputs(inputs), "photo": photo, "missing": inputs / "missing.png"}
    target = tmp_path / {"edit": "out.png", "animate": "out.mp4", "track": "out.npz"}[verb]
    given = [files[name] for name in (first, second) if name]
    extra = ["--set", "yaw=5"] if verb == "edit" else []
    code, printed, complaint = run(capsys, verb, *given, "-o", target, *extra)
    assert code == 2
    assert printed == ""
    assert says in complaint
    assert complaint.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["inputs"]


def test_a_misspelt_coefficient_gets_a_hint(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, complaint = run(capsys, "edit", photo, "-o", tmp_path / "o.png", "--set", "mouthSmileLft=1")
    assert code == 2
    assert "mouthSmileLeft" in complaint
