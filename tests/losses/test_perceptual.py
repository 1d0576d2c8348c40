from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from skimage import data

from countenance.errors import WeightsDamaged, WeightsMissing
from countenance.losses.backbones import EfficientNetLite0Features, VGG19Features, load_backbone
from countenance.losses.perceptual import PerceptualLoss, gram, halved
from countenance.weights.assets import EFFICIENTNET_LITE0, require_asset
from countenance.weights.torch_files import load_torch_file

CASES = ("final-256", "warp-256", "final-64-one-scale", "warp-64-two-scales")
_SHAPES = [(64, 3), (64, 64), (128, 64), (128, 128), (256, 128), (256, 256), (256, 256), (256, 256)]
_SHAPES += [(512, 256)] + [(512, 512)] * 7
_NUMBERS = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)


def seeded_vgg(seed: int) -> dict[str, torch.Tensor]:
    """The random weights that the parity cases were made with (their config.json gives the recipe)."""
    rng = np.random.Generator(np.random.PCG64(seed))
    state = {}
    for number, (outputs, inputs) in zip(_NUMBERS, _SHAPES, strict=True):
        weight = rng.standard_normal((outputs, inputs, 3, 3)) * np.sqrt(2 / (inputs * 9))
        state[f"features.{number}.weight"] = torch.from_numpy(weight.astype(np.float32))
        state[f"features.{number}.bias"] = torch.from_numpy(
            (rng.standard_normal(outputs) * 0.01).astype(np.float32)
        )
    return state


@pytest.mark.parametrize("case", CASES)
def test_the_papers_loss_gives_the_authors_numbers(shared: Path, case: str, device: str) -> None:
    folder = shared / "parity" / "pirenderer-loss" / case
    config = json.loads((folder / "config.json").read_text())
    expected = load_file(folder / "outputs.safetensors")
    state = seeded_vgg(config["vgg_seed"])
    total = state["features.28.weight"].double().sum()
    assert float(total) == pytest.approx(float(expected["vgg_sum.28.weight"]), rel=1e-4)
    given = {
        name: tensor.float() / 127.5 - 1
        for name, tensor in load_file(folder / "inputs.safetensors", device).items()
    }
    picture, target = given.values() if next(iter(given)).startswith("i") else reversed(given.values())
    loss = PerceptualLoss(
        VGG19Features(state, folder), range(config["num_scales"]), config["style_to_perceptual"]
    ).to(device)
    with torch.no_grad():
        terms = loss.terms(loss.features(picture), loss.features(target))
        value = loss(picture, target)
    torch.testing.assert_close(
        terms.content.cpu(), expected["content_per_scale_and_layer"], rtol=1e-4, atol=1e-7
    )
    if config["use_style_loss"]:
        torch.testing.assert_close(terms.style.cpu(), expected["style_per_layer"], rtol=1e-4, atol=1e-9)
    torch.testing.assert_close(value.cpu(), expected["total"].reshape(()), rtol=1e-4, atol=0)


@pytest.fixture(scope="module")
def lite0() -> EfficientNetLite0Features:
    return load_backbone("efficientnet-lite0")  # type: ignore[return-value]


def test_efficientnet_knows_a_cat(lite0: EfficientNetLite0Features) -> None:
    path = require_asset(EFFICIENTNET_LITE0)
    state = load_torch_file(path)
    cat = torch.from_numpy(data.chelsea()[20:276, 70:326]).permute(2, 0, 1)[None] / 127.5 - 1
    scores = lite0.pooled(lite0.prepare(cat)) @ state["_fc.weight"].T + state["_fc.bias"]
    assert int(scores.argmax()) in (281, 282, 285)  # tabby, tiger cat, Egyptian cat


def test_the_distance_grows_with_the_damage(lite0: EfficientNetLite0Features) -> None:
    loss = PerceptualLoss(lite0, (0, 1))
    portrait = torch.from_numpy(data.astronaut()[:256, 96:352]).permute(2, 0, 1)[None] / 127.5 - 1
    torch.manual_seed(0)
    noise = torch.randn_like(portrait)
    assert float(loss(portrait, portrait)) == 0
    little, much = (float(loss((portrait + share * noise).clamp(-1, 1), portrait)) for share in (0.02, 0.2))
    assert 0 < little < much


def test_gradients_reach_the_picture_and_not_the_target(lite0: EfficientNetLite0Features) -> None:
    picture, target = (torch.zeros(1, 3, 64, 64).normal_().requires_grad_() for _ in range(2))
    PerceptualLoss(lite0, (0,), style=1.0)(picture, target).backward()
    assert picture.grad is not None
    assert picture.grad.abs().sum() > 0
    assert target.grad is None


def test_pieces() -> None:
    checker = torch.arange(16.0).reshape(1, 1, 4, 4)
    torch.testing.assert_close(halved(checker)[0, 0], torch.tensor([[2.5, 4.5], [10.5, 12.5]]))
    features = torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])
    torch.testing.assert_close(gram(features)[0], torch.tensor([[5.0, 11.0], [11.0, 25.0]]) / 4)


def test_weights_that_are_not_these(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WeightsDamaged, match=r"VGG-19's '0\.weight'"):
        VGG19Features({"0.weight": torch.zeros(3)}, tmp_path)
    with pytest.raises(WeightsDamaged, match="EfficientNet-Lite0"):
        EfficientNetLite0Features({"_conv_stem.weight": torch.zeros(3)}, tmp_path)
    monkeypatch.setenv("COUNTENANCE_ASSETS", str(tmp_path))
    with pytest.raises(WeightsMissing, match=r"countenance assets fetch vgg19\.pth"):
        load_backbone("vgg19", fetch=False)
