"""Eyes and mouth seen close: a small share of the picture, and what people look at first."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from countenance.face.mediapipe_topology import REGIONS
from countenance.losses.perceptual import PerceptualLoss

_OUTER_CORNERS = (33, 263)
_EYES = [*REGIONS["rightEye"], *REGIONS["leftEye"]]
_LIPS = list(REGIONS["lips"])
# centered on these points: width and height in distances of the eyes' outer corners, then in px of the result
_PARTS = ((_EYES, (1.6, 0.8), (192, 96)), (_LIPS, (1.2, 1.2), (128, 128)))


def part_crops(pictures: Tensor, places: Tensor) -> list[Tensor]:
    """Cut the eyes with the brows, and the mouth with the chin.

    Args:
        pictures: (B, 3, H, W).
        places: (B, 478, 2) MediaPipe's landmarks, x right and y down, -1 to 1 across the picture.

    Returns:
        (B, 3, 96, 192) and (B, 3, 128, 128), upright; beyond the edge the picture's last row is repeated. Equal
        places cut equal boxes, so pictures of the same moment stay comparable.
    """
    right, left = (places[:, corner] for corner in _OUTER_CORNERS)
    span = torch.linalg.vector_norm(right - left, dim=1)
    crops = []
    for points, (wide, high), (width, height) in _PARTS:
        center = places[:, points].mean(1)
        across = (torch.arange(width, device=places.device) + 0.5) / width - 0.5
        down = (torch.arange(height, device=places.device) + 0.5) / height - 0.5
        grid = torch.stack(torch.meshgrid(across * wide, down * high, indexing="xy"), -1)
        at = center[:, None, None] + grid * span[:, None, None, None]
        crops.append(
            F.grid_sample(pictures.float(), at, mode="bilinear", padding_mode="border", align_corners=False)
        )
    return crops


def part_distance(loss: PerceptualLoss, picture: Tensor, target: Tensor, places: Tensor) -> Tensor:
    """Content and pixel distance of eyes and mouth; see :func:`part_crops`."""
    distances = [
        loss(ours, theirs) + 4 * (ours - theirs).abs().mean()
        for ours, theirs in zip(part_crops(picture, places), part_crops(target, places), strict=True)
    ]
    return torch.stack(distances).mean()
