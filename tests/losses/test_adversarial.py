"""Adversarial losses against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from countenance.losses.adversarial import critic_loss, feature_matching_loss, generator_loss, r1_penalty

REAL = [torch.tensor([2.0, 0.5]), torch.tensor([1.0])]
FAKE = [torch.tensor([-3.0, 0.0]), torch.tensor([0.5])]


def test_hinge() -> None:
    # scale 1: mean(0, 0.5) + mean(0, 1) = 0.75; scale 2: 0 + 1.5
    assert float(critic_loss(REAL, FAKE, "hinge")) == pytest.approx((0.75 + 1.5) / 2)
    assert float(generator_loss(FAKE, "hinge")) == pytest.approx((1.5 - 0.5) / 2)


def test_least_squares() -> None:
    # scale 1: mean(1, 0.25) + mean(9, 0) = 5.125; scale 2: 0 + 0.25
    assert float(critic_loss(REAL, FAKE, "least-squares")) == pytest.approx((5.125 + 0.25) / 2)
    assert float(generator_loss(FAKE, "least-squares")) == pytest.approx(((16 + 1) / 2 + 0.25) / 2)


def test_non_saturating() -> None:
    real, fake = [torch.tensor([0.0, math.log(3)])], [torch.tensor([0.0])]
    # softplus(0) = log 2, softplus(-log 3) = log(4 / 3)
    expected = (math.log(2) + math.log(4 / 3)) / 2 + math.log(2)
    assert float(critic_loss(real, fake, "non-saturating")) == pytest.approx(expected)
    assert float(generator_loss(real, "non-saturating")) == pytest.approx(expected - math.log(2))


def test_r1_of_a_function_whose_gradient_is_known() -> None:
    """f = a sum x^2 + sum b y: gradients 2 a x and b, and the penalty's own derivative to a is 8 a sum x^2."""
    a = torch.tensor(0.5, requires_grad=True)
    x = torch.tensor([[1.0, 2.0], [3.0, 0.0]], requires_grad=True)
    y, b = torch.zeros(2, 3, requires_grad=True), torch.tensor([1.0, -2.0, 0.0])
    penalty = r1_penalty(a * x.square().sum(1) + y @ b, [x, y])
    assert float(penalty.detach()) == pytest.approx((5 + 9) / 2 + 5)
    penalty.backward()
    assert float(a.grad) == pytest.approx(8 * 0.5 * (5 + 9) / 2)  # type: ignore[arg-type]


def test_feature_matching_moves_what_is_made_alone() -> None:
    real, fake = torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([1.0, 5.0], requires_grad=True)
    loss = feature_matching_loss([real], [fake])
    loss.backward()
    assert float(loss.detach()) == 1.5
    assert real.grad is None
    assert fake.grad is not None
