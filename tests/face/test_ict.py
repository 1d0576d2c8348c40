"""ICT-FaceKit: names, axes and units, and the loader against wrong files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from countenance.errors import WeightsDamaged, WeightsMissing
from countenance.face.ict import IctModel, arkit_from_ict, arkit_name, ict_from_arkit, load_ict

ARKIT_NAMES = """
eyeBlinkLeft eyeLookDownLeft eyeLookInLeft eyeLookOutLeft eyeLookUpLeft eyeSquintLeft eyeWideLeft
eyeBlinkRight eyeLookDownRight eyeLookInRight eyeLookOutRight eyeLookUpRight eyeSquintRight eyeWideRight
jawForward jawLeft jawRight jawOpen mouthClose mouthFunnel mouthPucker mouthLeft mouthRight
mouthSmileLeft mouthSmileRight mouthFrownLeft mouthFrownRight mouthDimpleLeft mouthDimpleRight
mouthStretchLeft mouthStretchRight mouthRollLower mouthRollUpper mouthShrugLower mouthShrugUpper
mouthPressLeft mouthPressRight mouthLowerDownLeft mouthLowerDownRight mouthUpperUpLeft mouthUpperUpRight
browDownLeft browDownRight browInnerUp browOuterUpLeft browOuterUpRight cheekPuff cheekSquintLeft
cheekSquintRight noseSneerLeft noseSneerRight tongueOut
""".split()  # noqa: SIM905


@pytest.fixture(scope="module")
def ict(shared: Path) -> IctModel:
    path = shared / "models/ict_facekit_light.npz"
    if not path.is_file():
        pytest.skip("no ICT-FaceKit beside the checkout")
    return load_ict(path)


def moved_by(model: IctModel, expression: str) -> np.ndarray:
    return model.expression_basis[model.expression_names.index(expression)]


def center_of_motion(model: IctModel, expression: str) -> np.ndarray:
    weights = np.linalg.norm(moved_by(model, expression), axis=1)
    return weights @ model.mean / weights.sum()


def test_sizes(ict: IctModel) -> None:
    assert ict.mean.shape == (26719, 3)
    assert (ict.identity_size, ict.expression_size, len(ict.landmark_points)) == (100, 53, 68)
    assert len(ict.triangles) == len(ict.triangle_materials) == 2 * 26384 - 548


def test_axes_y_up_z_to_the_camera_x_to_the_persons_left(ict: IctModel) -> None:
    landmarks = ict.landmarks(ict.mean[None])[0]
    chin, nose, right_eye, left_eye = (
        landmarks[8],
        landmarks[30],
        landmarks[36:42].mean(0),
        landmarks[42:48].mean(0),
    )
    assert left_eye[0] > 2 > -2 > right_eye[0]
    assert min(left_eye[1], right_eye[1]) > nose[1] > chin[1]
    assert nose[2] > max(left_eye[2], right_eye[2], chin[2])
    assert center_of_motion(ict, "eyeBlink_L")[0] > 2
    assert moved_by(ict, "jawOpen").sum(0)[1] < 0
    assert moved_by(ict, "jawLeft").sum(0)[0] > 0


def test_lengths_are_centimetres(ict: IctModel) -> None:
    irises = [ict.mean[ict.regions[f"{side}_iris"]].mean(0) for side in ("left", "right")]
    assert 5.5 < np.linalg.norm(irises[0] - irises[1]) * ict.cm_per_unit < 7.0, (
        "adults' eyes are 54 to 74 mm apart"
    )


def test_triangles_face_outwards(ict: IctModel) -> None:
    """Eyeballs are nearly round, and the nose looks to the front."""
    a, b, c = (ict.mean[ict.triangles[:, corner]] for corner in range(3))
    normals = np.cross(b - a, c - a)
    for side in ("left", "right"):
        inside = np.isin(ict.triangles, ict.regions[f"{side}_eyeball"]).all(1)
        material = np.isin(
            ict.triangle_materials, [i for i, m in enumerate(ict.material_names) if "Sclera" in m]
        )
        outwards = a - ict.mean[ict.regions[f"{side}_eyeball"]].mean(0)
        ball = inside & material
        assert (normals[ball] * outwards[ball]).sum() > 0
    assert normals[np.isin(ict.triangles, ict.regions["nose"]).all(1)].sum(0)[2] > 0


def test_regions_are_where_their_names_say(ict: IctModel) -> None:
    def middle(region: str) -> np.ndarray:
        return ict.mean[ict.regions[region]].mean(0)

    for feature in ("eye", "brow", "eyeball", "iris"):
        assert middle(f"left_{feature}")[0] > 1.5
        assert middle(f"right_{feature}")[0] < -1.5
    assert middle("left_brow")[1] > middle("left_eye")[1] > middle("nose")[1] > middle("lips")[1]
    pucker = np.linalg.norm(moved_by(ict, "mouthPucker"), axis=1)
    assert pucker[ict.regions["lips"]].mean() > 4 * pucker[ict.regions["face"]].mean()
    assert not set(ict.regions["lips"]) & set(ict.regions["teeth"])


def test_vertices_in_both_kinds(ict: IctModel, kind) -> None:
    identity, expression = np.zeros((1, 100), np.float32), np.zeros((1, 53), np.float32)
    expression[0, ict.expression_names.index("jawOpen")] = 0.5
    identity[0, 3] = 1
    vertices = np.asarray(ict.vertices(kind(identity), kind(expression)))[0]
    expected = ict.mean + ict.identity_basis[3] + 0.5 * moved_by(ict, "jawOpen")
    np.testing.assert_allclose(vertices, expected, atol=1e-5)


def test_every_expression_has_an_arkit_name(ict: IctModel) -> None:
    assert {arkit_name(name) for name in ict.expression_names} == set(ARKIT_NAMES) - {"tongueOut"}


def test_there_and_back_is_the_same_except_for_the_tongue(ict: IctModel) -> None:
    there = ict_from_arkit(ict.expression_names, ARKIT_NAMES)
    back = arkit_from_ict(ict.expression_names, ARKIT_NAMES)
    kept = np.eye(52, dtype=np.float32)
    kept[ARKIT_NAMES.index("tongueOut")] = 0
    np.testing.assert_array_equal(there @ back, kept)


def test_split_shapes() -> None:
    ict_names, arkit_names = (
        ["browInnerUp_L", "browInnerUp_R", "eyeBlink_R", "jawOpen"],
        ["browInnerUp", "jawOpen"],
    )
    np.testing.assert_array_equal(
        np.float32([[0.6, 0.2]]) @ ict_from_arkit(ict_names, arkit_names), np.float32([[0.6, 0.6, 0, 0.2]])
    )
    np.testing.assert_allclose(
        np.float32([[0.6, 0.2, 1, 0.5]]) @ arkit_from_ict(ict_names, arkit_names), [[0.4, 0.5]], rtol=1e-6
    )


# ---- the file, without the real model


def small_file(path: Path, **changes) -> Path:
    """80 vertices in the layout of ``ict_facekit_light.npz``; None leaves an array out."""
    rng = np.random.default_rng(0)
    quads = np.array([[0, 1, 2, 3], [4, 5, 6, 6], [7, 8, 9, 10]], np.int32)
    arrays = {
        "neutral": rng.normal(size=(80, 3)).astype(np.float32),
        "identities": rng.normal(size=(2, 80, 3)).astype(np.float16),
        "expressions": rng.normal(size=(2, 80, 3)).astype(np.float16),
        "expression_names": np.array(["jawOpen", "eyeBlink_L"]),
        "quads": quads,
        "material": np.array([0, 1, 0], np.int16),
        "material_names": np.array(["M_Face", "M_Teeth"]),
        "index_json": np.array(json.dumps({"idx_to_landmark_verts": list(range(68))})),
    } | changes
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def test_quads_become_triangles_that_keep_their_material(tmp_path: Path) -> None:
    model = load_ict(small_file(tmp_path / "ict.npz"))
    assert model.triangles.tolist() == [[0, 1, 2], [0, 2, 3], [4, 5, 6], [7, 8, 9], [7, 9, 10]]
    assert model.triangle_materials.tolist() == [0, 0, 1, 0, 0]
    assert model.regions["face"].tolist() == [0, 1, 2, 3, 7, 8, 9, 10]
    assert model.regions["teeth"].tolist() == [4, 5, 6]
    assert model.regions["left_eyeball"].tolist() == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"neutral": None}, "no array 'neutral'"),
        ({"identities": np.zeros((2, 79, 3))}, "'identities' has shape"),
        ({"expressions": np.zeros((3, 80, 3))}, "'expressions' has shape"),
        ({"expression_names": np.arange(2)}, "'expression_names'"),
        ({"quads": np.full((3, 4), 80)}, "'quads' holds indices"),
        ({"material": np.array([0, 1, 2])}, "'material' holds indices"),
        ({"index_json": np.array("{}")}, "'index_json'"),
        ({"index_json": np.array("no json")}, "'index_json'"),
        ({"index_json": np.array('{"idx_to_landmark_verts": [1, 2]}')}, "'landmarks' has shape"),
        ({"neutral": np.array([{}], dtype=object)}, "no .npz file"),
    ],
)
def test_wrong_files_are_refused_in_one_line(tmp_path: Path, changes, said: str) -> None:
    with pytest.raises(WeightsDamaged, match=said) as refused:
        load_ict(small_file(tmp_path / "ict.npz", **changes))
    assert "\n" not in str(refused.value)


def test_files_that_are_no_model(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"absent\.npz"):
        load_ict(tmp_path / "absent.npz")
    path = small_file(tmp_path / "ict.npz")
    for content in (b"", b"text", path.read_bytes()[:500]):
        path.write_bytes(content)
        with pytest.raises(WeightsDamaged, match=r"no \.npz|empty"):
            load_ict(path)
