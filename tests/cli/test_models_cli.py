"""The verbs around trained models: prepare, train, convert, interpolate, --model FILE."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from countenance.cli.main import main
from countenance.media.video import VideoReader
from countenance.renderers.pirenderer.config import debug
from countenance.renderers.pirenderer.network import PIRenderer
from countenance.weights.weight_files import save_weights
from prepared import write_dataset


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    printed = capsys.readouterr()
    return int(stop.value.code or 0), printed.out, printed.err


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    Image.fromarray(data.astronaut()).save(tmp_path / "a.png")
    return tmp_path / "a.png"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    path = tmp_path / "tiny.safetensors"
    save_weights(path, PIRenderer(debug()), "pirenderer", debug(), {}, half=True)
    return path


def test_training_resumes_with_the_same_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_dataset(tmp_path / "d")
    command = ("train", "pirenderer", "--data", folder, "-o", tmp_path / "run", "--preset", "debug", "--json")
    code, printed, _ = run(capsys, *command, "--max-minutes", 0, "--accelerator", "cpu")
    assert (code, json.loads(printed)["finished"]) == (0, False)
    code, printed, lines = run(capsys, *command, "--steps", 2, "--accelerator", "cpu")
    summary = json.loads(printed)
    assert (code, summary["finished"], summary["step"]) == (0, True, 2)
    assert "step 2: warp" in lines


def test_training_without_a_dataset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, complaint = run(capsys, "train", "pirenderer", "--data", tmp_path, "-o", tmp_path / "run")
    assert code == 2
    assert "countenance prepare" in complaint


def test_preparing_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, complaint = run(capsys, "prepare", tmp_path, "-o", tmp_path / "out")
    assert (code, "no videos" in complaint) == (2, True)


def test_convert_then_use(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = shared / "parity" / "pirenderer" / "checkpoint-container" / "released_checkpoint.pt"
    out = tmp_path / "official.safetensors"
    code, printed, _ = run(capsys, "convert", checkpoint, "-o", out, "--from", "pirenderer", "--json")
    assert (code, json.loads(printed)["motion_space"]) == (0, "bfm")
    code, _, complaint = run(capsys, "convert", out, "-o", tmp_path / "b.safetensors", "--from", "pirenderer")
    assert (code, "damaged or not what it claims to be" in complaint) == (2, True)
    code, _, complaint = run(capsys, "convert", checkpoint, "-o", tmp_path / "b.pt", "--from", "pirenderer")
    assert (code, ".safetensors" in complaint) == (2, True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["official.safetensors"]


def test_animate_and_interpolate_with_a_file(
    photo: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "o.mp4"
    code, _, _ = run(
        capsys, "edit", photo, "-o", out, "--sweep", "yaw=0:5", "--seconds", 0.2, "--model", weights
    )
    assert code == 0
    between = ("interpolate", photo, photo, photo, "-o", out, "--seconds", 0.2, "--only", "pose")
    code, printed, _ = run(capsys, *between, "--model", weights, "--json")
    assert (code, json.loads(printed)["frames"]) == (0, 5)
    with VideoReader(out) as video:
        frames = [frame.image.astype(int) for frame in video.frames()]
    assert np.abs(frames[0] - frames[-1]).mean() < 3  # from a motion to itself
    code, _, complaint = run(capsys, *between, "--model", "geometric")
    assert (code, "no latent motion space" in complaint) == (2, True)


def test_gdpw_trains_converts_and_is_measured(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = write_dataset(tmp_path / "dataset")
    run_folder = tmp_path / "run"
    options = (
        "--data",
        dataset,
        "-o",
        run_folder,
        "--preset",
        "debug",
        "--steps",
        "1",
        "--accelerator",
        "cpu",
    )
    code, printed, _ = run(capsys, "train", "gdpw", *options, "--json")
    assert (code, json.loads(printed)["finished"]) == (0, True)
    code, printed, _ = run(
        capsys, "bench", "--model", run_folder / "weights.safetensors", "--frames", "20", "--json"
    )
    row = json.loads(printed)["models"][0]
    assert (code, len(json.loads(printed)["models"])) == (0, 1)
    assert row["gflop"] > 0
    assert row["parameters"] > 0
    assert sum(row["shares"].values()) == pytest.approx(100, abs=1)
    assert {"tracking", "geometry", "network", "compositing", "media"} <= set(row["shares"])
    code, _, complaint = run(capsys, "bench", "--frames", "3")
    assert (code, "--frames is 3; give 20 to" in complaint) == (2, True)
    checkpoint = shared / "parity" / "gdpw" / "checkpoint-container" / "sample.pth"
    out = tmp_path / "gdpw.safetensors"
    code, printed, _ = run(capsys, "convert", checkpoint, "-o", out, "--from", "gdpw", "--json")
    assert (code, json.loads(printed)["motion_space"]) == (0, "flame")
