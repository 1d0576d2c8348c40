"""Least-squares similarity between two point sets (Umeyama 1991)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from countenance.arrays import Doubles


def similarity(
    source: NDArray[Any], target: NDArray[Any], weights: NDArray[Any] | None = None
) -> tuple[float, Doubles, Doubles]:
    """Scale s, rotation R (D, D) and shift t (D,) that minimise sum_i w_i |target_i - (s R source_i + t)|^2.

    Args:
        source: (N, D) points, D = 2 or 3.
        target: (N, D) points that correspond one to one.
        weights: (N,) non-negative weights; equal weights when absent.

    Returns:
        ``(s, R, t)`` with s > 0 and det R = 1.
    """
    w = np.ones(len(source)) if weights is None else np.asarray(weights, np.float64)
    w = w / w.sum()
    a, b = np.asarray(source, np.float64), np.asarray(target, np.float64)
    mean_a, mean_b = w @ a, w @ b
    a, b = a - mean_a, b - mean_b
    u, spread, vt = np.linalg.svd((b * w[:, None]).T @ a)
    signs = np.ones(a.shape[1])
    signs[-1] = np.sign(np.linalg.det(u @ vt))  # a mirror image is no rotation
    rotation = (u * signs) @ vt
    scale = float((spread * signs).sum() / (w @ (a * a).sum(1)))
    return scale, rotation, mean_b - scale * rotation @ mean_a
