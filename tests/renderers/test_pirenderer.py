"""PIRenderer as a renderer: on an untrained network, whose pictures mean nothing but whose interface is the same."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from skimage import data

from countenance.errors import BadValue, MotionSpaceMismatch, UnknownName, WeightsDamaged, WeightsMissing
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT, BFM
from countenance.portrait.crop import Crop
from countenance.portrait.portrait import Portrait
from countenance.renderers.blocks.flow import sampling_positions, warp
from countenance.renderers.catalogue import load_renderer
from countenance.renderers.pirenderer.config import PIRendererConfig, debug, lite
from countenance.renderers.pirenderer.network import PIRenderer
from countenance.renderers.pirenderer.renderer import PIRendererRenderer, from_file, packed_windows
from countenance.weights.weight_files import save_weights

PUBLISHED = PIRendererConfig(
    size=32, descriptor_channels=8, warp_levels=2, warp_ups=1, warp_width=4, edit_levels=2, edit_width=4,
    max_width=8, adain_width=4,
)  # fmt: skip


def portrait_of(motion: Motion) -> Portrait:
    return Portrait(data.astronaut(), Crop(140, 0, 170), np.zeros((478, 3), np.float32), motion)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    torch.manual_seed(3)
    path = tmp_path / "tiny.safetensors"
    save_weights(path, PIRenderer(debug()), "pirenderer", debug(), {"steps": 0}, half=False)
    return path


@pytest.fixture
def renderer(file: Path) -> PIRendererRenderer:
    return from_file(file)


@pytest.fixture
def portrait() -> Portrait:
    return portrait_of(Motion.neutral(ARKIT, 1, 25.0))


def test_a_file_is_a_model(file: Path, portrait: Portrait) -> None:
    renderer = load_renderer(str(file))
    assert (renderer.spec.name, renderer.spec.motion_space) == ("tiny", "arkit")
    pictures = list(renderer.render(renderer.enroll(portrait), portrait.motion.still(2)))
    assert [p.shape for p in pictures] == [(170, 170, 3)] * 2


def test_the_source_is_encoded_once(renderer: PIRendererRenderer, portrait: Portrait) -> None:
    calls = []
    original = renderer.network.source_features
    renderer.network.source_features = lambda x: calls.append(1) or original(x)  # type: ignore[assignment,func-returns-value]
    avatar = renderer.enroll(portrait)
    list(renderer.render(avatar, portrait.motion.still(3)))
    list(renderer.render(avatar, portrait.motion.still(2)))
    assert len(calls) == 1


def test_an_untrained_lite_network_keeps_skin_detail() -> None:
    """Before any edit the picture is warped at its own size, not blown up from the network's."""
    network = PIRenderer(replace(debug(), size=64))
    torch.nn.init.zeros_(network.warping.flow.weight)
    torch.nn.init.zeros_(network.warping.flow.bias)  # type: ignore[arg-type]
    torch.nn.init.zeros_(network.editing.final.weight)
    torch.nn.init.constant_(network.editing.final.bias, -20.0)  # type: ignore[arg-type]
    spec = from_spec()
    portrait = portrait_of(Motion.neutral(ARKIT, 1, 25.0))
    renderer = PIRendererRenderer(network, spec)
    picture = next(renderer.render(renderer.enroll(portrait), portrait.motion))
    assert np.abs(picture.astype(int) - portrait.square).max() <= 1


def from_spec():  # type: ignore[no-untyped-def]
    from countenance.renderers.pirenderer import SPECS

    return SPECS[0]


def test_a_zero_flow_is_the_identity_in_the_lite_network_only() -> None:
    torch.manual_seed(0)
    picture, still = torch.rand(1, 3, 24, 32), torch.zeros(1, 2, 6, 8)
    torch.testing.assert_close(warp(picture, still, exact=True), picture, atol=1e-5, rtol=0)
    assert (warp(picture, still, exact=False) - picture).abs().max() > 0.1


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("number", [torch.nan, torch.inf])
def test_a_flow_that_is_no_number_is_not_sampled(exact: bool, number: float) -> None:
    """PyTorch's kernel would read far outside the picture."""
    flow = torch.zeros(1, 2, 16, 16)
    flow[0, 0, 3] = number
    assert warp(torch.zeros(1, 3, 32, 32), flow, exact).isnan().all()


def test_flow_points_to_where_the_picture_comes_from() -> None:
    picture = torch.zeros(1, 1, 8, 8)
    picture[0, 0, 2, 5] = 1
    flow = torch.zeros(1, 2, 8, 8)
    flow[:, 0] = 3  # x to the right
    assert warp(picture, flow, exact=True)[0, 0, 2, 2] == pytest.approx(1)
    positions = sampling_positions(torch.zeros(1, 2, 4, 4), exact=True)
    assert positions[0, 0, 0].tolist() == pytest.approx([-0.75, -0.75])


def test_the_published_network_gets_motion_and_crop(shared: Path) -> None:
    folder = shared / "parity" / "pirenderer" / "coefficient-window"
    given, expected = load_file(folder / "inputs.safetensors"), load_file(folder / "outputs.safetensors")
    rows = given["clip_coefficients"].numpy()
    values = np.concatenate([rows[:, 80:144], rows[:, 224:227], rows[:, 254:257]], 1)
    motion = Motion(values, BFM, 25.0, crop=rows[:, 257:260])
    windows = packed_windows(motion, PIRendererConfig())
    checked = 0
    for name, tensor in expected.items():
        if name.startswith("window_frame_"):
            np.testing.assert_allclose(windows[int(name.rsplit("_", 1)[1])], tensor.numpy(), atol=1e-6)
            checked += 1
    assert checked > 2


def test_the_published_space_end_to_end(tmp_path: Path) -> None:
    path = tmp_path / "published.safetensors"
    save_weights(path, PIRenderer(PUBLISHED), "pirenderer", PUBLISHED, {}, half=True)
    renderer = from_file(path)
    motion = Motion(np.zeros((1, 70)), BFM, 25.0, crop=np.ones((1, 3)))
    avatar = renderer.enroll(portrait_of(motion))
    avatar.save(tmp_path / "person.safetensors")
    again = renderer.load_avatar(tmp_path / "person.safetensors")
    assert again.motion.crop is not None
    assert next(renderer.render(again, motion.still(2))).shape == (170, 170, 3)
    with pytest.raises(MotionSpaceMismatch):
        renderer.render(avatar, Motion.neutral(ARKIT, 1, 25.0))


def test_between_two_motions(renderer: PIRendererRenderer, portrait: Portrait) -> None:
    avatar = renderer.enroll(portrait)
    first, second = portrait.motion, portrait.motion.set(jawOpen=1.0)
    shares = np.array([0, 0.5, 1], np.float32)
    start, middle, end = renderer.render_between(avatar, first, second, shares)
    np.testing.assert_array_equal(start, next(renderer.render(avatar, first)))
    np.testing.assert_array_equal(end, next(renderer.render(avatar, second)))
    assert middle.shape == start.shape
    with pytest.raises(BadValue, match="give one frame"):
        renderer.render_between(avatar, first.still(2), second, shares)


def test_the_lite_network_is_what_the_readme_says() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    network = PIRenderer(lite()).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, 256, 256), torch.zeros(1, 58, 27), torch.zeros(1, 58))
    assert counter.get_total_flops() == pytest.approx(3.5e9, rel=0.02)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda p: p.write_bytes(p.read_bytes()[:2000]), "damaged"),
        (lambda p: p.write_bytes(b"no weights"), "damaged"),
        (lambda p: p.unlink(), "not on this machine"),
        (lambda p: save_file({"a": torch.zeros(1)}, p), "not written by countenance"),
        (lambda p: _rewritten(p, model="of-tomorrow"), "no renderer of this release"),
        (lambda p: _rewritten(p, config={"window": 27}), "configuration does not fit"),
        (lambda p: _rewritten(p, nan="mapping.first.bias"), "NaN"),
        (lambda p: _rewritten(p, drop="mapping.first.bias"), "is missing"),
        (lambda p: _rewritten(p, extra="more"), "not part of this model"),
        (lambda p: _rewritten(p, shape="mapping.first.bias"), "has shape"),
    ],
)
def test_bad_files_say_what_is_wrong(file: Path, damage: object, says: str) -> None:
    damage(file)  # type: ignore[operator]
    with pytest.raises((WeightsDamaged, WeightsMissing), match=says):
        load_renderer(str(file))


def _rewritten(path: Path, **change: object) -> None:
    from safetensors import safe_open

    with safe_open(path, "pt") as opened:
        metadata, tensors = opened.metadata(), {n: opened.get_tensor(n) for n in opened.keys()}  # noqa: SIM118
    match change:
        case {"model": str(name)}:
            metadata["model"] = name
        case {"config": config}:
            metadata["config"] = json.dumps(config)
        case {"nan": str(name)}:
            tensors[name][0] = float("nan")
        case {"drop": str(name)}:
            del tensors[name]
        case {"extra": str(name)}:
            tensors[name] = torch.zeros(1)
        case {"shape": str(name)}:
            tensors[name] = torch.zeros(3)
    save_file(tensors, path, metadata)


def test_the_published_weights_must_be_fetched_by_the_user(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("COUNTENANCE_ASSETS", str(tmp_path))
    with pytest.raises(WeightsMissing, match="countenance convert"):
        load_renderer("pirenderer")
    with pytest.raises(UnknownName, match="pirenderer"):
        load_renderer("pirender")
