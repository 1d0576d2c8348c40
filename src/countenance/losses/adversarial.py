"""Adversarial losses on logits, feature matching and R1. Shared by every model that is trained against a critic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Kind = Literal["hinge", "least-squares", "non-saturating"]


def critic_loss(real: Sequence[Tensor], fake: Sequence[Tensor], kind: Kind) -> Tensor:
    """What the discriminator minimises; a scalar >= 0.

    non-saturating (Goodfellow et al. 2014; StyleGAN2): mean softplus(-real) + mean softplus(fake).
    hinge (Lim and Ye 2017; GDPW Sec. 3.4): mean max(0, 1 - real) + mean max(0, 1 + fake).
    least-squares (Mao et al. 2017; GDPW's published settings): mean (1 - real)^2 + mean fake^2.

    Args:
        real: logits of real pictures, one tensor a scale.
        fake: of made ones.
        kind: which.
    """
    if kind == "non-saturating":
        terms = [F.softplus(-r).mean() + F.softplus(f).mean() for r, f in zip(real, fake, strict=True)]
    elif kind == "hinge":
        terms = [F.relu(1 - r).mean() + F.relu(1 + f).mean() for r, f in zip(real, fake, strict=True)]
    else:
        terms = [(1 - r).square().mean() + f.square().mean() for r, f in zip(real, fake, strict=True)]
    return torch.stack(terms).mean()


def generator_loss(fake: Sequence[Tensor], kind: Kind) -> Tensor:
    """What the generator minimises: -mean fake (hinge), mean (1 - fake)^2 or mean softplus(-fake), as ``kind`` says."""
    if kind == "non-saturating":
        terms = [F.softplus(-f).mean() for f in fake]
    else:
        terms = [-f.mean() if kind == "hinge" else (1 - f).square().mean() for f in fake]
    return torch.stack(terms).mean()


def feature_matching_loss(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """Mean absolute difference of the discriminator's features (Wang et al. 2018, Eq. 4), mean over its layers."""
    terms = [(f - r.detach()).abs().mean() for r, f in zip(real, fake, strict=True)]
    return torch.stack(terms).mean()


def r1_penalty(logits: Tensor, pictures: Sequence[Tensor]) -> Tensor:
    """The critic's squared gradient at real pictures (Mescheder et al. 2018), mean over the batch; to be halved.

    Args:
        logits: (B, ...) of the pictures.
        pictures: one or several tensors (B, ...) that the logits were computed from, with ``requires_grad``.
    """
    gradients = torch.autograd.grad(logits.sum(), list(pictures), create_graph=True)
    return torch.stack([gradient.square().flatten(1).sum(1) for gradient in gradients]).sum(0).mean()
