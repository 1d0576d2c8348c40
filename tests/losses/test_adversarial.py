"""Adversarial losses against numbers worked out by hand."""

from __future__ import annotations

import pytest
import torch

from countenance.losses.adversarial import critic_loss, feature_matching_loss, generator_loss

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


def test_feature_matching_moves_what_is_made_alone() -> None:
    real, fake = torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([1.0, 5.0], requires_grad=True)
    loss = feature_matching_loss([real], [fake])
    loss.backward()
    assert float(loss.detach()) == 1.5
    assert real.grad is None
    assert fake.grad is not None
