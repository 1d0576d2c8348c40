"""BFM against the numbers of Deep3DFaceRecon_pytorch, and its loader against wrong files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from countenance.errors import BadValue, WeightsDamaged, WeightsMissing
from countenance.face.bfm import (
    INITIAL_LIGHT,
    BfmCoefficients,
    lit,
    load_bfm,
    project,
    projection_matrix,
    to_camera,
)
from countenance.face.rotations import rotation_from_angles

TOLERANCE = 1e-5


def small_file(path: Path, **changes) -> Path:
    """A random model of 70 vertices in the published layout; None leaves an array out."""
    rng = np.random.default_rng(0)
    count, faces = 70, 20
    arrays = {
        "meanshape": rng.normal(size=(1, 3 * count)),
        "idBase": rng.normal(size=(3 * count, 80)),
        "exBase": rng.normal(size=(3 * count, 64)),
        "meantex": rng.uniform(0, 255, (1, 3 * count)),
        "texBase": rng.normal(size=(3 * count, 80)),
        "tri": rng.integers(1, count + 1, (faces, 3)),
        "point_buf": rng.integers(1, faces + 2, (count, 8)),
        "keypoints": rng.permutation(count)[None, :68] + 1,
        "frontmask2_idx": np.arange(1, 11)[:, None],
        "tri_mask2": rng.integers(1, count + 1, (5, 3)),
        "skinmask": np.arange(count)[None] % 2,
    } | changes
    savemat(path, {name: np.float32(array) for name, array in arrays.items() if array is not None})
    return path


def test_everything_that_the_published_code_computes(parity) -> None:
    case = parity("bfm/synthetic-60")
    model = load_bfm(case.folder / "BFM_model_front.mat")
    code = BfmCoefficients.split(case.given["coefficients"])
    shape = model.shape(code.identity, code.expression)
    vertices = model.vertices(code.identity, code.expression, code.pose)
    camera = to_camera(vertices)
    normals = model.normals(shape, code.pose)
    texture = model.texture(code.texture)
    found = {
        "split.id": code.identity,
        "split.exp": code.expression,
        "split.tex": code.texture,
        "split.angle": code.pose[:, :3],
        "split.gamma": code.light,
        "split.trans": code.pose[:, 3:],
        "mean_shape_used": model.mean,
        "shape": shape,
        # The authors multiply rows.
        "rotation": np.swapaxes(np.asarray(rotation_from_angles(code.pose[:, :3])), 1, 2),
        "transformed": vertices,
        "camera": camera,
        "image_points": project(camera),
        "landmarks": project(to_camera(model.landmarks(vertices))),
        "projection_matrix": projection_matrix(),
        "normal": model.normals(shape),
        "normal_rotated": normals,
        "texture": texture,
        "texture_0_255": texture * 255,
        "color": lit(texture, normals, code.light),
    }
    each_alone = "rotation_x0.3_y0.4_z0.5_each_alone"
    assert set(found) | {each_alone} == set(case.expected)
    assert {name: error for name in found if (error := case.error(name, found[name])) > TOLERANCE} == {}


def test_another_initial_light(kind) -> None:
    """Light that is counted from elsewhere is the published one with the difference added to each channel."""
    rng = np.random.default_rng(0)
    texture, normals = (kind(rng.normal(size=(2, 5, 3)).astype(np.float32)) for _ in range(2))
    light = rng.normal(size=(2, 27)).astype(np.float32)
    initial = rng.normal(size=9)
    moved = light + np.tile(np.float32(initial - INITIAL_LIGHT), 3)
    theirs, ours = lit(texture, normals, kind(moved)), lit(texture, normals, kind(light), initial)
    np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), atol=1e-5)
    with pytest.raises(BadValue, match="9 spherical"):
        lit(texture, normals, kind(light), (0.8,))


def test_each_angle_alone(parity, kind) -> None:
    case = parity("bfm/synthetic-60")
    rotations = rotation_from_angles(kind(np.diag(np.float32([0.3, 0.4, 0.5]))))
    each_alone = np.swapaxes(np.asarray(rotations), 1, 2)
    assert case.error("rotation_x0.3_y0.4_z0.5_each_alone", each_alone) < TOLERANCE


def test_the_comparison_can_fail(parity) -> None:
    """Negative control: one basis vector off by 1 in 1000, or the recentring left out."""
    case = parity("bfm/synthetic-60")
    model = load_bfm(case.folder / "BFM_model_front.mat")
    code = BfmCoefficients.split(case.given["coefficients"])
    basis = model.expression_basis.copy()
    basis[7] *= 1.001
    for wrong in (
        replace(model, expression_basis=basis),
        load_bfm(case.folder / "BFM_model_front.mat", recenter=False),
    ):
        assert case.error("shape", wrong.shape(code.identity, code.expression)) > TOLERANCE


def test_indices_count_from_zero_and_masks_become_regions(tmp_path: Path) -> None:
    path = small_file(tmp_path / "model.mat")
    raw, model = loadmat(path), load_bfm(path)
    np.testing.assert_array_equal(model.triangles, raw["tri"] - 1)
    np.testing.assert_array_equal(model.front_triangles, raw["tri_mask2"] - 1)
    np.testing.assert_array_equal(model.regions["front"], np.arange(10))
    np.testing.assert_array_equal(model.regions["skin"], np.arange(1, 70, 2))
    assert {"lips", "left_eye", "right_eye", "nose"} <= set(model.regions)
    assert (model.identity_size, model.expression_size, model.cm_per_unit) == (80, 64, 10.0)


def test_normals_have_finite_gradients_on_triangles_without_area(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    model = load_bfm(small_file(tmp_path / "model.mat"))
    shape = torch.zeros(1, 70, 3, requires_grad=True)
    model.normals(shape).sum().backward()
    assert torch.isfinite(shape.grad).all()


def test_everything_stays_on_the_device_of_the_input(tmp_path: Path) -> None:
    """On torch's device without memory; a constant left on another would be an error."""
    torch = pytest.importorskip("torch")
    model = load_bfm(small_file(tmp_path / "model.mat"))
    code = BfmCoefficients.split(torch.zeros(2, 257, device="meta"))
    vertices = model.vertices(code.identity, code.expression, code.pose)
    colour = lit(model.texture(code.texture), model.normals(vertices, code.pose), code.light)
    image = project(to_camera(model.landmarks(vertices)))
    assert {x.device.type for x in (vertices, colour, image)} == {"meta"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"exBase": None}, "'exBase'"),
        ({"idBase": np.zeros((210, 79))}, r"'idBase' has shape \(210, 79\) instead of 210x80"),
        ({"meanshape": np.zeros((1, 209))}, "meanshape"),
        ({"meantex": np.full((1, 210), np.nan)}, "'meantex' holds NaN"),
        ({"tri": np.zeros((20, 3))}, "'tri' holds indices"),
        ({"keypoints": np.full((1, 68), 71)}, "'keypoints' holds indices"),
        ({"keypoints": np.full((1, 68), 1.5)}, "'keypoints' holds indices"),
    ],
)
def test_wrong_files_are_refused_in_one_line(tmp_path: Path, changes, said: str) -> None:
    with pytest.raises(WeightsDamaged, match=said) as refused:
        load_bfm(small_file(tmp_path / "model.mat", **changes))
    assert "\n" not in str(refused.value)


def test_files_that_are_no_model(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"absent\.mat"):
        load_bfm(tmp_path / "absent.mat")
    whole = small_file(tmp_path / "whole.mat").read_bytes()
    for content in (b"", b"no matrix at all" * 40, whole[: len(whole) // 2]):
        path = tmp_path / "broken.mat"
        path.write_bytes(content)
        with pytest.raises(WeightsDamaged):
            load_bfm(path)


def test_wrong_numbers_of_coefficients(tmp_path: Path) -> None:
    with pytest.raises(BadValue, match="257"):
        BfmCoefficients.split(np.zeros((1, 256)))
    with pytest.raises(BadValue, match="texture"):
        load_bfm(small_file(tmp_path / "model.mat")).texture(np.zeros((1, 3), np.float32))
