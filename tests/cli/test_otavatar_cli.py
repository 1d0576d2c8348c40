"""OTAvatar on the command line: train on a generator, convert, animate with a kept avatar."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from skimage import data

from countenance.cli.main import main
from countenance.generators.eg3d import official as eg3d
from countenance.generators.eg3d.generator import EG3D
from countenance.motion.files import save_motion
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT
from countenance.renderers.otavatar import renderer
from countenance.renderers.otavatar.config import InversionConfig, debug
from prepared import write_dataset

pytestmark = pytest.mark.filterwarnings("ignore::countenance.errors.LossLeftOut")


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    printed = capsys.readouterr()
    return int(stop.value.code or 0), printed.out, printed.err


def test_trained_on_a_generator_then_enrolled_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    generator = tmp_path / "generator.safetensors"
    eg3d.save(EG3D(debug().generator), generator, {})
    folder, model = write_dataset(tmp_path / "d"), tmp_path / "run" / "weights.safetensors"
    command = ("train", "otavatar", "--data", folder, "-o", tmp_path / "run", "--preset", "debug")
    again = (*command, "--init", generator, "--accelerator", "cpu", "--json")
    code, printed, _ = run(capsys, *again, "--max-minutes", 0)
    assert (code, json.loads(printed)["step"]) == (0, 1)
    code, printed, _ = run(capsys, *again, "--steps", 2)
    assert (code, json.loads(printed)["finished"]) == (0, True)

    short = InversionConfig(steps_w=2, steps_w_plus=2, large_steps=1, tune_steps=1)
    monkeypatch.setattr(renderer, "ours", lambda: short)
    Image.fromarray(data.astronaut()).save(tmp_path / "a.png")
    save_motion(tmp_path / "m.npz", Motion.neutral(ARKIT, 2, 25.0).set(yaw=[0, 0.2]))
    kept, out = tmp_path / "me.safetensors", tmp_path / "o.mp4"
    command = (
        "animate",
        tmp_path / "a.png",
        tmp_path / "m.npz",
        "-o",
        out,
        "--model",
        model,
        "--avatar",
        kept,
    )
    code, printed, _ = run(capsys, *command, "--json")
    assert (code, json.loads(printed)["frames"]) == (0, 2)
    assert kept.is_file()
    monkeypatch.setattr(renderer, "invert", None)  # nothing is inverted a second time
    code, printed, _ = run(capsys, *command, "--json")
    assert (code, json.loads(printed)["frames"]) == (0, 2)
    Image.fromarray(data.astronaut()[:, 20:]).save(tmp_path / "a.png")
    code, _, complaint = run(capsys, *command)
    assert (code, "avatar of another photo" in complaint) == (2, True)


def test_the_published_container_is_converted(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shared / "parity" / "otavatar" / "checkpoint-container"
    out = tmp_path / "otavatar.safetensors"
    sizes = []
    for kind, which in (("released", "net_G_ema"), ("training", "net_G")):
        command = ("convert", folder / f"{kind}_checkpoint.pt", "-o", out, "--from", "otavatar")
        code, printed, _ = run(capsys, *command, "--which", which, "--json")
        assert (code, json.loads(printed)["motion_space"]) == (0, "bfm")
        sizes.append(json.loads(printed)["parameters"])
    assert sizes[0] == sizes[1]
    code, _, complaint = run(capsys, "convert", out, "-o", tmp_path / "b.safetensors", "--from", "otavatar")
    assert (code, "damaged or not what it claims to be" in complaint) == (2, True)


def test_joint_training_has_no_published_preset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ("train", "otavatar-joint", "--data", tmp_path, "-o", tmp_path / "run", "--preset", "paper")
    code, _, complaint = run(capsys, *command)
    assert code == 2
    assert "give --preset lite or debug" in complaint
    assert not (tmp_path / "run").exists()
