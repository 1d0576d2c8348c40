from __future__ import annotations

import numpy as np
import pytest

from countenance.arrays import Doubles, Floats
from countenance.errors import MotionInvalid
from countenance.face.mediapipe_model import mediapipe_model, mirrored_vertices
from countenance.face.mediapipe_topology import FACE_OVAL, INNER_LIPS_LOWER, INNER_LIPS_UPPER, IRISES, REGIONS
from countenance.face.shape_sliders import ARKIT_SLIDERS, shape_basis, shape_change, shape_sliders
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT, SPACES

NAMES = [slider.name for slider in ARKIT_SLIDERS]
IRIS = [point for ring in IRISES for point in ring]


def field(name: str) -> Floats:
    return shape_basis()[NAMES.index(name)]


def reach(name: str, vertices: tuple[int, ...]) -> float:
    return float(np.linalg.norm(field(name)[list(vertices)], axis=1).max())


@pytest.mark.parametrize("name", NAMES)
def test_both_sides_change_alike_and_by_a_believable_amount(name: str) -> None:
    moved = field(name)
    assert moved.shape == (478, 3)
    np.testing.assert_allclose(moved[mirrored_vertices()] * (-1, 1, 1), moved, atol=1e-5)
    assert 0.2 < np.linalg.norm(moved, axis=1).max() < 1.2  # cm, of a face 18 cm high


@pytest.mark.parametrize("name", NAMES)
def test_neighbours_move_alike(name: str) -> None:
    model = mediapipe_model()
    triangles = model.triangles
    edges = np.concatenate([triangles[:, pair] for pair in ([0, 1], [1, 2], [2, 0])])
    one, other = edges.T
    stretch = np.linalg.norm(field(name)[one] - field(name)[other], axis=1)
    assert (stretch <= 0.5 * np.linalg.norm(model.mean[one] - model.mean[other], axis=1) + 1e-6).all()


@pytest.mark.parametrize("value", [-1.0, 1.0])
@pytest.mark.parametrize("name", NAMES)
def test_no_triangle_folds_seen_from_the_front(name: str, value: float) -> None:
    model = mediapipe_model()
    before = areas(model.mean, model.triangles)
    after = areas(model.mean + value * field(name), model.triangles)
    skin = (np.abs(before) > 0.01) & ~np.isin(model.triangles, IRIS).any(axis=1)
    assert (after[skin] / before[skin]).min() > 0.3


def areas(points: Floats, triangles: Floats | np.ndarray) -> Doubles:
    a, b, c = (points[triangles[:, k], :2].astype(np.float64) for k in range(3))
    return ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2


@pytest.mark.parametrize(
    ("name", "still"),
    [
        ("noseWidth", FACE_OVAL),
        ("noseLength", FACE_OVAL),
        ("eyeSize", REGIONS["lips"]),
        ("eyeDistance", REGIONS["lips"]),
        ("browHeight", REGIONS["lips"]),
        ("mouthWidth", REGIONS["leftEye"]),
        ("lipFullness", (*REGIONS["leftEye"], *INNER_LIPS_UPPER, *INNER_LIPS_LOWER)),
        ("chinLength", REGIONS["leftEye"]),
        ("jawWidth", REGIONS["leftBrow"]),
        ("foreheadHeight", REGIONS["lips"]),
        ("cheekFullness", REGIONS["lips"]),
    ],
)
def test_what_is_far_away_stays(name: str, still: tuple[int, ...]) -> None:
    share = 0.0 if name != "lipFullness" else 0.5  # lips also come forward, inside and outside alike
    assert reach(name, still) <= share * np.linalg.norm(field(name), axis=1).max() + 1e-3


def test_full_lips_neither_open_nor_close_the_mouth() -> None:
    moved = field("lipFullness")
    assert np.abs(moved[[*INNER_LIPS_UPPER, *INNER_LIPS_LOWER], 1]).max() < 1e-6


def test_no_slider_has_the_name_of_a_coefficient() -> None:
    for space in SPACES.values():
        names = [slider.name for slider in shape_sliders(space.name)]
        assert not set(names) & set(space.names)
        assert len(set(names)) == len(names)
    assert [len(shape_sliders(name)) for name in ("arkit", "bfm", "flame")] == [len(NAMES), 0, 100]


def test_change_counts_from_the_persons_own_shape() -> None:
    own = Motion.neutral(ARKIT, 1, 25.0)
    half = Motion(own.values, ARKIT, 25.0, identity=np.full(len(NAMES), 0.5))
    assert shape_change(own, own) is None
    assert shape_change(half, half) is None
    np.testing.assert_array_equal(shape_change(half, own), 0.5)
    np.testing.assert_array_equal(shape_change(own, half), -0.5)
    with pytest.raises(MotionInvalid, match="3 numbers"):
        shape_change(Motion(own.values, ARKIT, 25.0, identity=np.zeros(3)), own)
