"""Still pictures: any of Pillow's usual formats, as people see them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from countenance.arrays import Alpha, Image
from countenance.errors import MediaUnreadable
from countenance.media.alpha import over_white
from countenance.media.decoding.colour_profiles import srgb_transform
from countenance.media.decoding.input_files import reason_of
from countenance.media.decoding.picture_files import PICTURE_ERRORS, moves, open_picture

_STRIP_PX: Final = 2**20  # worked on at once, so that copies of large pictures stay small
_ORIENTATION: Final = 0x0112  # EXIF


def read_image(path: Path) -> Image:
    """Read a picture as people see it.

    EXIF rotation and colour profiles are applied, CMYK and grey become RGB, 16-bit and float pictures are scaled to
    8 bits, and transparency is laid over white. Of several pages, or a camera's second picture, the first is read.

    Returns:
        H x W x 3 uint8 RGB.

    Raises:
        MediaUnreadable: missing, damaged, no still picture, or a side over 12,000 pixels.
        DependencyMissing: HEIC without the extra that reads it.
    """
    image, alpha = read_image_with_alpha(path)
    return image if alpha is None else over_white(image, alpha)


def read_image_with_alpha(path: Path) -> tuple[Image, Alpha | None]:
    """As :func:`read_image`, with the transparency beside the colours.

    Returns:
        H x W x 3 uint8 RGB, as stored, also where it is transparent, and H x W uint8 opacity; None if all is opaque.

    Raises:
        MediaUnreadable: as :func:`read_image`.
        DependencyMissing: as :func:`read_image`.
    """
    picture = open_picture(path)
    if picture is None:
        raise MediaUnreadable(path, "it is no picture", "give a JPEG, PNG or WebP file")
    with picture:
        if moves(picture):
            raise MediaUnreadable(
                path, "it is an animated picture", "give a still one, or save one frame of it"
            )
        try:
            picture.load()
            image, alpha = pixels_of(picture)
            turn = picture.getexif().get(_ORIENTATION)
        except PICTURE_ERRORS as error:
            reason = f"the picture is damaged ({reason_of(error)})"
            raise MediaUnreadable(path, reason, "export it again") from None
    return _turned(image, turn), None if alpha is None else _turned(alpha, turn)


def pixels_of(picture: Any) -> tuple[Image, Alpha | None]:
    """The picture that Pillow's image shows now, in sRGB, not turned.

    Returns:
        H x W x 3 uint8 RGB and H x W uint8 opacity; None if all is opaque.
    """
    width, height = picture.size
    has_alpha = picture.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in picture.info
    image = np.empty((height, width, 3), np.uint8)
    alpha = np.empty((height, width), np.uint8) if has_alpha else None
    transform = srgb_transform(picture.info.get("icc_profile"), _colours(picture.mode))
    top_level = _top_level(picture) if _is_deep(picture.mode) else 0.0
    rows = _rows(width)
    for top in range(0, height, rows):
        strip = picture.crop((0, top, width, min(top + rows, height)))
        if alpha is not None:
            layered = strip.convert("RGBA")
            alpha[top : top + rows] = np.asarray(layered.getchannel("A"))
            strip = layered.convert("L" if strip.mode in ("LA", "La") else "RGB")
        elif top_level:
            strip = _eight_bits(strip, top_level)
        elif strip.mode not in ("L", "CMYK", "LAB"):
            strip = strip.convert("RGB")
        image[top : top + rows] = np.asarray(transform.apply(strip) if transform else strip.convert("RGB"))
    return image, None if alpha is None or alpha.min() == 255 else alpha


def _rows(width: int) -> int:
    return max(1, _STRIP_PX // width)


def _colours(mode: str) -> str:
    """Which of :func:`srgb_transform`'s modes the strips of a picture have."""
    if mode in ("CMYK", "LAB"):
        return mode
    return "L" if mode in ("L", "LA", "La") or _is_deep(mode) else "RGB"


def _is_deep(mode: str) -> bool:
    return mode == "F" or mode.startswith("I")


def _top_level(picture: Any) -> float:
    """The number that is white: of integers 65535, of others what their largest suggests."""
    if picture.mode.startswith("I;16"):
        return 65535.0
    _, largest = picture.getextrema()
    if picture.mode == "I":
        return max(65535.0, float(largest))
    if not np.isfinite(largest):
        return 255.0
    return 1.0 if largest <= 1 else max(255.0, float(largest))


def _eight_bits(strip: Any, top_level: float) -> Any:
    import PIL.Image

    numbers = np.asarray(strip).astype(np.float32) * np.float32(255 / top_level)
    return PIL.Image.fromarray(np.nan_to_num(numbers).clip(0, 255).astype(np.uint8))


def _turned(pixels: Any, orientation: object) -> Any:
    """As EXIF's orientation (1 to 8) says."""
    if orientation not in (2, 3, 4, 5, 6, 7, 8):
        return pixels
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
