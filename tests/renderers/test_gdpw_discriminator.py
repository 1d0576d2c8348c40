"""The discriminator against numbers from the authors' network."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import conv2d

from countenance.errors import WeightsDamaged
from countenance.renderers.gdpw.discriminator import (
    Discriminator,
    DiscriminatorConfig,
    from_official_discriminator,
)
from countenance.renderers.gdpw.recipe import PatchAdversary, folded_state

TINY = DiscriminatorConfig(base_width=16, max_width=32)


def test_it_gives_the_authors_numbers(shared: Path, device: str) -> None:
    folder = shared / "parity" / "gdpw" / "tiny-discriminator"
    network = from_official_discriminator(load_file(folder / "weights.safetensors"), TINY, folder).eval()
    expected = load_file(folder / "outputs.safetensors")
    with torch.no_grad():
        judged = network.to(device)(load_file(folder / "inputs.safetensors", device)["image"])
    ours = {f"features.{i}": f for i, f in enumerate(judged.features)} | {"logits.0": judged.logits[0]}
    assert set(ours) == set(expected)
    for name, tensor in ours.items():
        torch.testing.assert_close(tensor.cpu(), expected[name], rtol=1e-4, atol=1e-4)


def test_the_published_size(shared: Path) -> None:
    known = json.loads(
        (shared / "parity" / "gdpw" / "official-full-discriminator" / "config.json").read_text()
    )
    assert sum(p.numel() for p in Discriminator(DiscriminatorConfig()).parameters()) == known["parameters"]


def test_another_network_is_refused(shared: Path) -> None:
    folder = shared / "parity" / "gdpw" / "tiny-discriminator"
    with pytest.raises(WeightsDamaged, match="shape"):
        from_official_discriminator(load_file(folder / "weights.safetensors"), DiscriminatorConfig(), folder)


def test_a_second_scale_sees_a_smaller_picture() -> None:
    network = Discriminator(DiscriminatorConfig(strides=(1, 2), blocks=2, base_width=4, min_width=4))
    judged = network(torch.rand(2, 3, 32, 32))
    assert [tuple(logits.shape) for logits in judged.logits] == [(2, 1, 9, 9), (2, 1, 5, 5)]
    assert len(judged.features) == 4


def test_several_layers_judge(shared: Path) -> None:
    """As in checkpoints with ``logits_layers`` -1 and -3: the last layer's logits stay, others join them."""
    folder = shared / "parity" / "gdpw" / "tiny-discriminator"
    state = load_file(folder / "weights.safetensors")
    widths = [state[f"discs.x1.layers.{block}.conv.weight_orig"].shape[0] for block in range(4)]
    torch.manual_seed(0)
    weight, bias = torch.randn(1, widths[-3], 4, 4), torch.randn(1)
    state |= {"discs.x1.out_convs.1.weight": weight, "discs.x1.out_convs.1.bias": bias}
    config = replace(TINY, logits_layers=(-1, -3))
    network = from_official_discriminator(state, config, folder).eval()
    expected = load_file(folder / "outputs.safetensors")
    with torch.no_grad():
        judged = network(load_file(folder / "inputs.safetensors")["image"])
    last, earlier = judged.logits
    torch.testing.assert_close(last, expected["logits.0"], rtol=1e-4, atol=1e-4)
    theirs = conv2d(expected["features.1"], weight, bias, padding=2)
    torch.testing.assert_close(earlier, theirs, rtol=1e-4, atol=1e-4)
    with pytest.raises(WeightsDamaged):
        from_official_discriminator(state, TINY, folder)


def test_spectral_norm_bounds_every_convolution_but_the_last() -> None:
    torch.manual_seed(0)
    critic = PatchAdversary(TINY).build()
    for _ in range(20):  # each pass is one step of the power iteration
        critic(torch.rand(2, 3, 32, 32))
    state = folded_state(critic.eval())
    assert set(state) == set(Discriminator(TINY).state_dict())
    for name, weight in state.items():
        if name.endswith("conv.weight"):
            assert float(torch.linalg.matrix_norm(weight.flatten(1), 2)) == pytest.approx(1, abs=0.05)
