"""Transparency: which outputs hold it, and how a picture looks without."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from countenance.arrays import Alpha, Image

_HOLD_ALPHA: Final = (".png", ".webp", ".webm", "")
_STRIP_PX: Final = 2**22  # worked on at once, so that copies of large pictures stay small


def keeps_alpha(output: Path) -> bool:
    """Whether a picture, a video or a folder of frames (no suffix) of this name can be transparent."""
    return output.suffix.lower() in _HOLD_ALPHA


def over_white(image: Image, alpha: Alpha) -> Image:
    """H x W x 3 colours, not multiplied by alpha, and H x W opacity as one picture on white."""
    laid = np.empty_like(image)
    rows = max(1, _STRIP_PX // image.shape[1])
    for top in range(0, len(image), rows):
        opacity = alpha[top : top + rows, :, None].astype(np.uint16)
        over = image[top : top + rows] * opacity + 255 * (255 - opacity) + 127
        laid[top : top + rows] = over // 255
    return laid
