"""Pictures that are too large for what they are for: how small they get, and what a player can show."""

from __future__ import annotations

import cv2
import numpy as np

from countenance.arrays import Image

_MACROBLOCK_PX = 16
# ITU-T H.264, table A-1: level, macroblocks a second, macroblocks a frame.
_H264_LEVELS = (
    ("1", 1_485, 99),
    ("1.1", 3_000, 396),
    ("1.2", 6_000, 396),
    ("1.3", 11_880, 396),
    ("2.1", 19_800, 792),
    ("2.2", 20_250, 1_620),
    ("3", 40_500, 1_620),
    ("3.1", 108_000, 3_600),
    ("3.2", 216_000, 5_120),
    ("4", 245_760, 8_192),
    ("4.2", 522_240, 8_704),
    ("5", 589_824, 22_080),
    ("5.1", 983_040, 36_864),
    ("5.2", 2_073_600, 36_864),
    ("6", 4_177_920, 139_264),
    ("6.1", 8_355_840, 139_264),
    ("6.2", 16_711_680, 139_264),
)


def h264_level(width: int, height: int, fps: float) -> str | None:
    """The lowest level of H.264 for a video, by its table A-1: frame size, sides and macroblocks a second.

    Args:
        width: px.
        height: px.
        fps: frames a second.

    Returns:
        "1" to "6.2", or None where it is past all levels. Bit rate is left out: players rarely fail for it.
    """
    across, down = -(-width // _MACROBLOCK_PX), -(-height // _MACROBLOCK_PX)
    for level, most_a_second, most in _H264_LEVELS:
        fits = across * down <= most and max(across, down) ** 2 <= 8 * most
        if fits and across * down * fps <= most_a_second:
            return level
    return None


def plays_widely(width: int, height: int, fps: float) -> bool:
    """Whether H.264 of this size and rate is within level 5.2, the most that common players and phones decode."""
    level = h264_level(width, height, fps)
    return level is not None and float(level) <= 5.2


def widely_played_side_px(width: int, height: int, fps: float) -> int:
    """The longest side, in px, down to which a video is shrunk to be within level 5.2; 16 at least."""
    sides = range(max(width, height), _MACROBLOCK_PX, -_MACROBLOCK_PX)
    fitting = (side for side in sides if plays_widely(*fitted_size(width, height, side), fps))
    return next(fitting, _MACROBLOCK_PX) // _MACROBLOCK_PX * _MACROBLOCK_PX


def fitted_size(width: int, height: int, max_side_px: int | None) -> tuple[int, int]:
    """Width and height of a picture whose longer side is at most ``max_side_px``, in the same proportion.

    A picture that is small enough, or given no limit, keeps its size. One that is shrunk gets even sides, as videos
    need.
    """
    longer = max(width, height)
    if max_side_px is None or longer <= max_side_px:
        return width, height
    even = max_side_px // 2
    return max(1, round(width * even / longer)) * 2, max(1, round(height * even / longer)) * 2


def fitted(image: Image, max_side_px: int | None) -> Image:
    """Shrink a picture to :func:`fitted_size`, every pixel the mean of what it covers.

    Args:
        image: H x W x 3 or 4 uint8; where it is transparent, colours count by their alpha.
        max_side_px: None leaves it as it is.
    """
    height, width = image.shape[:2]
    size = fitted_size(width, height, max_side_px)
    if size == (width, height):
        return image
    if image.shape[2] == 3:
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    alpha = image[..., 3:].astype(np.float32)
    seen = cv2.resize(image[..., :3] * (alpha / 255), size, interpolation=cv2.INTER_AREA)
    plain = cv2.resize(image[..., :3], size, interpolation=cv2.INTER_AREA)
    small = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)[..., None]
    colours = np.where(small > 0, np.divide(seen * 255, np.maximum(small, 1e-3)), plain)
    return np.dstack([colours, small]).round().clip(0, 255).astype(np.uint8)
