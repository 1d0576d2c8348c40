from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from countenance.errors import BadValue, UnknownName, WeightsDamaged, WeightsMissing
from countenance.evaluation.metrics.arcface import (
    aligned_face,
    face_embedding_arcface,
    identity_cosine_arcface,
)
from countenance.evaluation.metrics.iresnet import SOURCE, IResNet, load_arcface
from countenance.face.alignment import ARCFACE_PX
from countenance.face.procrustes import similarity
from seeded import seeded_by_name

# of _iresnet in modelscope 1.40.2, a copy of InsightFace's arcface_torch
DIGESTS = {
    "r50": "d80a68220d7280f122e963b79668ab37c22a7f522a863f8f1aa9e039b402b613",
    "r100": "dc48aa67c7449a7caf250153f36da2fc4a3288e632c3667206a7cda2a14b3842",
}


def shapes(depth: str) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {name: tuple(t.shape) for name, t in IResNet(depth).state_dict().items()}


def face_at(points_px: np.ndarray) -> np.ndarray:
    """(478, 3) landmarks of which only those count whose place is given: eyes, nose tip, mouth's corners."""
    landmarks = np.full((478, 3), 7, np.float32)
    right_eye, left_eye, nose, *mouth = points_px
    corners = np.array([[-20, 3], [20, -3]])
    landmarks[[33, 133], :2] = right_eye + corners
    landmarks[[362, 263], :2] = left_eye + corners
    landmarks[[4, 61, 291], :2] = [nose, *mouth]
    return landmarks


def waves(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return (127 + 90 * np.sin(x[..., None] / [7, 9, 11] + y[..., None] / [13, 5, 8])).astype(np.uint8)


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    """A stand-in for the authors' file: its names and shapes, filled from a seed."""
    return seeded_by_name(shapes("r50"))


@pytest.fixture
def assets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COUNTENANCE_ASSETS", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("depth", DIGESTS)
def test_names_and_shapes_are_the_authors(depth: str) -> None:
    listed = "\n".join(f"{name} {shape}" for name, shape in sorted(shapes(depth).items()))
    assert sha256(listed.encode()).hexdigest() == DIGESTS[depth]


def test_the_network_gives_the_authors_numbers(state: dict[str, Tensor], assets: Path) -> None:
    path = assets / "arcface_r50.pth"
    torch.save(state, path)
    network = load_arcface()
    path.unlink()  # 175 MB
    assert not network.training
    picture = (np.arange(112 * 112 * 3) * 7919 % 251).astype(np.uint8).reshape(112, 112, 3)
    landmarks = face_at(np.array(ARCFACE_PX) + 0.5)
    np.testing.assert_array_equal(aligned_face(picture, landmarks), picture)
    embedding = face_embedding_arcface(picture, landmarks, network)
    assert embedding.shape == (512,)
    # computed once with _iresnet of modelscope 1.40.2, a copy of InsightFace's arcface_torch, on the same weights
    expected = [-0.8969154, 14.87117, -7.317883, 315.9522]
    found = [*embedding[[0, 1, 511]], np.linalg.norm(embedding)]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)
    assert identity_cosine_arcface(embedding, embedding) == pytest.approx(1)


def test_faces_are_aligned_as_insightface_does() -> None:
    points = np.array([[210.3, 180.9], [300.1, 165.2], [262.7, 230.4], [232.2, 291.6], [311.9, 275.3]])
    # estimate_norm of insightface 2.1, whose first pixel lies at (0, 0)
    matrix = np.array([[0.36323013, -0.05817115, -26.36060538], [0.05817115, 0.36323013, -26.48729525]])
    picture = waves(480, 512)
    expected = cv2.warpAffine(picture, matrix, (112, 112))
    found = aligned_face(picture, face_at(points + 0.5))
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_a_similarity_in_the_plane_does_not_mirror() -> None:
    template = np.array(ARCFACE_PX)
    turn = np.array([[np.cos(2.0), -np.sin(2.0)], [np.sin(2.0), np.cos(2.0)]])
    scale, rotation, shift = similarity(template, 0.3 * template @ turn.T + [5, -7])
    assert scale == pytest.approx(0.3)
    np.testing.assert_allclose(rotation, turn, atol=1e-12)
    np.testing.assert_allclose(shift, [5, -7], atol=1e-12)
    assert np.linalg.det(similarity(template * [-1, 1], template)[1]) == pytest.approx(1)


def test_where_the_picture_ends_it_is_black() -> None:
    points = np.array(ARCFACE_PX) + 0.5 - [40, 0]
    found = aligned_face(np.full((112, 112, 3), 200, np.uint8), face_at(points))
    assert (found[:, :39] == 0).all()
    assert (found[:, 41:] == 200).all()


def test_the_cosine_is_that_of_the_angle() -> None:
    first = np.array([1.0, 0, 0])
    assert identity_cosine_arcface(first, np.array([1.0, 1, 0])) == pytest.approx(np.sqrt(0.5))
    assert identity_cosine_arcface(first, -3 * first) == pytest.approx(-1)


def test_missing_weights_say_how_to_get_them(assets: Path) -> None:
    with pytest.raises(WeightsMissing) as error:
        load_arcface("r100")
    line = str(error.value)
    assert "\n" not in line
    assert SOURCE in line
    assert "non-commercial" in line
    assert str(assets / "arcface_r100.pth") in line


def test_other_files_are_noticed(assets: Path) -> None:
    path = assets / "arcface_r50.pth"
    torch.save({"layer3.29.bn1.weight": torch.zeros(256), "bn1.bias": torch.zeros(64)}, path)
    with pytest.raises(WeightsDamaged, match=r"'bn1\.running_mean' is missing"):
        load_arcface()
    torch.save({"epoch": 3, "state_dict": {}}, path)
    with pytest.raises(WeightsDamaged, match=f"'epoch' is no tensor; get it again from {SOURCE}"):
        load_arcface()
    torch.save(torch.nn.Linear(2, 2), path)
    with pytest.raises(WeightsDamaged, match="asks to run Python code"):
        load_arcface()


def test_another_depth_is_refused() -> None:
    with pytest.raises(UnknownName, match="r50"):
        load_arcface("r34")


@pytest.mark.parametrize(
    ("landmarks", "says"),
    [
        (np.zeros((68, 3), np.float32), r"\(478, 3\)"),
        (np.full((478, 3), np.nan, np.float32), "NaN"),
        (np.zeros((478, 3), np.float32), "one point"),
    ],
)
def test_other_landmarks_are_refused(landmarks: np.ndarray, says: str) -> None:
    with pytest.raises(BadValue, match=says):
        aligned_face(waves(64, 64), landmarks)
