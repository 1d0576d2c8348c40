"""The Fréchet distance of two sets of pictures, by features of any network."""

from __future__ import annotations

import numpy as np

from countenance.arrays import Doubles
from countenance.errors import BadValue


def frechet(features: Doubles, truth: Doubles) -> float:
    """Fréchet distance of two sets of features, each taken as a Gaussian; 0 or more, lower is better.

    |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)), Heusel et al. 2017, Eq. 6. It is FID where the features are those of
    :func:`countenance.evaluation.metrics.fid.features_inception`. Small sets come out too high: compare sets of equal
    sizes only.

    Args:
        features: (N, D) of results.
        truth: (M, D) of true pictures.

    Raises:
        BadValue: fewer than 2 pictures in a set.
    """
    if min(len(features), len(truth)) < 2:
        raise BadValue("a Fréchet distance needs at least 2 pictures in each set")
    gap = features.mean(0) - truth.mean(0)
    # the trace of the root is the sum of singular values of the centred sets' product: no D x D root, which is not
    # exact where sets are smaller than D
    first, second = _centred(features), _centred(truth)
    cross = np.linalg.svd(first @ second.T, compute_uv=False).sum()
    n, m = len(features) - 1, len(truth) - 1
    spread = (first**2).sum() / n + (second**2).sum() / m - 2 * cross / np.sqrt(n * m)
    return float(gap @ gap + max(spread, 0.0))


def _centred(features: Doubles) -> Doubles:
    """(min(N, D), D) with the covariance of (N, D): R of QR, so that thousands of pictures stay D rows."""
    return np.asarray(np.linalg.qr(features - features.mean(0), mode="r"), np.float64)
