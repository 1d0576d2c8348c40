"""Features to density and colours: the small network that is asked at every sample (Chan et al., Sec. 4.2)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from countenance.generators.stylegan2.layers import FullyConnected

HIDDEN = 64
_SLACK = 0.001  # a sigmoid can't reach 0 and 1, so its range is a little wider (MipNeRF)


class Decoder(nn.Module):
    """32 features -> 64, softplus -> density and 32 colours. The direction of view plays no part.

    Args:
        features: C, of a sample and of its colours.
        lr_multiplier: stored weights are to be multiplied by this.
    """

    def __init__(self, features: int, lr_multiplier: float) -> None:
        super().__init__()
        self.net = nn.Sequential(
            FullyConnected(features, HIDDEN, lr_multiplier=lr_multiplier),
            nn.Softplus(),
            FullyConnected(HIDDEN, 1 + features, lr_multiplier=lr_multiplier),
        )

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Mean features (..., C) -> density before its activation (..., 1), colours (..., C) to be widened."""
        out = self.net(features.flatten(0, -2)).reshape(*features.shape[:-1], -1)
        out = out.to(features.dtype)  # of half precision; rays are followed in full
        return out[..., :1], F.sigmoid(out[..., 1:])

    @staticmethod
    def widened(colours: Tensor, weight_sum: Tensor | float = 1) -> Tensor:
        """Colours in [0, 1] as they are meant, in [-0.001, 1.001].

        The same may be done to a weighted sum of colours, which are fewer, with the sum of the weights.
        """
        return colours * (1 + 2 * _SLACK) - _SLACK * weight_sum
