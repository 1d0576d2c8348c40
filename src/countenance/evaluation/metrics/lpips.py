"""LPIPS: how different two pictures look, as the papers report it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from countenance.arrays import Image
from countenance.errors import BadValue, DependencyMissing

if TYPE_CHECKING:
    from countenance.evaluation.metrics.lpips_network import Lpips

SMALLEST = 32
"""Shortest side in px; below, AlexNet's last layers have no pixels."""


def lpips(picture: Image, truth: Image, network: Literal["alex", "vgg"] = "alex") -> float:
    """LPIPS v0.1 of Zhang et al. 2018: 0 for equal pictures, lower is better.

    Sum over five layers of the mean over pixels of the weighted squared differences of unit-length features (Eq. 1).
    Pictures are compared at their own size, and the figure depends on it. "alex" is what the authors recommend for
    comparisons; papers on portraits give "alex" or "vgg", and the two must not be compared with each other.

    Args:
        picture: H x W x 3, RGB uint8, 32 px or more on each side.
        truth: of the same size.
        network: "alex" or "vgg".

    Raises:
        BadValue: other forms, or different sizes.
        UnknownName: another network.
        DependencyMissing: PyTorch.
        WeightsMissing: the network's weights can't be had.
        WeightsDamaged: they are not what they should be.
    """
    for given in (picture, truth):
        if (
            given.ndim != 3
            or given.shape[2] != 3
            or given.dtype != np.uint8
            or min(given.shape[:2]) < SMALLEST
        ):
            form = f"{given.shape} {given.dtype}"
            raise BadValue(f"LPIPS takes pictures (H, W, 3) uint8 of {SMALLEST} px or more, not {form}")
    if picture.shape != truth.shape:
        raise BadValue(f"LPIPS compares pictures of one size, not {picture.shape} with {truth.shape}")
    loaded = _network(network)
    import torch

    with torch.inference_mode():
        return float(loaded(_planes(picture), _planes(truth)))


def _planes(picture: Image) -> Any:
    import torch

    return torch.tensor(picture).permute(2, 0, 1)[None].float() / 127.5 - 1


@cache
def _network(name: str) -> Lpips:
    try:
        from countenance.evaluation.metrics.lpips_network import load_lpips
    except ImportError as error:
        raise DependencyMissing("torch", "torch", "LPIPS") from error
    return load_lpips(name)
