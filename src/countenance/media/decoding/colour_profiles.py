"""Colour profiles (ICC) of still pictures, to sRGB."""

from __future__ import annotations

import io
from typing import Any, Final

import numpy as np

from countenance.media.decoding.input_files import DECODER_ERRORS

_SPACES: Final = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
_EQUAL_LEVELS: Final = 1  # a profile that changes no colour by more is sRGB's own


def srgb_transform(profile: bytes | None, mode: str) -> Any | None:
    """How colours of a profile become sRGB.

    Args:
        profile: an ICC profile, or None.
        mode: Pillow's name of the pictures to transform: RGB, L, CMYK or LAB.

    Returns:
        An ``ImageCmsTransform`` to mode RGB; None where there is nothing to do, or the profile is damaged or of
        another kind of colours.
    """
    from PIL import ImageCms

    flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
    if mode == "L":
        flags |= ImageCms.Flags.NOOPTIMIZE  # its tables are too coarse near black
    damage: tuple[type[Exception], ...] = (ImageCms.PyCMSError, *DECODER_ERRORS)
    try:
        if mode == "LAB":
            source: Any = ImageCms.createProfile("LAB")
        elif profile:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if _SPACES.get(source.profile.xcolor_space.strip()) != mode:
                return None
        else:
            return None
        transform = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags,
        )
    except damage:
        return None
    return None if _changes_nothing(transform, mode) else transform


def _changes_nothing(transform: Any, mode: str) -> bool:
    import PIL.Image

    if mode not in ("RGB", "L"):
        return False
    levels = np.linspace(0, 255, 9).astype(np.uint8)
    if mode == "L":
        before = np.repeat(levels[:, None], 3, axis=1)[None]
        sample = PIL.Image.fromarray(levels[None])
    else:
        before = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
        sample = PIL.Image.fromarray(before)
    after = np.asarray(transform.apply(sample)).astype(np.int16)
    return int(np.abs(after - before).max()) <= _EQUAL_LEVELS
