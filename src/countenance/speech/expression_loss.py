"""Squared errors of expressions, where it matters what can be heard and what can't."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from countenance.motion.spaces import MotionSpace


@dataclass(frozen=True)
class ExpressionLoss:
    """Weights of a mean squared error; 1, 1 and 0 make the plain one of the papers.

    Attributes:
        lips_weight: of lips and jaw; other coefficients count 1.
        offset_weight: of the squared error of a sequence's mean. How a person holds the face cannot be heard, and in a
            few people's clips it outweighs what can.
        change_weight: of the squared error of changes from frame to frame, which teaches timing.
    """

    lips_weight: float = 1.0
    offset_weight: float = 1.0
    change_weight: float = 0.0

    def terms(self, error: Tensor, space: MotionSpace, real: Tensor) -> dict[str, Tensor]:
        """Named losses, to be added up.

        Args:
            error: (B, T, K) of the first K coefficients of the space, normalised.
            space: of the motion.
            real: (B,) 1 where the whole face counts, 0 where only the lips do.
        """
        weights = torch.ones(len(error), 1, error.shape[-1], device=error.device) * real[:, None, None]
        weights[:, :, space.region_indices("lips")] = self.lips_weight
        offset = error.mean(1, keepdim=True)
        terms = {
            "expression": ((error - offset).square() * weights).mean(),
            "offset": self.offset_weight * (offset.square() * weights).mean(),
        }
        if self.change_weight:
            terms["change"] = self.change_weight * (error.diff(dim=1).square() * weights).mean()
        return terms
