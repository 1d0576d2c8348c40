"""Flow fields and sampling. The published way is a quirk of the checkpoint; it lives here and nowhere else.

Flow is in pixels of its own grid: channel 0 is x (right), channel 1 is y (down); it says from where in the
source each place of the result comes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def sampling_positions(flow: Tensor, exact: bool) -> Tensor:
    """Flow -> positions in the source, for ``grid_sample``.

    Args:
        flow: (B, 2, h, w) in px of its own grid.
        exact: True: pixel centres lie at (2 i + 1) / n - 1, as ``grid_sample(align_corners=False)`` takes them,
            and a zero flow samples the picture itself. False: the published grid, whose first and last centres
            lie at -1 and 1 though it is sampled with ``align_corners=False``, so that a zero flow is not the
            identity.

    Returns:
        (B, h, w, 2): x and y in [-1, 1].
    """
    _, _, height, width = flow.shape
    grids = []
    for axis, size in ((0, width), (1, height)):
        i = torch.arange(size, device=flow.device, dtype=torch.float32)
        base, unit = ((2 * i + 1) / size - 1, size) if exact else (2 * i / (size - 1) - 1, size - 1)
        along = base[None, None, :] if axis == 0 else base[None, :, None]
        grids.append(along + 2 * flow[:, axis].float() / unit)
    return torch.stack(grids, -1)


def resized_positions(positions: Tensor, height: int, width: int) -> Tensor:
    """Positions (B, h, w, 2) resized bilinearly to (B, height, width, 2); they are absolute and not rescaled."""
    if positions.shape[1:3] == (height, width):
        return positions
    planes = positions.permute(0, 3, 1, 2)
    resized = F.interpolate(planes, (height, width), mode="bilinear", align_corners=False)
    return resized.permute(0, 2, 3, 1)


def resized_flow_positions(flow: Tensor, height: int, width: int) -> Tensor:
    """Exact positions at another size; the displacement is resized, so that the border stays where it is."""
    h, w = flow.shape[2:]
    relative = flow.float() * (2 / torch.tensor([w, h], device=flow.device)[None, :, None, None])
    resized = F.interpolate(relative, (height, width), mode="bilinear", align_corners=False)
    return sampling_positions(
        resized * (torch.tensor([width, height], device=flow.device) / 2)[None, :, None, None], True
    )


def warp(picture: Tensor, flow: Tensor, exact: bool) -> Tensor:
    """Sample ``picture`` at the places that ``flow`` names.

    Args:
        picture: (B, C, H, W).
        flow: (B, 2, h, w), h and w at most H and W.
        exact: see :func:`sampling_positions`. It also repeats the border beyond the edge; the published
            network finds zeros there.

    Returns:
        (B, C, H, W); NaN everywhere if the flow is not finite, or so large that enlarging it overflows.
    """
    height, width = picture.shape[2:]
    if exact:
        positions = resized_flow_positions(flow, height, width)
    else:
        positions = resized_positions(sampling_positions(flow, exact), height, width)
    tracing: bool = torch.jit.is_tracing()  # type: ignore[attr-defined,no-untyped-call]
    if not tracing and not torch.isfinite(positions).all():
        return torch.full_like(picture, torch.nan)  # sampling at NaN reads memory that is not the picture's
    padding = "border" if exact else "zeros"
    return F.grid_sample(
        picture.float(), positions, mode="bilinear", padding_mode=padding, align_corners=False
    ).to(picture.dtype)
