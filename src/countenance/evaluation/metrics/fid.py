"""The features of FID, as the papers report it; the distance itself is in :mod:`.frechet`.

The standard to match is torch-fidelity's ``frechet_inception_distance``, which repeats the TensorFlow program of Heusel
et al. 2017. pytorch-fid resizes pictures in another way; its figures differ a little.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from countenance.arrays import Doubles, Image
from countenance.errors import BadValue, DependencyMissing

if TYPE_CHECKING:
    from countenance.evaluation.metrics.inception import FidInception


def features_inception(picture: Image) -> Doubles:
    """(2048,) features of FID's Inception-v3, 0 or more.

    FID is :func:`countenance.evaluation.metrics.frechet.frechet` of two sets of them; lower is better. Published
    figures are of thousands of pictures; with fewer than 2049 in a set the covariances are singular, and FID is far
    too high.

    Args:
        picture: H x W x 3, RGB uint8, of any size; the network sees it at 299 x 299.

    Raises:
        BadValue: another form.
        DependencyMissing: PyTorch.
        WeightsMissing: the network's weights can't be had.
        WeightsDamaged: they are not what they should be.
    """
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or not picture.size:
        raise BadValue(f"FID takes pictures (H, W, 3) uint8, not {picture.shape} {picture.dtype}")
    network = _network()
    import torch

    with torch.inference_mode():
        planes = torch.tensor(picture).permute(2, 0, 1)[None].float()
        return np.asarray(network(planes)[0], np.float64)


@cache
def _network() -> FidInception:
    try:
        from countenance.evaluation.metrics.inception import load_inception
    except ImportError as error:
        raise DependencyMissing("torch", "torch", "FID") from error
    return load_inception()
