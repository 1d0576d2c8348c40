"""Adversarial losses on patch logits, and feature matching. Shared by every model that is trained against a critic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Kind = Literal["hinge", "least-squares"]


def critic_loss(real: Sequence[Tensor], fake: Sequence[Tensor], kind: Kind) -> Tensor:
    """What the discriminator minimises; a scalar >= 0.

    hinge (Lim and Ye 2017; GDPW Sec. 3.4): mean max(0, 1 - real) + mean max(0, 1 + fake).
    least-squares (Mao et al. 2017; GDPW's published settings): mean (1 - real)^2 + mean fake^2.

    Args:
        real: logits of real pictures, one tensor a scale.
        fake: of made ones.
        kind: which.
    """
    if kind == "hinge":
        terms = [F.relu(1 - r).mean() + F.relu(1 + f).mean() for r, f in zip(real, fake, strict=True)]
    else:
        terms = [(1 - r).square().mean() + f.square().mean() for r, f in zip(real, fake, strict=True)]
    return torch.stack(terms).mean()


def generator_loss(fake: Sequence[Tensor], kind: Kind) -> Tensor:
    """What the generator minimises: -mean fake (hinge) or mean (1 - fake)^2 (least squares)."""
    terms = [-f.mean() if kind == "hinge" else (1 - f).square().mean() for f in fake]
    return torch.stack(terms).mean()


def feature_matching_loss(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """Mean absolute difference of the discriminator's features (Wang et al. 2018, Eq. 4), mean over its layers."""
    terms = [(f - r.detach()).abs().mean() for r, f in zip(real, fake, strict=True)]
    return torch.stack(terms).mean()
