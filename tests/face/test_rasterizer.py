"""The C rasterizer, the torch rasterizer, and both against the published mesh renderer's pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from countenance.errors import BadValue
from countenance.face import _rasterizer, rasterizer_torch
from countenance.face.rasterizer import Raster, front_facing, interpolate, rasterize

FRONT = np.array([[0, 1, 2]], np.int32)
"""Counter-clockwise as seen, for the corners below."""
BACK = np.array([[0, 2, 1]], np.int32)
CORNERS = np.array([[1, 1, 5], [1, 7, 5], [9, 7, 5]], np.float32)
TOWARDS_US = np.array([0, 0, 1], np.float32)


def random_mesh(seed: int, vertices: int = 60, triangles: int = 100) -> tuple[np.ndarray, np.ndarray]:
    """Triangles of all sizes that cut through each other, some beyond the edge of a 40 x 48 picture."""
    rng = np.random.default_rng(seed)
    points = rng.uniform((-15, -15, -1), (63, 55, 1), (vertices, 3)).astype(np.float32)
    return points, rng.integers(0, vertices, (triangles, 3), dtype=np.int32)


def jittered_grid(half_steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A sheet over 0..16 x 0..16 px whose inner vertices, moved in half pixels, often hit pixel centres."""
    y, x = np.meshgrid(np.arange(5) * 4.0, np.arange(5) * 4.0, indexing="ij")
    points = np.stack((x, y, np.zeros_like(x)), -1)
    points[1:-1, 1:-1, :2] += half_steps.reshape(3, 3, 2) / 2
    corner = np.arange(25).reshape(5, 5)
    a, b, c, d = corner[:-1, :-1], corner[1:, :-1], corner[1:, 1:], corner[:-1, 1:]
    triangles = np.concatenate([np.stack(t, -1).reshape(-1, 3) for t in ((a, b, c), (a, c, d))])
    return points.reshape(-1, 3).astype(np.float32), triangles.astype(np.int32)


def test_one_triangle_by_hand():
    raster = rasterize(CORNERS * [1, 1, 0] + np.array([[0, 0, 1], [0, 0, 2], [0, 0, 4]]), FRONT, (10, 12))
    row, column = 5, 3
    y, x = 5.5, 3.5
    share_2 = (x - 1) / 8
    share_0 = (7 - y) / 6
    expected = [share_0, 1 - share_0 - share_2, share_2]
    assert raster.triangle_index[row, column] == 0
    np.testing.assert_allclose(raster.barycentric[row, column], expected, atol=1e-6)
    assert raster.depth[row, column] == pytest.approx(np.dot(expected, [1, 2, 4]), abs=1e-6)
    assert raster.triangle_index[2, 8] == -1
    assert raster.depth[2, 8] == -np.inf
    assert not raster.barycentric[2, 8].any()


def test_types_and_shapes():
    raster = rasterize(CORNERS.astype(np.float64), FRONT.astype(np.int64), (10, 12))
    assert (raster.triangle_index.shape, raster.triangle_index.dtype) == ((10, 12), np.int32)
    assert (raster.barycentric.shape, raster.barycentric.dtype) == ((10, 12, 3), np.float32)
    assert (raster.depth.shape, raster.depth.dtype) == ((10, 12), np.float32)


def test_the_top_left_rule_on_pixel_centres():
    """A square between pixel centres keeps the centres on its top and left edges, not those opposite."""
    square = np.array([[2.5, 1.5, 0], [2.5, 4.5, 0], [6.5, 4.5, 0], [6.5, 1.5, 0]], np.float32)
    covered = rasterize(square, np.array([[0, 1, 2], [0, 2, 3]]), (8, 10)).covered
    expected = np.zeros((8, 10), bool)
    expected[1:4, 2:6] = True
    np.testing.assert_array_equal(covered, expected)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(-2, 2), min_size=18, max_size=18), st.booleans())
def test_neighbours_never_share_or_miss_a_pixel(half_steps, reversed_winding):
    vertices, triangles = jittered_grid(np.array(half_steps))
    if reversed_winding:
        triangles = triangles[:, ::-1]
    times_drawn = sum(rasterize(vertices, one[None], (16, 16)).covered.astype(int) for one in triangles)
    np.testing.assert_array_equal(times_drawn, 1)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_fans_around_any_vertex_are_whole(seed):
    """Vertices anywhere, not on a grid of nice numbers: rounding must not tear the sheet either."""
    rng = np.random.default_rng(seed)
    vertices, triangles = jittered_grid(rng.uniform(-3, 3, 18))
    times_drawn = sum(rasterize(vertices, one[None], (16, 16)).covered.astype(int) for one in triangles)
    np.testing.assert_array_equal(times_drawn, 1)


@settings(deadline=None, max_examples=30)
@given(st.integers(2**21, 2**22 - 1), st.integers(2**21, 2**22 - 1))
def test_rounding_does_not_tear_a_long_edge(near, far):
    """The edge y = x / 3 runs through pixel centres, but its ends are too far apart for exact doubles."""
    a, b = np.array([-3, -1, 0]) * near * 2.0**-30, np.array([3, 1, 0]) * far * 2.0**2
    vertices = np.array([a, b, [5, -1e4, 0], [5, 1e4, 0]], np.float32)
    halves = [rasterize(vertices, np.array([corners]), (16, 16)) for corners in ([0, 1, 2], [1, 0, 3])]
    np.testing.assert_array_equal(sum(half.covered.astype(int) for half in halves), 1)


def test_the_nearer_triangle_wins_in_either_order():
    vertices = np.concatenate((CORNERS, CORNERS + TOWARDS_US))
    near_last = rasterize(vertices, np.array([[0, 1, 2], [3, 4, 5]]), (10, 12))
    near_first = rasterize(vertices, np.array([[3, 4, 5], [0, 1, 2]]), (10, 12))
    assert (near_last.triangle_index[near_last.covered] == 1).all()
    assert (near_first.triangle_index[near_first.covered] == 0).all()


def test_the_first_triangle_wins_at_equal_depth():
    twice = rasterize(CORNERS, np.concatenate((FRONT, BACK)), (10, 12))
    assert (twice.triangle_index[twice.covered] == 0).all()


def test_culling_lets_the_front_behind_a_back_face_show():
    vertices = np.concatenate((CORNERS, CORNERS + TOWARDS_US))
    triangles = np.concatenate((FRONT, BACK + 3))
    assert front_facing(vertices, triangles).tolist() == [True, False]
    culled = rasterize(vertices, triangles, (10, 12), cull_back_faces=True)
    assert (culled.triangle_index[culled.covered] == 0).all()
    np.testing.assert_array_equal(culled.covered, rasterize(vertices, triangles, (10, 12)).covered)


def test_a_triangle_larger_than_the_picture_fills_it():
    vertices = np.array([[-1e6, -1e6, 1], [-1e6, 3e6, 1], [3e6, -1e6, 1]], np.float32)
    raster = rasterize(vertices, FRONT, (7, 9))
    assert raster.covered.all()
    np.testing.assert_allclose(raster.barycentric.sum(-1), 1, atol=1e-6)


@pytest.mark.parametrize(
    "vertices",
    [
        pytest.param(CORNERS * [1, 0, 1], id="a line"),
        pytest.param(CORNERS * 0 + 3.5, id="a point"),
        pytest.param(CORNERS * [np.nan, 1, 1], id="nan x"),
        pytest.param(CORNERS * [1, 1, np.nan], id="nan depth"),
        pytest.param(CORNERS * [[1, np.inf, 1], [1, 1, 1], [1, 1, 1]], id="infinite y"),
        pytest.param(CORNERS + np.array([1000, 0, 0]), id="right of the picture"),
        pytest.param(CORNERS - [0, 1e30, 0], id="far above the picture"),
    ],
)
def test_triangles_that_leave_no_pixel(vertices):
    vertices = np.asarray(vertices, np.float32)
    assert not rasterize(vertices, FRONT, (10, 12)).covered.any()
    batch = rasterizer_torch.rasterize(torch.from_numpy(vertices)[None], torch.from_numpy(FRONT), (10, 12))
    assert (batch.triangle_index == -1).all()


def test_an_empty_mesh_is_all_background():
    nothing = np.empty((0, 3), np.float32), np.empty((0, 3), np.int32)
    assert not rasterize(*nothing, (4, 5)).covered.any()
    batch = rasterizer_torch.rasterize(torch.zeros(2, 0, 3), torch.zeros((0, 3), dtype=torch.int32), (4, 5))
    assert (batch.triangle_index == -1).all()


def test_interpolation_is_linear_in_the_picture():
    vertices, triangles = jittered_grid(np.array([1, -1, 2, 0, 1, 1, -2, 2, 0, 0, 1, -1, 2, 2, -1, 0, 0, 1]))
    values = np.stack((vertices[:, 0], vertices[:, 1], 2 * vertices[:, 0] - vertices[:, 1] + 3), -1)
    drawn = interpolate(rasterize(vertices, triangles, (16, 20)), values)
    y, x = np.meshgrid(np.arange(16) + 0.5, np.arange(16) + 0.5, indexing="ij")
    np.testing.assert_allclose(drawn[:, :16], np.stack((x, y, 2 * x - y + 3), -1), atol=1e-5)
    assert not drawn[:, 16:].any()


BAD_MESHES = [
    pytest.param(
        CORNERS, np.array([[0, 1, 3]]), (4, 4), "vertices 0 to 3, but there are 3", id="index too large"
    ),
    pytest.param(CORNERS, np.array([[0, -1, 2]]), (4, 4), "vertices -1 to 2", id="negative index"),
    pytest.param(CORNERS, np.array([[0, 1, 2**32]]), (4, 4), "name vertices", id="index beyond 32 bits"),
    pytest.param(
        CORNERS, FRONT.astype(np.float32), (4, 4), "give integers of shape T x 3", id="float indices"
    ),
    pytest.param(CORNERS, np.array([[0, 1]]), (4, 4), "give integers of shape T x 3", id="two corners"),
    pytest.param(CORNERS[:, :2], FRONT, (4, 4), "give floats of shape", id="no depth"),
    pytest.param(CORNERS.astype(int), FRONT, (4, 4), "give floats of shape", id="integer vertices"),
    pytest.param(CORNERS, FRONT, (0, 4), "at least 1 pixel", id="no rows"),
    pytest.param(CORNERS, FRONT, (4, -1), "at least 1 pixel", id="negative width"),
]


@pytest.mark.parametrize(("vertices", "triangles", "size", "message"), BAD_MESHES)
def test_bad_meshes_are_refused(vertices, triangles, size, message):
    with pytest.raises(BadValue, match=message):
        rasterize(vertices, triangles, size)
    with pytest.raises(BadValue, match=message):
        rasterizer_torch.rasterize(torch.from_numpy(vertices)[None], torch.from_numpy(triangles), size)


def test_attributes_must_fit_the_mesh():
    raster = rasterize(CORNERS, FRONT, (10, 12))
    batch = rasterizer_torch.rasterize(torch.from_numpy(CORNERS)[None], torch.from_numpy(FRONT), (10, 12))
    for shape in ((2, 4), (3,), (3, 0)):
        with pytest.raises(BadValue):
            interpolate(raster, np.zeros(shape, np.float32))
    for shape in ((2, 4), (3,), (2, 3, 4)):
        with pytest.raises(BadValue):
            rasterizer_torch.interpolate(batch, torch.zeros(shape))


def test_a_raster_that_contradicts_itself_is_refused():
    raster = rasterize(CORNERS, FRONT, (10, 12))
    beyond = Raster(raster.triangle_index + 2, raster.barycentric, raster.depth, raster.triangles)
    with pytest.raises(BadValue, match="contradicts itself"):
        interpolate(beyond, CORNERS)
    cropped = Raster(raster.triangle_index, raster.barycentric[1:], raster.depth, raster.triangles)
    with pytest.raises(BadValue, match="contradicts itself"):
        interpolate(cropped, CORNERS)


def test_the_c_loops_check_for_themselves():
    """Another thread may change an array after Python has checked it, so the loops must not trust it."""
    index, barycentric, depth = np.empty(20, np.int32), np.empty(60, np.float32), np.empty(20, np.float32)
    for bad in (3, -1, 2**31 - 1):
        triangles = np.array([[0, 1, 2], [0, 1, bad]], np.int32)
        with pytest.raises(ValueError, match="triangle 1 names a vertex"):
            _rasterizer.rasterize(CORNERS, triangles, 4, 5, False, index, barycentric, depth)
    for height, width in ((4, 6), (2**62, 4), (-4, -5), (0, 0)):
        with pytest.raises(ValueError, match="lengths"):
            _rasterizer.rasterize(CORNERS, FRONT, height, width, False, index, barycentric, depth)
    with pytest.raises(ValueError, match="lengths"):
        _rasterizer.interpolate(index, barycentric, FRONT, CORNERS, 2**62, np.empty(60, np.float32))


@pytest.mark.parametrize("cull_back_faces", [False, True])
def test_torch_draws_the_same_pixels(cull_back_faces):
    vertices, triangles = zip(*(random_mesh(seed) for seed in range(3)), strict=True)
    batch = rasterizer_torch.rasterize(
        torch.from_numpy(np.stack(vertices)),
        torch.from_numpy(triangles[0]),
        (40, 48),
        cull_back_faces=cull_back_faces,
    )
    assert (batch.triangle_index.dtype, batch.depth.dtype) == (torch.int32, torch.float32)
    values = np.random.default_rng(5).normal(size=(60, 4)).astype(np.float32)
    drawn = rasterizer_torch.interpolate(batch, torch.from_numpy(values))
    for k in range(3):
        raster = rasterize(vertices[k], triangles[0], (40, 48), cull_back_faces=cull_back_faces)
        assert raster.covered.mean() > 0.5
        np.testing.assert_array_equal(batch.triangle_index[k], raster.triangle_index)
        np.testing.assert_allclose(batch.barycentric[k], raster.barycentric, atol=1e-6)
        np.testing.assert_allclose(batch.depth[k], raster.depth, atol=1e-6)
        np.testing.assert_allclose(drawn[k], interpolate(raster, values), atol=1e-5)


def test_torch_breaks_ties_as_c_does():
    vertices, triangles = jittered_grid(np.zeros(18))
    everything_twice = np.concatenate((triangles, triangles))
    batch = rasterizer_torch.rasterize(
        torch.from_numpy(vertices)[None], torch.from_numpy(everything_twice), (16, 16)
    )
    np.testing.assert_array_equal(
        batch.triangle_index[0], rasterize(vertices, everything_twice, (16, 16)).triangle_index
    )


def test_torch_in_small_chunks_draws_the_same(monkeypatch):
    vertices, triangles = random_mesh(7)
    mesh = torch.from_numpy(vertices)[None], torch.from_numpy(np.concatenate((triangles, triangles)))
    whole = rasterizer_torch.rasterize(*mesh, (40, 48))
    monkeypatch.setattr(rasterizer_torch, "CANDIDATES_PER_CHUNK", 97)
    chunked = rasterizer_torch.rasterize(*mesh, (40, 48))
    assert torch.equal(whole.triangle_index, chunked.triangle_index)
    assert torch.equal(whole.barycentric, chunked.barycentric)
    assert torch.equal(whole.depth, chunked.depth)


def test_gradients_reach_the_attributes():
    """Each pixel hands back its shares, so a vertex's gradient is the sum of its shares over the picture."""
    vertices, triangles = random_mesh(9)
    batch = rasterizer_torch.rasterize(
        torch.from_numpy(vertices)[None], torch.from_numpy(triangles), (40, 48)
    )
    attributes = torch.zeros(60, 2, requires_grad=True)
    rasterizer_torch.interpolate(batch, attributes).sum().backward()
    expected = np.zeros(60)
    seen = batch.triangle_index[0].numpy() >= 0
    corners = triangles[batch.triangle_index[0].numpy()[seen]]
    np.add.at(expected, corners, batch.barycentric[0].numpy()[seen])
    np.testing.assert_allclose(attributes.grad, np.stack((expected, expected), -1), rtol=1e-4, atol=1e-4)


class PublishedRenderer:
    """GDPW's mesh renderer on top of ours: its axes and its order of culling (config.json of the fixture)."""

    def __init__(self, folder: Path) -> None:
        self.inputs = load_file(folder / "inputs.safetensors")
        self.outputs = load_file(folder / "outputs.safetensors")
        self.triangles = self.inputs["triangles"]

    @staticmethod
    def to_pixels(vertices: np.ndarray, side: int) -> np.ndarray:
        """From x, y (down) in [-1, 1] and z growing AWAY to pixels and z in [-1, 1], larger nearer."""
        xy, z = (vertices[:, :2] + 1) * side / 2, vertices[:, 2:]
        mapped = 2 * (z - z.min()) / (z.max() - z.min() + 1e-8) - 1
        return np.concatenate((xy, -mapped), 1).astype(np.float32)

    def draw(self, view: str, side: int = 64) -> tuple[Raster, Raster]:
        """The nearest triangles, and what is left when back faces turn into holes afterwards."""
        vertices = self.to_pixels(self.inputs[f"vertices_{view}"][0], side)
        raster = rasterize(vertices, self.triangles, (side, side))
        is_back = front_facing(vertices, self.triangles[:, [0, 2, 1]])
        hole = ~raster.covered | is_back[raster.triangle_index]
        left = Raster(
            np.where(hole, -1, raster.triangle_index).astype(np.int32),
            np.where(hole[..., None], 0, raster.barycentric).astype(np.float32),
            np.where(hole, 0, -raster.depth).astype(np.float32),
            raster.triangles,
        )
        return raster, left


@pytest.fixture(scope="module")
def published(shared) -> PublishedRenderer:
    folder = shared / "parity" / "gdpw-raster" / "hemisphere-64"
    if not folder.is_dir():
        pytest.skip(f"the parity tensors {folder.name} are not here")
    return PublishedRenderer(folder)


@pytest.mark.parametrize("view", ["source", "driving"])
def test_parity_of_the_published_mesh_renderer(published, view):
    out = {name.removeprefix(f"{view}."): value for name, value in published.outputs.items()}
    before, after = published.draw(view)
    reliable = out["reliable"] == 1
    assert reliable.mean() > 0.5
    for raster, name in ((before, "triangle_id_plus_1_before_culling"), (after, "triangle_id_plus_1")):
        np.testing.assert_array_equal(raster.triangle_index[reliable] + 1, out[name][reliable])
    assert ((before.triangle_index != after.triangle_index) & reliable).any(), "culling must matter here"
    np.testing.assert_array_equal(after.covered[reliable], out["mask"][reliable] == 1)

    drawn = {"barycentric_uv": after.barycentric[..., :2], "depth": after.depth}
    drawn["codes"] = interpolate(after, published.inputs["vertex_codes"][0])
    if view == "driving":
        moved = published.inputs["vertices_source"] - published.inputs["vertices_driving"]
        drawn["flow"] = interpolate(after, moved[0, :, :2])
        drawn["visibility"] = interpolate(after, out["visibility.vertex_mask"][:, None])[..., 0]
    for name, value in drawn.items():
        np.testing.assert_allclose(value[reliable], out[name][reliable], atol=1e-4, rtol=0, err_msg=name)


def test_parity_of_the_published_vertex_visibility(published):
    before, _ = published.draw("source", 256)
    expected_ids = published.outputs["visibility.triangle_id_plus_1"].astype(int) - 1
    assert (before.triangle_index == expected_ids).mean() > 0.999
    # The published code counts the background's -1 as a triangle seen: always the last one.
    seen = published.triangles[np.unique(before.triangle_index)]
    mask = np.zeros(204, np.float32)
    mask[seen] = 1
    np.testing.assert_array_equal(mask, published.outputs["visibility.vertex_mask"])


def test_parity_can_fail(published):
    """The same comparison with y pointing up, and with depth the wrong way round, must not pass."""
    expected = published.outputs["source.triangle_id_plus_1_before_culling"].astype(int) - 1
    vertices = published.to_pixels(published.inputs["vertices_source"][0], 64)
    flipped = vertices * np.float32([1, -1, 1]) + np.float32([0, 64, 0])
    inside_out = vertices * np.float32([1, 1, -1])
    reliable = published.outputs["source.reliable"] == 1
    for wrong in (flipped, inside_out):
        differs = rasterize(wrong, published.triangles, (64, 64)).triangle_index != expected
        assert (differs & reliable).sum() > 30
