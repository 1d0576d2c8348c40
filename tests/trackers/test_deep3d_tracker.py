from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy.io import savemat
from skimage import data

from countenance.errors import WeightsDamaged, WeightsMissing
from countenance.media.frames import Frame
from countenance.portrait.crop import Crop
from countenance.trackers.catalogue import load_tracker, tracker_for
from countenance.trackers.deep3d_network import Deep3DNetwork, load_deep3d
from countenance.trackers.deep3d_tracker import Deep3DTracker
from countenance.trackers.following import follow_face
from seeded import listed, seeded


def keys(shared: Path) -> Path:
    return shared / "parity" / "bfm" / "reconnet-forward" / "keys.tsv"


@pytest.fixture
def files(shared: Path, tmp_path: Path) -> tuple[Path, Path]:
    torch.save({"net_recon": seeded(keys(shared), 1), "opt_00": {}, "sched_00": {}}, tmp_path / "deep3d.pth")
    standard = np.random.default_rng(0).normal(size=(68, 3)) * 0.1
    standard[[36, 39, 42, 45, 30, 48, 54]] = np.array(
        [
            [-0.4, 0.3, 0],
            [-0.2, 0.3, 0],
            [0.2, 0.3, 0],
            [0.4, 0.3, 0],
            [0, 0, 0.3],
            [-0.25, -0.4, 0],
            [0.25, -0.4, 0],
        ]
    )
    savemat(tmp_path / "similarity_Lm3D_all.mat", {"lm": standard})
    return tmp_path / "deep3d.pth", tmp_path / "similarity_Lm3D_all.mat"


def test_the_network_gives_the_authors_numbers(shared: Path, tmp_path: Path, device: str) -> None:
    folder = shared / "parity" / "bfm" / "reconnet-forward"
    seed = json.loads((folder / "config.json").read_text())["weights_seed"]
    torch.save({"net_recon": seeded(keys(shared), seed)}, tmp_path / "epoch_20.pth")
    network = load_deep3d(tmp_path / "epoch_20.pth").to(device)
    given, expected = load_file(folder / "inputs.safetensors"), load_file(folder / "outputs.safetensors")
    picture = given["input_u8"].float() / 255
    with torch.no_grad():
        numbers = network(picture.to(device)).cpu()
    wanted = expected["coefficients"]
    assert float((numbers - wanted).abs().max() / wanted.abs().max()) < 1e-4


def test_names_are_the_authors(shared: Path) -> None:
    ours = {name: list(tensor.shape) for name, tensor in Deep3DNetwork().state_dict().items()}
    assert ours == dict(listed(keys(shared)))


def test_a_face_is_measured_and_placed(files: tuple[Path, Path]) -> None:
    tracker = Deep3DTracker(load_tracker(), *files)
    picture = data.astronaut()
    face = tracker.faces(picture)[0]
    assert face.coefficients.shape == (73,)
    whole = tracker.motion(face.coefficients, Crop(0, 0, 256), 25.0)
    half = tracker.motion(face.coefficients, Crop(100, 20, 128), 25.0)
    assert whole.space.name == "bfm"
    assert whole.crop is not None
    assert half.crop is not None
    np.testing.assert_array_equal(whole.values, half.values)
    scale, x, y_up = whole.crop[0]
    assert 100 < x < 300  # about the middle of the face
    np.testing.assert_allclose(
        half.crop[0], [scale / 2, (x - 100) * 2, 255 - ((255 - y_up) - 20) * 2], rtol=1e-4
    )


def test_following_gives_motion_with_crop(files: tuple[Path, Path]) -> None:
    tracker = Deep3DTracker(load_tracker(), *files)
    blank = np.full_like(data.astronaut(), 128)
    frames = [Frame(p, i / 25) for i, p in enumerate([blank, data.astronaut(), data.astronaut()])]
    track = follow_face(iter(frames), tracker, 25.0)
    assert track.observed.tolist() == [False, True, True]
    motion = tracker.motion(track.coefficients, Crop.around(track.boxes_px), 25.0, track.observed)
    assert (len(motion), motion.crop is not None) == (3, True)


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COUNTENANCE_ASSETS", str(tmp_path))
    with pytest.raises(WeightsMissing, match=r"epoch_20\.pth"):
        tracker_for("bfm")
    torch.save({"net_G": {}}, tmp_path / "deep3d.pth")
    with pytest.raises(WeightsMissing, match="similarity_Lm3D_all"):
        tracker_for("bfm")
    with pytest.raises(WeightsDamaged, match="net_recon"):
        load_deep3d(tmp_path / "deep3d.pth")
