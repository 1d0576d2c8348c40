"""DECA's coarse encoder and what it drives, with weights from a seed in the authors' layout."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from skimage import data

from countenance.editing import with_changes
from countenance.errors import MotionSpaceMismatch, WeightsDamaged, WeightsMissing
from countenance.face.deca_code import DecaCode, image_axes, project, to_picture
from countenance.face.flame import FlameModel, load_flame
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT, FLAME
from countenance.portrait.crop import Crop
from countenance.renderers.blocks.photo_avatar import PhotoAvatar
from countenance.renderers.catalogue import load_renderer
from countenance.renderers.gdpw import SPECS
from countenance.renderers.gdpw.flame_renderer import FlameGDPWRenderer
from countenance.renderers.gdpw.official import from_official_names
from countenance.trackers.catalogue import load_tracker, tracker_for
from countenance.trackers.deca_network import DecaEncoder, load_deca
from countenance.trackers.deca_tracker import DecaTracker, crop_matrix, flame_row
from countenance.trackers.portraits import portrait_from_image
from seeded import listed, seeded


def keys(shared: Path) -> Path:
    return shared / "parity" / "flame" / "encoder-forward" / "keys.tsv"


@pytest.fixture
def flame(shared: Path) -> FlameModel:
    """48 vertices in the layout of FLAME's file."""
    folder = shared / "parity" / "flame" / "flame-layer"
    return load_flame(folder / "generic_model.pkl", folder / "landmark_embedding.safetensors")


@pytest.fixture
def tracker(shared: Path, tmp_path: Path) -> DecaTracker:
    torch.save(
        {"E_flame": seeded(keys(shared), 1), "E_detail": {}, "D_detail": {}}, tmp_path / "deca_model.tar"
    )
    return DecaTracker(load_tracker(), tmp_path / "deca_model.tar")


def test_the_encoder_gives_the_authors_numbers(shared: Path, tmp_path: Path, device: str) -> None:
    folder = keys(shared).parent
    seed = json.loads((folder / "config.json").read_text())["weights_seed"]
    torch.save({"E_flame": seeded(keys(shared), seed)}, tmp_path / "deca_model.tar")
    with torch.no_grad():
        encoder = load_deca(tmp_path / "deca_model.tar").to(device)
        given = load_file(folder / "inputs.safetensors", device)["input_u8"]
        ours = encoder(given.float() / 255).cpu()
    theirs = load_file(folder / "outputs.safetensors")["parameters"]
    assert float((ours - theirs).abs().max() / theirs.abs().max()) < 1e-4


def test_names_are_the_authors(shared: Path) -> None:
    ours = {name: list(tensor.shape) for name, tensor in DecaEncoder().state_dict().items()}
    assert ours == dict(listed(keys(shared)))
    published = shared / "parity" / "flame" / "official-full-E_flame" / "keys.tsv"
    assert ours == dict(listed(published))


def test_the_camera_follows_from_crop_to_picture_to_crop() -> None:
    """A point through DECA's own functions, and through our motion, must land on the same pixel."""
    rng = np.random.default_rng(0)
    code = DecaCode.split(rng.normal(0, 0.2, (1, 236)).astype(np.float32))
    code.camera[:] = [[8.0, 0.02, -0.03]]
    points = rng.normal(0, 0.05, (1, 5, 3)).astype(np.float32)
    to_crop = crop_matrix(np.array([[100.0, 60.0], [180.0, 160.0]], np.float32))
    back = np.linalg.inv(np.vstack([to_crop, [0, 0, 1]])).astype(np.float32)
    theirs = to_picture(image_axes(project(points, code.camera)), back[None])[0, :, :2]
    crop = Crop(40, 10, 200)
    motion = DecaTracker.motion(None, flame_row(code, to_crop)[None], crop, 25.0)  # type: ignore[arg-type]
    scale, x, y = motion.values[0, -3:]
    half = crop.side / 2
    ours = np.stack(
        [
            crop.center_px[0] + half * scale * (points[0, :, 0] + x),
            crop.center_px[1] - half * scale * (points[0, :, 1] + y),
        ],
        1,
    )
    np.testing.assert_allclose(ours, theirs, atol=0.01)


def test_a_face_becomes_motion_with_identity(tracker: DecaTracker) -> None:
    portrait = portrait_from_image(data.astronaut(), tracker)
    assert portrait.motion.space is FLAME
    assert portrait.motion.identity is not None
    assert portrait.motion.identity.shape == (100,)
    box = crop_matrix(np.array([[0.0, 0.0], [100.0, 100.0]], np.float32))
    np.testing.assert_allclose(box @ [50, 50, 1], [111.5, 111.5])  # the face in the middle of DECA's crop


def renderer_for(shared: Path, case: str, flame: FlameModel) -> FlameGDPWRenderer:
    folder = shared / "parity" / "gdpw" / case
    return FlameGDPWRenderer(
        from_official_names(load_file(folder / "weights.safetensors"), folder), flame, SPECS[1]
    )


def looking(**changes: float) -> Motion:
    neutral = Motion.neutral(FLAME, 1, 25.0).with_values(
        np.where(np.arange(65) == 62, 6.0, 0.0)[None].astype(np.float32)
    )
    return neutral.set(**changes)


def test_the_published_network_is_guided_by_flame(shared: Path, flame: FlameModel, tmp_path: Path) -> None:
    renderer = renderer_for(shared, "tiny-geom-disp", flame)
    crop = Crop(0, 0, 96)
    rng = np.random.default_rng(0)
    identity = rng.normal(size=100).astype(np.float32)
    motion = Motion(looking().values, FLAME, 25.0, identity=identity)
    avatar = PhotoAvatar(np.ascontiguousarray(data.astronaut()[20:116, 170:266]), motion, crop)
    still, moved, opened = (
        next(renderer.render(avatar, looking(**c))) for c in ({}, {"cam_x": 0.03}, {"jaw_x": 0.3})
    )
    assert still.shape == (96, 96, 3)
    assert np.abs(still.astype(int) - moved).max() > 3
    assert np.abs(still.astype(int) - opened).max() > 0
    avatar.save(tmp_path / "a.safetensors")
    again = renderer.load_avatar(tmp_path / "a.safetensors")
    np.testing.assert_array_equal(next(renderer.render(again, looking())), still)
    own, other = looking(), with_changes(replace(looking(), identity=identity), {"shape00": 3.0})
    np.testing.assert_array_equal(next(renderer.render(avatar, replace(own, identity=identity))), still)
    assert (next(renderer.render(avatar, other)) != still).any()
    source = renderer._source(avatar)
    shifted = renderer._mesh(looking(cam_x=0.03).values[0], identity)
    np.testing.assert_allclose(
        (shifted - source.mesh)[..., 0], 0.03 * 6, atol=1e-5
    )  # half sides to the right
    with pytest.raises(MotionSpaceMismatch):
        renderer.render(avatar, Motion.neutral(ARKIT, 1, 25.0))
    PhotoAvatar(avatar.square, Motion.neutral(ARKIT, 1, 25.0), crop).save(tmp_path / "b.safetensors")
    with pytest.raises(MotionSpaceMismatch):
        renderer.load_avatar(tmp_path / "b.safetensors")


def test_what_is_missing_is_said(
    shared: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flame: Any
) -> None:
    monkeypatch.setenv("COUNTENANCE_ASSETS", str(tmp_path))
    with pytest.raises(WeightsMissing, match=r"deca_model\.tar"):
        tracker_for("flame")
    with pytest.raises(WeightsMissing, match="--from gdpw"):
        load_renderer("gdpw")
    checkpoint = next((shared / "parity" / "gdpw" / "checkpoint-container").glob("*.pth"))
    from countenance.cli.convert import Convert

    Convert(checkpoint, tmp_path / "gdpw.safetensors", "gdpw").run()
    with pytest.raises(WeightsMissing, match="generic_model"):
        load_renderer("gdpw")
    torch.save({"net_recon": {}}, tmp_path / "other.tar")
    with pytest.raises(WeightsDamaged, match="E_flame"):
        load_deca(tmp_path / "other.tar")
