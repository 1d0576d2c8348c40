"""Adaptive discriminator augmentation."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from countenance.errors import BadValue
from countenance.generators.stylegan2.augmentation import (
    _SYM6,
    AdaptiveAugmentation,
    AugmentationConfig,
    resampled,
)
from countenance.losses.adversarial import r1_penalty


def some_pictures(
    count: int = 2, channels: int = 3, side: int = 16, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Smooth, so that they can be turned without loss."""
    small = torch.randn(count, channels, 4, 4, generator=torch.Generator().manual_seed(0), dtype=dtype)
    return torch.nn.functional.interpolate(small, (side, side), mode="bicubic").clamp(-1, 1)


def turned(angle: float, count: int = 2) -> Tensor:
    cosine, sine = math.cos(angle), math.sin(angle)
    return torch.tensor([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]]).repeat(count, 1, 1)


def with_p(p: float, **options: bool) -> AdaptiveAugmentation:
    augment = AdaptiveAugmentation(AugmentationConfig(**options))
    augment.p.fill_(p)
    return augment


def test_the_filter_is_sym6() -> None:
    """Orthogonal to itself shifted by even numbers, and with six vanishing moments."""
    taps = torch.tensor(_SYM6, dtype=torch.float64)
    assert float(taps.sum()) == pytest.approx(math.sqrt(2))
    for shift in range(0, 12, 2):
        assert float((taps[shift:] * taps[: 12 - shift]).sum()) == pytest.approx(float(shift == 0), abs=1e-9)
    signs = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(6)
    for power in range(6):
        places = torch.linspace(-1, 1, 12, dtype=torch.float64) ** power
        assert float((taps * signs * places).sum()) == pytest.approx(0, abs=1e-8)


def test_nothing_changes_at_probability_0() -> None:
    pictures = some_pictures()
    assert torch.equal(with_p(0)(pictures), pictures)


def test_resampling_at_rest_loses_nothing() -> None:
    pictures = torch.randn(2, 3, 12, 16, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(resampled(pictures, turned(0)), pictures, atol=1e-5, rtol=0)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_turning_is_about_the_centre(quarters: int) -> None:
    pictures = some_pictures(side=32)
    moved = resampled(pictures, turned(quarters * math.pi / 2))
    inside = slice(3, -3)
    expected = pictures.rot90(quarters, (2, 3))
    assert (moved - expected)[:, :, inside, inside].abs().max() < 0.1  # the filter is not quite symmetric


def test_shifts_go_where_the_matrix_says() -> None:
    pictures = some_pictures(side=24)
    matrix = turned(0)
    matrix[:, :2, 2] = torch.tensor([2.0, -3.0])  # the result's (x, y) shows the picture's (x + 2, y - 3)
    moved = resampled(pictures, matrix)
    inside = slice(4, -4)
    torch.testing.assert_close(
        moved[:, :, inside, inside], pictures.roll((3, -2), (2, 3))[:, :, inside, inside], atol=1e-4, rtol=0
    )


def test_blits_move_whole_pixels() -> None:
    torch.manual_seed(3)
    matrix = with_p(1, geometry=False)._placement(torch.zeros(50, 3, 16, 16))
    torch.testing.assert_close(matrix, matrix.round(), atol=1e-5, rtol=0)
    assert {-1, 1} <= {round(float(d)) for d in matrix[:, :2, :2].det()}
    assert round(float(matrix[:, :2, 2].abs().max())) == 2  # an eighth of 16 px


def test_geometry_and_colour_change_pictures_and_treat_both_halves_alike() -> None:
    torch.manual_seed(0)
    pictures = some_pictures(4)
    for options in ({"colour": False}, {"blits": False, "geometry": False}, {}):
        both = with_p(1, **options)(pictures.repeat(1, 2, 1, 1))
        assert both.shape == (4, 6, 16, 16)
        torch.testing.assert_close(both[:, :3], both[:, 3:])
        assert (both[:, :3] - pictures).abs().mean() > 0.05


def test_colours_are_mapped_as_the_paper_says() -> None:
    """Grey stays grey under hue and saturation, whose change keeps the mean."""
    torch.manual_seed(0)
    augment = with_p(1, blits=False, geometry=False)
    grey = torch.full((6, 3, 4, 4), 0.3)
    changed = augment(grey)
    assert (changed - changed.mean(1, keepdim=True)).abs().max() < 1e-5
    torch.manual_seed(1)
    levels = torch.stack([torch.full((3, 4, 4), value) for value in (0.0, 0.2, 0.4)])
    again = torch.cat([with_seed(augment, picture[None]) for picture in levels])
    steps = again.diff(dim=0)
    torch.testing.assert_close(steps[0], steps[1], atol=1e-5, rtol=0)


def with_seed(augment: AdaptiveAugmentation, pictures: Tensor) -> Tensor:
    torch.manual_seed(1)
    return augment(pictures)


def test_r1_goes_through_it() -> None:
    """Against autograd's own numerical check of first and second derivatives."""
    pictures = some_pictures(1, 3, 8, torch.float64).requires_grad_()

    def changed(x: Tensor) -> Tensor:
        torch.manual_seed(5)
        augment = with_p(0.9)
        return augment(x).tanh()

    assert torch.autograd.gradcheck(changed, (pictures,), fast_mode=True)
    assert torch.autograd.gradgradcheck(changed, (pictures,), fast_mode=True)
    weight = torch.randn(3 * 64, dtype=torch.float64, requires_grad=True)
    penalty = r1_penalty((changed(pictures).flatten(1) @ weight)[:, None], [pictures])
    penalty.backward()
    assert weight.grad is not None
    assert float(weight.grad.abs().max()) > 0


@pytest.mark.parametrize(("logit", "expected"), [(2.0, 0.03), (-2.0, 0.0)])
def test_p_follows_the_critics_certainty(logit: float, expected: float) -> None:
    augment = AdaptiveAugmentation(AugmentationConfig(pictures=1000, every=3))
    for _ in range(3):
        assert float(augment.p) == 0
        augment.observe(torch.full((10, 1), logit))
    assert float(augment.p) == pytest.approx(expected)
    augment.p.fill_(0.5)
    for _ in range(3):
        augment.observe(torch.cat([torch.full((7, 1), 1.0), torch.full((3, 1), -1.0)]))  # mean sign 0.4
    assert float(augment.p) == pytest.approx(0.5 - 0.03)


def test_its_state_is_kept() -> None:
    augment, other = (AdaptiveAugmentation(AugmentationConfig(pictures=100, every=2)) for _ in range(2))
    for _ in range(3):
        augment.observe(torch.ones(4, 1))
    other.load_state_dict(augment.state_dict())
    for one in (augment, other):
        one.observe(torch.ones(4, 1))
    assert float(augment.p) == float(other.p) == pytest.approx(0.16)


def test_channels_must_be_colours() -> None:
    with pytest.raises(BadValue, match="multiple of 3"):
        with_p(1)(torch.zeros(1, 4, 8, 8))
