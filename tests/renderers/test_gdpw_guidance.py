"""The geometric patterns that guide GDPW."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from countenance.errors import BadValue
from countenance.face.mediapipe_model import mediapipe_model
from countenance.motion.pose import rotation_matrix
from countenance.renderers.gdpw.guidance import draw_guidance, mean_face_coordinates


def meshes(yaw: float, shift: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    """The default face, frontal, turned by ``yaw`` and moved right: (1, V, 3), and its triangles."""
    model = mediapipe_model()
    turned = model.mean @ rotation_matrix(yaw, 0.0, 0.0).T
    vertices = turned / 12 * (1.0, -1.0, 1.0) + (shift, 0.0, 0.0)
    return torch.from_numpy(vertices.astype(np.float32))[None], torch.from_numpy(
        model.triangles.astype(np.int64)
    )


def test_what_the_published_renderer_draws(shared: Path) -> None:
    folder = shared / "parity" / "gdpw-raster" / "hemisphere-64"
    given, expected = load_file(folder / "inputs.safetensors"), load_file(folder / "outputs.safetensors")
    nearer = torch.tensor([1.0, 1.0, -1.0])  # theirs grows away from the camera
    guidance = draw_guidance(
        given["vertices_source"] * nearer,
        given["vertices_driving"] * nearer,
        given["triangles"].long(),
        (64, 64),
        codes=given["vertex_codes"][0],
    )
    drawn = {"driving.flow": guidance.displacement, "driving.codes": guidance.driving_codes}
    drawn["source.codes"] = guidance.source_codes
    for name, picture in drawn.items():
        reliable = expected[f"{name.split('.')[0]}.reliable"] == 1
        assert reliable.float().mean() > 0.5
        assert picture is not None
        difference = (picture[0].permute(1, 2, 0) - expected[name]).abs().amax(2)
        assert difference[reliable].max() < 1e-4, name
        blended = (
            (picture[0].permute(1, 2, 0) - expected.get(f"{name}_antialiased", expected[name])).abs().amax(2)
        )
        assert (blended[reliable] > 1e-3).float().mean() < 0.1, "they differ at silhouettes only"


def test_a_moved_face_is_led_back() -> None:
    (source, triangles), (driving, _) = meshes(0.0), meshes(0.0, 0.2)
    displacement = draw_guidance(source, driving, triangles, (48, 64)).displacement
    assert displacement is not None
    assert displacement.shape == (1, 2, 48, 64)
    inside = displacement[0].abs().sum(0) > 0
    assert 0.2 < inside.float().mean() < 0.8
    torch.testing.assert_close(
        displacement[0, 0][inside], torch.full((int(inside.sum()),), -0.2), atol=1e-5, rtol=0
    )
    assert displacement[0, 1].abs().max() < 1e-5


def test_gradients_flow_to_the_codes_that_are_seen() -> None:
    (source, triangles), (driving, _) = meshes(0.0), meshes(0.7)
    codes = torch.zeros(source.shape[1], 4, requires_grad=True)
    guidance = draw_guidance(source, driving, triangles, (64, 64), codes=codes, displacement=False)
    assert guidance.displacement is None
    assert guidance.driving_codes is not None
    guidance.driving_codes.sum().backward()
    assert codes.grad is not None
    right_cheek, left_cheek = codes.grad[234].abs().sum(), codes.grad[454].abs().sum()
    assert (right_cheek == 0) != (left_cheek == 0), "one side of a turned head is hidden"


def test_mean_face_coordinates_fill_the_unit_cube() -> None:
    mean = torch.from_numpy(np.asarray(mediapipe_model().mean))
    coordinates = mean_face_coordinates(mean)
    assert coordinates.amin(0).tolist() == [0, 0, 0]
    assert coordinates.amax(0).tolist() == [1, 1, 1]
    assert (coordinates.argsort(0) == mean.argsort(0)).all()


def test_triangles_must_fit_the_mesh() -> None:
    source, triangles = meshes(0.0)
    with pytest.raises(BadValue):
        draw_guidance(source[:, :100], source[:, :100], triangles, (16, 16))
