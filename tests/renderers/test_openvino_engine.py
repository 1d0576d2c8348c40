"""Compiled networks give what eager ones give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from skimage import data
from torch import nn

from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT
from countenance.portrait.crop import Crop
from countenance.portrait.portrait import Portrait
from countenance.renderers.openvino_engine import SWITCH, OpenVINONetwork, openvino_wanted
from countenance.renderers.pirenderer import fast, renderer
from countenance.renderers.pirenderer.config import PIRendererConfig, debug
from countenance.renderers.pirenderer.fast import FastPIRenderer
from countenance.renderers.pirenderer.network import PIRenderer
from countenance.renderers.pirenderer.renderer import from_file
from countenance.weights.weight_files import save_weights

pytest.importorskip("openvino", reason="OpenVINO is not installed")

PUBLISHED = PIRendererConfig(
    size=32, descriptor_channels=8, warp_levels=2, warp_ups=1, warp_width=4, edit_levels=2, edit_width=4,
    max_width=8, adain_width=4,
)  # fmt: skip


def test_a_module_with_two_inputs_and_outputs() -> None:
    class Both(nn.Module):
        def forward(self, a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return a + b, a * b

    engine = OpenVINONetwork(Both(), (torch.zeros(1, 3), torch.zeros(1, 3)))
    first = engine(torch.tensor([[1.0, 2, 3]]), torch.tensor([[4.0, 5, 6]]))
    second = engine(torch.zeros(1, 3), torch.zeros(1, 3))
    assert [t.tolist() for t in first] == [[[5, 7, 9]], [[4, 10, 18]]], "kept though it was called again"
    assert second[0].tolist() == [[0, 0, 0]]


@pytest.mark.parametrize(
    ("config", "tolerance"), [(debug(), 1e-3), (PUBLISHED, 0.1)], ids=["lite", "published"]
)
def test_compiled_equals_eager(config: PIRendererConfig, tolerance: float) -> None:
    """The published network is painted in bfloat16 where the CPU has it."""
    torch.manual_seed(1)
    network = PIRenderer(config).eval()
    source = torch.nn.functional.interpolate(torch.rand(1, 3, 4, 4), (32, 32), mode="bilinear") * 2 - 1
    window = 0.3 * torch.randn(1, config.motion_channels, config.window)
    with torch.inference_mode():
        features, z = network.source_features(source), network.latent(window, window[:, :, 0])
        compiled = FastPIRenderer(network, source, features, z)
        for latent in (z, z + 0.2):
            expected, found = (
                network.render(source, features, latent),
                compiled.render(source, features, latent),
            )
            torch.testing.assert_close(found.flow, expected.flow, atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(found.picture, expected.picture, atol=tolerance, rtol=0)


def test_long_motions_are_compiled_and_look_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(3)
    save_weights(tmp_path / "tiny.safetensors", PIRenderer(debug()), "pirenderer", debug(), {}, half=False)
    portrait = Portrait(
        data.astronaut(), Crop(140, 0, 170), np.zeros((478, 3), np.float32), Motion.neutral(ARKIT, 1, 25.0)
    )
    motion = Motion.neutral(ARKIT, 6, 25.0).set(yaw=np.linspace(-0.3, 0.3, 6))
    compiled = []
    monkeypatch.setattr(renderer, "frames_worth", lambda config: 6)
    monkeypatch.setattr(
        renderer,
        "FastPIRenderer",
        lambda *a: compiled.append(1) or fast.FastPIRenderer(*a),  # type: ignore[func-returns-value]
    )
    pictures = {}
    for engine in ("", "torch"):
        monkeypatch.setenv(SWITCH, engine)
        model = from_file(tmp_path / "tiny.safetensors")
        pictures[engine] = np.stack(list(model.render(model.enroll(portrait), motion)))
    assert len(compiled) == 1
    assert np.abs(pictures[""].astype(int) - pictures["torch"]).max() <= 1


def test_it_is_for_cpus_and_can_be_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    assert openvino_wanted("cpu")
    assert not openvino_wanted("cuda")
    monkeypatch.setenv(SWITCH, "torch")
    assert not openvino_wanted("cpu")
