"""FLAME and DECA's camera against the numbers of DECA's public code, and the loader against wrong files."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from scipy import sparse

from countenance.errors import BadValue, WeightsDamaged, WeightsMissing
from countenance.face.deca_code import DecaCode, image_axes, normalised, project, to_picture
from countenance.face.flame import PARENTS, FlameModel, full_pose, load_flame
from countenance.face.rotations import rotation_from_axis_angle
from countenance.face.surface_points import SurfacePoints

TOLERANCE = 1e-5


def wrong(case, found: dict) -> dict[str, float]:
    return {name: error for name in found if (error := case.error(name, found[name])) > TOLERANCE}


@pytest.fixture
def skinning_case(parity) -> tuple[FlameModel, object]:
    """The bare skinning case: weights as the layer takes them, no landmarks."""
    case = parity("flame/lbs")
    weights = load_file(case.folder / "weights.safetensors")
    directions = weights["shapedirs"].transpose(2, 0, 1)
    assert tuple(weights["parents"]) == PARENTS
    nowhere = SurfacePoints.at_vertices([0])
    model = FlameModel(
        name="flame",
        mean=weights["v_template"],
        identity_basis=directions[:10],
        expression_basis=directions[10:],
        expression_names=tuple("abcde"),
        triangles=np.zeros((0, 3), np.int32),
        landmark_points=nowhere,
        regions={},
        cm_per_unit=100.0,
        pose_basis=weights["posedirs"].reshape(36, -1, 3),
        joint_regressor=weights["J_regressor"],
        skinning_weights=weights["lbs_weights"],
        inner_landmarks=nowhere,
        contour=nowhere,
    )
    return model, case


def test_every_step_of_the_skinning(skinning_case) -> None:
    model, case = skinning_case
    betas, pose = case.given["betas"], case.given["pose"]
    skin = model.skin(betas[:, :10], betas[:, 10:], pose)
    local, offsets = np.asarray(skin.local_rotations), np.asarray(skin.offsets)
    transforms = np.zeros((len(pose), 5, 4, 4))
    transforms[..., :3, :3], transforms[..., :3, 3], transforms[..., 3, 3] = skin.rotations, offsets, 1
    found = {
        "v_shaped": model.shape(betas[:, :10], betas[:, 10:]),
        "joints_rest": skin.rest_joints,
        "rotations": local,
        "pose_feature": (local[:, 1:] - np.eye(3)).reshape(-1, 36),
        "v_posed_before_skinning": skin.corrected,
        "joint_transforms": transforms,
        "joints_posed": skin.joints,
        "vertices": skin.vertices,
    }
    assert set(found) == set(case.expected)
    assert wrong(case, found) == {}


def test_the_comparison_can_fail(skinning_case) -> None:
    """Negative control: one pose corrective off by 1 in 100, and one vertex hung on another joint."""
    model, case = skinning_case
    betas, pose = case.given["betas"], case.given["pose"]
    correctives, weights = model.pose_basis.copy(), model.skinning_weights.copy()
    correctives[3] *= 1.01
    weights[7] = np.roll(weights[7], 1)
    for changed in (replace(model, pose_basis=correctives), replace(model, skinning_weights=weights)):
        assert case.error("vertices", changed.vertices(betas[:, :10], betas[:, 10:], pose)) > TOLERANCE


def test_the_rest_pose_leaves_the_shape(skinning_case) -> None:
    model, case = skinning_case
    betas = case.given["betas"]
    still = model.vertices(betas[:, :10], betas[:, 10:])
    np.testing.assert_allclose(np.asarray(still), case.expected["v_shaped"], atol=1e-5)


def test_the_whole_layer(parity) -> None:
    case = parity("flame/flame-layer")
    model = load_flame(
        case.folder / "generic_model.pkl", case.folder / "landmark_embedding.safetensors", 10, 5
    )
    identity, expression, camera = case.given["shape"], case.given["exp"], case.given["camera"]
    pose = full_pose(case.given["pose"], eyes=case.given["eye_pose"])
    vertices = model.vertices(identity, expression, pose)
    edge, fixed = model.edge_landmarks(vertices, pose), model.landmarks(vertices)
    rows = np.asarray(model.contour_rows(pose))
    embedding = load_file(case.folder / "landmark_embedding.safetensors")
    assert len(set(rows.tolist())) > 2, "the case turns the head both ways"
    np.testing.assert_array_equal(embedding["dynamic_lmk_faces_idx"][rows], case.expected["contour_faces"])
    seen = {name: image_axes(project(x, camera)) for name, x in (("v", vertices), ("e", edge), ("f", fixed))}
    found = {
        "full_pose": pose,
        "vertices": vertices,
        "vertices_without_eye_pose": model.vertices(identity, expression, full_pose(case.given["pose"])),
        "landmarks2d_world": edge,
        "landmarks3d_world": fixed,
        "contour_barycentric": embedding["dynamic_lmk_bary_coords"][rows],
        "trans_verts": seen["v"],
        "landmarks2d": seen["e"][..., : case.expected["landmarks2d"].shape[-1]],
        "landmarks3d": seen["f"],
    }
    assert set(found) | {"contour_faces"} == set(case.expected)
    assert wrong(case, found) == {}


def test_the_loader_keeps_the_layers_own_numbers(shared: Path) -> None:
    folder = shared / "parity/flame/flame-layer"
    model = load_flame(folder / "generic_model.pkl", folder / "landmark_embedding.safetensors", 10, 5)
    layer = load_file(folder / "weights.safetensors")
    directions = np.concatenate([model.identity_basis, model.expression_basis]).transpose(1, 2, 0)
    np.testing.assert_array_equal(directions, layer["shapedirs"])
    np.testing.assert_array_equal(model.pose_basis.reshape(36, -1), layer["posedirs"])
    np.testing.assert_array_equal(model.joint_regressor, layer["J_regressor"])
    np.testing.assert_array_equal(model.triangles, layer["faces_tensor"])
    np.testing.assert_array_equal(model.skinning_weights, layer["lbs_weights"])


def test_operations_of_the_camera_and_the_code(parity) -> None:
    case = parity("flame/ops")
    code = DecaCode.split(case.given["parameters"])
    projected = project(case.given["points"], case.given["camera"])
    pixels = to_picture(image_axes(projected), case.given["crop_to_original"])
    height, width = np.asarray(case.given["original_height_width"]).tolist()
    found = {
        "rotation_matrices": rotation_from_axis_angle(case.given["axis_angles"]),
        "projected": projected,
        "trans_verts": image_axes(projected),
        "points_in_original_image_px": pixels,
        "points_in_original_image_normalised": normalised(pixels, height, width),
        "code.shape": code.identity,
        "code.tex": code.texture,
        "code.exp": code.expression,
        "code.pose": code.pose,
        "code.cam": code.camera,
        "code.light": code.light,
    }
    assert set(found) == set(case.expected)
    assert wrong(case, found) == {}
    with pytest.raises(BadValue, match="236"):
        DecaCode.split(case.given["parameters"][:, 1:])


# ---- the files, without the parity numbers

COUNT, FACES = 20, 30


def model_content() -> dict[str, object]:
    rng = np.random.default_rng(0)
    parents = np.array([[2**32 - 1, 0, 1, 1, 1], [0, 1, 2, 3, 4]])
    return {
        "f": rng.integers(0, COUNT, (FACES, 3)).astype(np.uint32),
        "v_template": rng.normal(size=(COUNT, 3)),
        "shapedirs": rng.normal(size=(COUNT, 3, 400)),
        "posedirs": rng.normal(size=(COUNT, 3, 36)),
        "J_regressor": sparse.csc_matrix(rng.uniform(size=(5, COUNT))),
        "kintree_table": parents,
        "weights": rng.dirichlet(np.ones(5), COUNT),
    }


def landmark_content() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    shapes = {"static": (51,), "dynamic": (79, 17), "full": (1, 68)}
    return {
        f"{name}_lmk_{what}": array
        for name, shape in shapes.items()
        for what, array in (
            ("faces_idx", rng.integers(0, FACES, shape)),
            ("bary_coords", rng.dirichlet(np.ones(3), shape).astype(np.float32)),
        )
    }


@pytest.fixture
def files(tmp_path: Path) -> Callable[..., tuple[Path, Path]]:
    """Writes a model and an embedding with some entries changed, or left out where None is said."""

    def write(**changes) -> tuple[Path, Path]:
        model, landmarks = tmp_path / "generic_model.pkl", tmp_path / "landmark_embedding.safetensors"
        contents = model_content(), landmark_content()
        for content in contents:
            content.update({key: value for key, value in changes.items() if key in content})
        kept = [{key: value for key, value in content.items() if value is not None} for content in contents]
        model.write_bytes(pickle.dumps(kept[0], protocol=2))
        save_file(kept[1], landmarks)
        return model, landmarks

    return write


def test_published_layouts(files, tmp_path: Path) -> None:
    """DECA's own embedding, a pickled dict with torch tensors, reads as the safetensors does."""
    torch = pytest.importorskip("torch")
    model, landmarks = files()
    content: dict[str, object] = {**landmark_content()}
    for name in ("dynamic_lmk_faces_idx", "dynamic_lmk_bary_coords"):
        content[name] = torch.from_numpy(landmark_content()[name])
    published = tmp_path / "landmark_embedding.npy"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.save(published, content, allow_pickle=True)
    ours, theirs = load_flame(model, landmarks), load_flame(model, published)
    assert (ours.identity_size, ours.expression_size) == (100, 50)
    for points in ("landmark_points", "inner_landmarks", "contour"):
        a, b = getattr(ours, points), getattr(theirs, points)
        np.testing.assert_array_equal(a.corners, b.corners)
        np.testing.assert_array_equal(a.weights, b.weights)


def test_columns_of_identity_and_expression(files) -> None:
    model = load_flame(*files(), identity_size=7, expression_size=4)
    directions = model_content()["shapedirs"].astype(np.float32)
    np.testing.assert_array_equal(model.identity_basis[6], directions[..., 6])
    np.testing.assert_array_equal(model.expression_basis[0], directions[..., 300])
    assert model.expression_names == ("exp00", "exp01", "exp02", "exp03")
    with pytest.raises(BadValue, match="ask for fewer"):
        load_flame(*files(), identity_size=301)


def test_the_eyes_are_told_apart_by_where_they_are(files) -> None:
    weights = np.zeros((COUNT, 5))
    weights[:, 0] = 1
    weights[3], weights[4] = np.eye(5)[3], np.eye(5)[4]
    regressor = np.zeros((5, COUNT))
    regressor[3, 3] = regressor[4, 4] = 1
    template = model_content()["v_template"]
    template[3], template[4] = (0.03, 0, 0), (-0.03, 0, 0)
    model = load_flame(*files(weights=weights, J_regressor=regressor, v_template=template))
    assert model.regions["left_eyeball"].tolist() == [3]
    assert model.regions["right_eyeball"].tolist() == [4]


@pytest.mark.parametrize(
    ("degrees", "row"), [(0, 0), (20, 20), (39, 39), (80, 39), (-1, 40), (-39, 78), (-80, 78)]
)
def test_rows_of_the_contour(files, kind, degrees: float, row: int) -> None:
    model = load_flame(*files())
    for part in (0, 3):
        pose = np.zeros((1, 15), np.float32)
        pose[0, part + 1] = np.deg2rad(degrees)
        assert int(model.contour_rows(kind(pose))[0]) == row


def test_gradients_reach_every_coefficient_at_rest(files) -> None:
    torch = pytest.importorskip("torch")
    model = load_flame(*files(), identity_size=4, expression_size=3)
    given = [torch.zeros(1, size, requires_grad=True) for size in (4, 3, 15)]
    vertices = model.vertices(*given)
    (model.landmarks(vertices) * torch.arange(3.0)).sum().backward()
    for coefficients in given:
        assert torch.isfinite(coefficients.grad).all()
        assert (coefficients.grad != 0).all()


def test_everything_stays_on_the_device_of_the_input(files) -> None:
    """On torch's device without memory; a constant left on another would be an error."""
    torch = pytest.importorskip("torch")
    model = load_flame(*files(), identity_size=4, expression_size=3)
    identity, expression, pose = (torch.zeros(2, size, device="meta") for size in (4, 3, 15))
    vertices = model.vertices(identity, expression, pose)
    found = [vertices, model.vertices(identity, expression), model.landmarks(vertices)]
    assert {x.device.type for x in [*found, model.edge_landmarks(vertices, pose)]} == {"meta"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"posedirs": None}, "no array 'posedirs'"),
        ({"v_template": np.zeros((COUNT, 2))}, "'v_template' has shape"),
        ({"shapedirs": np.zeros((COUNT, 3, 300))}, "'shapedirs' has shape"),
        ({"weights": np.full((COUNT, 5), np.inf)}, "'weights' holds NaN or infinite"),
        ({"f": np.full((FACES, 3), COUNT)}, "'f' holds indices"),
        ({"f": np.array(["a"])}, "not numbers"),
        ({"kintree_table": np.zeros((2, 5))}, "joints"),
        ({"full_lmk_faces_idx": None}, "no array 'full_lmk_faces_idx'"),
        ({"static_lmk_faces_idx": np.full(51, FACES)}, "'static_lmk_faces_idx' holds indices"),
        ({"dynamic_lmk_bary_coords": np.zeros((79, 17, 2))}, "'dynamic_lmk_bary_coords' has shape"),
    ],
)
def test_wrong_files_are_refused_in_one_line(files, changes, said: str) -> None:
    with pytest.raises(WeightsDamaged, match=said) as refused:
        load_flame(*files(**changes))
    assert "\n" not in str(refused.value)


def test_files_that_are_no_model(files, tmp_path: Path) -> None:
    model, landmarks = files()
    with pytest.raises(WeightsMissing, match="absent"):
        load_flame(tmp_path / "absent.pkl", landmarks)
    with pytest.raises(WeightsMissing, match="absent"):
        load_flame(model, tmp_path / "absent.safetensors")
    landmarks.write_bytes(b"text")
    with pytest.raises(WeightsDamaged, match="no safetensors"):
        load_flame(model, landmarks)
    model.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(WeightsDamaged, match="no dict"):
        load_flame(model, landmarks)
