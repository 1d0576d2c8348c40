"""The patch discriminator that GDPW is trained against (Sec. 3.4), at one or several scales."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from countenance.renderers.gdpw.network import SLOPE, NormalizedConv, blurred_and_reduced
from countenance.renderers.gdpw.official import folded_spectral_norm
from countenance.weights.weight_files import fill


@dataclass(frozen=True)
class DiscriminatorConfig:
    """Sizes. The defaults are the published ones: 0.7 million parameters, full size only.

    Attributes:
        strides: the picture is seen at 1 / stride of its size, by one discriminator each.
        blocks: halvings.
        base_width: channels after the first block, doubled by each further one.
        min_width: the first block has no fewer.
        max_width: no block has more.
        logits_layers: the blocks after which patches are judged, counted as Python counts; the last one as published.
    """

    strides: tuple[int, ...] = (1,)
    blocks: int = 4
    base_width: int = 32
    min_width: int = 16
    max_width: int = 512
    logits_layers: tuple[int, ...] = (-1,)

    def width(self, block: int) -> int:
        """Channels after a block."""
        return min(self.max_width, max(self.base_width, self.min_width) << block)


class Judged(NamedTuple):
    """What the discriminator says.

    Attributes:
        logits: (B, 1, h, w) of every layer that judges, of the first scale, then of the next; one a patch, large for
            real.
        features: after every block of the first scale, then of the next.
    """

    logits: list[Tensor]
    features: list[Tensor]


class DiscriminatorBlock(nn.Module):
    """Convolution 4 x 4, batch norm, LeakyReLU, halved."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = NormalizedConv(inputs, outputs, 4, padding=2)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', (H + 1) // 2, (W + 1) // 2)."""
        return F.avg_pool2d(F.leaky_relu(self.norm(self.conv(x)), SLOPE), 2)


class PatchDiscriminator(nn.Module):
    """One scale."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        widths = [3, *(config.width(block) for block in range(config.blocks))]
        self.blocks = nn.ModuleList(DiscriminatorBlock(a, b) for a, b in pairwise(widths))
        self.judged = config.logits_layers
        self.out = nn.ModuleList(nn.Conv2d(widths[1:][layer], 1, 4, padding=2) for layer in self.judged)

    def forward(self, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """(B, 3, H, W) -> logits (B, 1, h, w) of every layer that judges, features of every block."""
        features = []
        for block in self.blocks:
            x = block(x)
            features.append(x)
        return [out(features[layer]) for out, layer in zip(self.out, self.judged, strict=True)], features


class Discriminator(nn.Module):
    """All scales.

    Args:
        config: sizes.
    """

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        self.scales = nn.ModuleList(PatchDiscriminator(config) for _ in config.strides)

    def forward(self, pictures: Tensor) -> Judged:
        """(B, 3, H, W) in [0, 1]."""
        seen = [
            scale(blurred_and_reduced(pictures, stride))
            for scale, stride in zip(self.scales, self.config.strides, strict=True)
        ]
        logits, features = zip(*seen, strict=True)
        return Judged(list(chain.from_iterable(logits)), list(chain.from_iterable(features)))


def from_official_discriminator(
    state: Mapping[str, Tensor], config: DiscriminatorConfig, path: Path
) -> Discriminator:
    """A discriminator of a state dict in the authors' names (``"discriminator"`` in their container), for comparing.

    Raises:
        WeightsDamaged: other names or shapes.
    """
    network = Discriminator(config)
    scale_of = {f"x{stride}": number for number, stride in enumerate(config.strides)}
    kept = {name: t for name, t in state.items() if not name.startswith("downs.")}
    renamed = {
        re.sub(r"^discs\.(x\d+)\.", lambda m: f"scales.{scale_of.get(m[1], m[1])}.", name)
        .replace(".layers.", ".blocks.")
        .replace(".out_convs.", ".out."): tensor
        for name, tensor in folded_spectral_norm(kept, path).items()
    }
    fill(network, renamed, path)
    return network
