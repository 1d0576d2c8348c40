"""How sharp a picture looks, without a true one to compare it with."""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image as PilImage

from countenance.arrays import Doubles, Image, Mask
from countenance.errors import BadValue, DependencyMissing

_BLOCK = 64  # px
SMALLEST_CPBD = _BLOCK
"""Least side, in px."""
_EDGE_BLOCK = 0.002  # a block counts if more than this share of its pixels are edges
_BETA = 3.6  # slope of the chance that blur is seen
_LOW_CONTRAST = 50  # levels
_WIDTH_LOW, _WIDTH_HIGH = 5, 3  # px: just noticeable width up to this contrast, and above it
_NOTICED_PERCENT = 63  # chance that blur is seen at an edge of just the noticeable width


def cpbd(picture: Image) -> float:
    """Share of edges whose blur is not noticed, in [0, 1]; higher is sharper. A picture without edges: 0.

    Cumulative probability of blur detection (Narvekar & Karam 2011), on the luma of an H x W x 3 picture in whole
    64 x 64 blocks from its top left; what is left at the right and bottom does not count. An edge of w px goes
    unnoticed if 1 - exp(-(w / w_JNB)^3.6) is at most 63 %. Where the paper leaves things open we do as the package
    ``cpbd``, which follows the authors' program: edges are measured across rows only, a step without any blur is no
    edge (two pixels of it are equally steep), and Canny's thresholds are so low that a block with any texture counts.
    Noise counts as sharpness, and the figure depends on the picture's size: compare at one size only.

    Raises:
        BadValue: a side below 64 px.
        DependencyMissing: scikit-image.
    """
    try:
        from skimage.feature import canny
    except ImportError as error:
        raise DependencyMissing("scikit-image", "evaluation", "the sharpness metric") from error
    height, width = picture.shape[:2]
    if min(height, width) < _BLOCK:
        raise BadValue(f"CPBD needs {_BLOCK} x {_BLOCK} px or more, not {width} x {height}")
    luma = np.asarray(PilImage.fromarray(picture).convert("L"), np.float64)
    textured = _blocks(canny(luma).astype(np.float64)).mean(1) > _EDGE_BLOCK  # type: ignore[no-untyped-call]
    noticeable = np.where(np.ptp(_blocks(luma), axis=1) <= _LOW_CONTRAST, _WIDTH_LOW, _WIDTH_HIGH)
    widths = _blocks(_edge_widths(luma))
    edges = (widths > 0) & textured[:, None]
    noticed = 1 - np.exp(-((widths / noticeable[:, None]) ** _BETA))
    # whole percents, as in the paper's histogram: an edge of just the noticeable width (63.2 %) goes unnoticed
    unnoticed = edges & (np.rint(100 * noticed) <= _NOTICED_PERCENT)
    return float(unnoticed.sum() / max(edges.sum(), 1))


def _blocks(plane: Doubles) -> Doubles:
    """(N, 4096): the whole blocks of an H x W plane."""
    rows, columns = (side // _BLOCK for side in plane.shape)
    whole = plane[: rows * _BLOCK, : columns * _BLOCK].reshape(rows, _BLOCK, columns, _BLOCK)
    return whole.swapaxes(1, 2).reshape(rows * columns, _BLOCK * _BLOCK)


def _edge_widths(luma: Doubles) -> Doubles:
    """Width in px of the edge at each pixel, from end to end of its ramp along the row (Marziliano et al. 2002).

    0 where there is no edge, or where its direction, rounded to 45 degrees, is not along the row.
    """
    down, right = np.gradient(luma)
    along_row = np.abs(down) <= np.abs(right) * np.tan(np.pi / 8)
    # the authors' program takes a gradient that is exactly vertical for one to the right
    # (the package gives 0 where every gradient is one to the right; that is no reason not to measure, so we do)
    brighter = (along_row & (right > 0)) | (right == 0)
    darker = along_row & (right < 0)
    widths = np.where(brighter, _ramp_lengths(luma), np.where(darker, _ramp_lengths(-luma), 0))
    return np.where(_vertical_edges(luma), widths, 0)


def _vertical_edges(luma: Doubles) -> Mask:
    """Maxima along the row or the column of Sobel's squared response, where it is above a threshold."""
    response = cv2.Sobel(luma, cv2.CV_64F, 1, 0, scale=1 / 8, borderType=cv2.BORDER_REFLECT) ** 2
    response[response <= 2 * np.sqrt(response.mean())] = 0
    inner = response[1:-1, 1:-1]  # the picture's outermost pixels are no edges
    in_row = (inner > response[1:-1, :-2]) & (inner > response[1:-1, 2:])
    in_column = (inner > response[:-2, 1:-1]) & (inner > response[2:, 1:-1])
    return np.pad(in_row | in_column, 1)


def _ramp_lengths(levels: Doubles) -> Doubles:
    """For each pixel, the px to both sides over which its row rises without a stop from left to right.

    A pixel's steps to its two neighbours are taken for granted, as the authors do.
    """
    rises = np.diff(levels, axis=1) > 0
    before = _steps_before(rises)
    after = _steps_before(rises[:, ::-1])[:, ::-1]
    return np.pad(2 + before[:, :-2] + after[:, 2:], ((0, 0), (1, 1)))


def _steps_before(steps: Mask) -> Doubles:
    """(H, W) lengths of the unbroken runs of ``steps`` (H, W - 1) that end at each pixel."""
    columns = np.arange(steps.shape[1] + 1)
    starts = np.pad(np.where(steps, 0, columns[1:]), ((0, 0), (1, 0)))  # columns where a run starts anew
    return (columns - np.maximum.accumulate(starts, axis=1)).astype(np.float64)
