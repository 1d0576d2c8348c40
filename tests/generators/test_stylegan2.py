"""StyleGAN2 of our own making: what holds for any weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from countenance.errors import BadValue, WeightsDamaged, WeightsMissing
from countenance.generators.stylegan2.config import DiscriminatorConfig, StyleGAN2Config, debug
from countenance.generators.stylegan2.discriminator import Discriminator
from countenance.generators.stylegan2.mapping import truncated
from countenance.generators.stylegan2.official import load, load_official, save
from countenance.generators.stylegan2.synthesis import Generator
from countenance.weights.weight_files import fill


@pytest.fixture
def generator() -> Generator:
    torch.manual_seed(0)
    network = Generator(debug())
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith(("noise_strength", "bias")):
                parameter.add_(0.1 * torch.randn_like(parameter))
    return network


def latents(count: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(count, debug().z_dim, generator=torch.Generator().manual_seed(seed))


def test_pictures_do_not_depend_on_their_batch(generator: Generator) -> None:
    z = latents(3)
    with torch.no_grad():
        together = generator(z)
        alone = torch.cat([generator(one[None]) for one in z])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_gradients_do_not_depend_on_the_batch_and_are_right(generator: Generator) -> None:
    """One picture has convolutions of its own weights, several share them; both agree with finite differences."""
    generator.double()
    ws = generator.mapping(latents(2).double()).detach()

    def loss(ws: torch.Tensor) -> torch.Tensor:
        return generator.synthesis(ws).square().sum()

    together = torch.autograd.grad(loss(ws.requires_grad_()), ws)[0]
    alone = [torch.autograd.grad(loss(one), one)[0] for one in ws.detach()[:, None].requires_grad_().unbind()]
    torch.testing.assert_close(together, torch.cat(alone))
    step = 1e-6 * torch.randn(ws.shape, dtype=ws.dtype, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        change = loss(ws + step) - loss(ws - step)
    assert float(change) == pytest.approx(float(2 * (together * step).sum()), rel=1e-4)


def test_noise(generator: Generator) -> None:
    ws = generator.mapping(latents(2)).detach()

    def drawn(seed: int) -> torch.Tensor:
        with torch.no_grad():
            picture: torch.Tensor = generator.synthesis(
                ws, noise="random", generator=torch.Generator().manual_seed(seed)
            )
        return picture

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.allclose(drawn(1), drawn(2), atol=1e-3)
    with torch.no_grad():
        const, none = generator.synthesis(ws), generator.synthesis(ws, noise="none")
    assert not torch.allclose(const, none, atol=1e-3)


def test_truncation() -> None:
    ws, mean = torch.randn(2, 6, 4), torch.randn(4)
    assert truncated(ws, mean, 1) is ws
    torch.testing.assert_close(truncated(ws, mean, 0), mean.expand(2, 6, 4))
    some = truncated(ws, mean, 0.5, cutoff=2)
    torch.testing.assert_close(some[:, :2], (ws[:, :2] + mean) / 2)
    assert torch.equal(some[:, 2:], ws[:, 2:])


def test_the_clamp_holds() -> None:
    torch.manual_seed(0)
    network = Generator(StyleGAN2Config(8, 0, 8, 16, 3, 64, 8, 2, conv_clamp=0.25))
    outputs = []
    for name, module in network.named_modules():
        if name.endswith(("conv0", "conv1", "torgb")):
            module.register_forward_hook(lambda _module, _inputs, output: outputs.append(output.detach()))
    network(latents(2)).sum().backward()
    largest = [float(output.abs().max()) for output in outputs]
    assert len(largest) == 8
    assert max(largest) == 0.25
    unclamped = Generator(debug())
    fill(unclamped, network.state_dict(), Path("here"))
    assert not torch.allclose(unclamped(latents(2)), network(latents(2)), atol=1e-3)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning")
def test_a_tracer_sees_the_same_network(generator: Generator) -> None:
    ws = generator.mapping(latents(1)).detach()
    with torch.no_grad():
        traced = torch.jit.trace(generator.synthesis, (ws,))
        torch.testing.assert_close(traced(ws + 0.1), generator.synthesis(ws + 0.1), atol=1e-5, rtol=1e-5)


def test_a_critic_has_second_gradients() -> None:
    """The gradient penalty R1 is trained on them."""
    torch.manual_seed(0)
    critic = Discriminator(DiscriminatorConfig(img_resolution=16, channel_base=64, channel_max=8))
    pictures = torch.randn(2, 3, 16, 16, requires_grad=True)
    (slope,) = torch.autograd.grad(critic(pictures).sum(), pictures, create_graph=True)
    slope.square().sum().backward()
    assert all(
        parameter.grad is not None for name, parameter in critic.named_parameters() if "weight" in name
    )


def test_files_of_ours(generator: Generator, tmp_path: Path) -> None:
    path = tmp_path / "faces.safetensors"
    save(generator, path, {"made from": "nothing"})
    read = load(path)
    assert read.config == generator.config
    for name, tensor in generator.state_dict().items():
        assert torch.equal(read.state_dict()[name], tensor), name


def test_bad_values(generator: Generator, tmp_path: Path) -> None:
    with pytest.raises(BadValue, match="6 w of 8 numbers"):
        generator.synthesis(torch.zeros(1, 5, 8))
    with pytest.raises(BadValue, match="label of 5 numbers"):
        Generator(StyleGAN2Config(8, 5, 8, 16, 3, 64, 8, 2))(latents(1))
    for side in (2, 24):
        with pytest.raises(BadValue, match=f"{side} px"):
            Generator(StyleGAN2Config(img_resolution=side))
    with pytest.raises(WeightsMissing):
        load_official(tmp_path / "ffhq.pkl")
    (tmp_path / "other.safetensors").write_bytes(b"no tensors")
    with pytest.raises(WeightsDamaged, match="countenance"):
        load(tmp_path / "other.safetensors")
