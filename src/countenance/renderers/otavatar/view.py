"""A head as a camera sees it, and a depth map as a picture."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from countenance.arrays import Floats, Image
from countenance.generators.eg3d.cameras import RADIUS
from countenance.generators.eg3d.tracked_cameras import UNITS_PER_CM

DEPTH_REACH_CM = 15.0
"""A depth map shows what lies so far before and behind the head's middle; a head reaches about 10 to each side."""


class View(NamedTuple):
    """What one camera sees.

    Attributes:
        picture: S x S x 3, the crop.
        depth: (r, r) distance from the camera along the ray, in units of the scene (37 cm). r is the side of the
            picture that rays give, before super-resolution. Where nothing is, the farthest that was looked at.
    """

    picture: Image
    depth: Floats


def depth_picture(depth: Floats, side: int) -> Image:
    """A depth map to look at: nearer is brighter, on a scale that is the same for all people, views and frames.

    The middle of the scale is the distance of the head's middle. The brightest is ``DEPTH_REACH_CM`` or more nearer,
    the darkest as much farther. Colours are OpenCV's map "inferno", whose brightness rises evenly.

    Args:
        depth: (r, r), as in :class:`View`, of a camera at EG3D's distance.
        side: S, of the result in px.

    Returns:
        S x S x 3.
    """
    nearer_cm = (RADIUS - depth) / UNITS_PER_CM
    share = (nearer_cm / DEPTH_REACH_CM + 1) / 2
    smooth = cv2.resize(share.astype(np.float32), (side, side), interpolation=cv2.INTER_LINEAR)
    levels = (smooth.clip(0, 1) * 255).round().astype(np.uint8)
    coloured = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    return np.asarray(coloured, np.uint8)
