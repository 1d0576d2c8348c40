"""dlib's recognition network in PyTorch: the numbers of dlib itself."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from skimage import data

from countenance.errors import DependencyMissing, LossLeftOut, WeightsDamaged, WeightsMissing
from countenance.losses.dlib_face import CHIP_IBUG, DlibFace, load_dlib_face
from countenance.renderers.otavatar.config import LossConfig
from countenance.renderers.otavatar.config import debug as debug_sizes
from countenance.renderers.otavatar.losses import aligned_chips, chip_alignment, embedded, identity_loss
from countenance.renderers.otavatar.objective import Moments, _say, load_objective
from countenance.weights import dlib_files
from countenance.weights.dlib_files import RECOGNITION, dlib_file, read_layers

SHAPE = "shape_predictor_5_face_landmarks.dat"
FROM_THE_LEFT = (2, 3, 1, 0, 4)  # dlib's five points


@pytest.fixture(scope="module")
def network() -> DlibFace:
    pytest.importorskip("dlib", reason="dlib is not here: pip install 'countenance[evaluation]'")
    return load_dlib_face()


@pytest.fixture(scope="module")
def seen(network: DlibFace) -> tuple[np.ndarray, np.ndarray, Any]:
    """The astronaut's aligned face, her five points, and the recogniser, all by dlib."""
    import dlib

    picture = data.astronaut()
    found = dlib.shape_predictor(str(dlib_file(SHAPE, "a test")))(picture, dlib.rectangle(177, 77, 270, 190))
    points = np.array([(point.x, point.y) for point in found.parts()], float)[list(FROM_THE_LEFT)]
    recogniser = dlib.face_recognition_model_v1(str(dlib_file(RECOGNITION, "a test")))
    return dlib.get_face_chip(picture, found), points, recogniser


def tensor(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1


def test_the_network_gives_dlibs_numbers(network: DlibFace, seen: tuple[np.ndarray, np.ndarray, Any]) -> None:
    chip, _, recogniser = seen
    assert not any(parameter.requires_grad for parameter in network.parameters())
    ours, theirs = network(tensor(chip))[0].numpy(), np.array(recogniser.compute_face_descriptor(chip))
    np.testing.assert_allclose(ours, theirs, atol=5e-6)
    assert np.linalg.norm(theirs) > 1


def test_faces_are_laid_where_dlib_lays_them(seen: tuple[np.ndarray, np.ndarray, Any]) -> None:
    chip, points, _ = seen
    landmarks = torch.zeros(1, 68, 2)
    landmarks[0, list(CHIP_IBUG)] = torch.from_numpy(points).float()
    ours = aligned_chips(tensor(data.astronaut()), chip_alignment(landmarks, 512))
    # of 255; a shift by half a pixel makes three times as much
    assert float((ours - tensor(chip)).abs().mean()) * 127.5 < 1.5


def test_the_loss_knows_people_and_leads_back_to_them(
    network: DlibFace, seen: tuple[np.ndarray, np.ndarray, Any]
) -> None:
    _, points, _ = seen
    landmarks = torch.zeros(1, 68, 2)
    landmarks[0, list(CHIP_IBUG)] = torch.from_numpy(points).float()
    picture = tensor(data.astronaut())
    flipped = picture.clone()
    flipped[..., 110:190, 180:270] = picture[..., 110:190, 180:270].flip(-2)
    person = embedded(network, picture, landmarks)

    def loss(changed: torch.Tensor) -> torch.Tensor:
        return identity_loss(embedded(network, changed, landmarks), person)

    brighter, other = (float(loss(changed)) for changed in (picture + 0.1, flipped))
    assert 0 < brighter < other / 3
    (gradient,) = torch.autograd.grad(loss(flipped.requires_grad_()), flipped)
    assert float(loss(flipped.detach() - 0.02 * gradient.sign())) < 0.9 * other


def test_animation_counts_it(network: DlibFace, seen: tuple[np.ndarray, np.ndarray, Any]) -> None:
    _, points, _ = seen
    landmarks = torch.zeros(1, 68, 2)
    landmarks[0, list(CHIP_IBUG)] = torch.from_numpy(points).float()
    picture = tensor(data.astronaut())
    moments = Moments(picture, torch.empty(0), torch.empty(0), landmarks)
    terms = {}
    for weight in (0.0, 1.0, 3.0):
        config = LossConfig(recogniser="dlib", identity=weight, local=0.0, small_scales=(0,))
        loss = load_objective(config, debug_sizes(), "efficientnet-lite0")
        wanted = loss.wanted(moments, 512, large=False)
        terms[weight] = loss.terms(picture.flip(-1), wanted)
        assert float(loss.terms(picture, wanted).get("identity", 0)) == pytest.approx(0, abs=1e-6)
    assert "identity" not in terms[0.0]
    assert float(terms[1.0]["identity"]) > 0.01
    torch.testing.assert_close(terms[3.0]["identity"], 3 * terms[1.0]["identity"])


def test_animation_does_without_it_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dlib_files, "WHEEL", "not-installed-here")
    _say.cache_clear()
    with pytest.warns(LossLeftOut, match=r"without identity .*countenance\[evaluation\]"):
        loss = load_objective(LossConfig(recogniser="dlib"), debug_sizes(), "efficientnet-lite0")
    assert loss.recogniser is None
    _say.cache_clear()


def test_a_damaged_file_is_told(network: DlibFace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = dlib_file(RECOGNITION, "a test").read_bytes()
    for name, content, words in (
        ("short.dat", whole[:30_000], "can't be read"),
        ("other.dat", b"no network at all", "no network of dlib's"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(WeightsDamaged, match=words):
            read_layers(tmp_path / name)
    cut = whole.rfind(b"\x01\x05con_4")
    for name, content in (("fewer.dat", whole[:cut]), ("more.dat", whole + whole[cut:])):
        (tmp_path / name).write_bytes(content)
        other = tmp_path / name
        monkeypatch.setattr("countenance.losses.dlib_face.dlib_file", lambda *_, other=other: other)
        with pytest.raises(WeightsDamaged, match=r"another network than .*--force-reinstall"):
            load_dlib_face()


def test_a_wheel_that_lost_its_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gone = SimpleNamespace(name=RECOGNITION, locate=lambda: tmp_path / RECOGNITION)
    monkeypatch.setattr(dlib_files, "files", lambda _: [gone])
    with pytest.raises(WeightsMissing, match="--force-reinstall"):
        load_dlib_face()


def test_without_the_wheel_the_way_to_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dlib_files, "WHEEL", "not-installed-here")
    with pytest.raises(DependencyMissing, match=r"countenance\[evaluation\]"):
        load_dlib_face()
