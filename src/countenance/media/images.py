"""Still pictures: any of Pillow's formats in, PNG, JPEG or WebP out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from countenance.arrays import Image
from countenance.atomic import check_writable, replacing
from countenance.errors import MediaUnreadable, OutputUnwritable

LARGEST_SIDE_PX = 12_000
_OUTPUTS = (".png", ".jpg", ".jpeg", ".webp")


def read_image(path: Path) -> Image:
    """Read a picture as people see it.

    EXIF rotation is applied, CMYK and grey become RGB, 16-bit and float pictures are scaled to 8 bits, and
    transparency is laid over white.

    Returns:
        H x W x 3 uint8 RGB.

    Raises:
        MediaUnreadable: missing, damaged, no picture, or a side over 12,000 pixels.
    """
    import PIL.Image
    import PIL.ImageOps

    if not path.is_file():
        raise MediaUnreadable(path, "there is no such file", "check the path")
    PIL.Image.MAX_IMAGE_PIXELS = LARGEST_SIDE_PX**2
    try:
        with PIL.Image.open(path) as opened:
            if max(opened.size) > LARGEST_SIDE_PX:
                size = f"{opened.width} x {opened.height}"
                raise MediaUnreadable(
                    path, f"it is {size} pixels", f"shrink it to at most {LARGEST_SIDE_PX} a side"
                )
            turned = PIL.ImageOps.exif_transpose(opened)
            return np.ascontiguousarray(_as_rgb(turned))
    except PIL.Image.DecompressionBombError as error:
        raise MediaUnreadable(
            path, "it is far too large", f"shrink it to at most {LARGEST_SIDE_PX} a side"
        ) from error
    except PIL.UnidentifiedImageError as error:
        raise MediaUnreadable(path, "it is no picture", "give a JPEG, PNG or WebP file") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise MediaUnreadable(path, f"the picture is damaged ({error})", "export it again") from error


def _as_rgb(picture: Any) -> Image:
    import PIL.Image

    if picture.mode in ("I;16", "I;16B", "I;16L", "I;16N", "I", "F"):
        numbers = np.asarray(picture).astype(np.float64)
        top = 65535.0 if picture.mode != "F" else max(float(np.nanmax(numbers)), 1e-9)
        top = 255.0 if picture.mode == "F" and 1.0 < top <= 255.0 else max(top, 1.0)
        grey = np.nan_to_num(numbers / top * 255).clip(0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if picture.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in picture.info:
        layered = picture.convert("RGBA")
        white = PIL.Image.new("RGBA", layered.size, (255, 255, 255, 255))
        return np.asarray(PIL.Image.alpha_composite(white, layered).convert("RGB"))
    return np.asarray(picture.convert("RGB"))


def check_image_output(path: Path) -> None:
    """Fail early where a picture can't be written.

    Raises:
        OutputUnwritable: the suffix or the folder.
    """
    if path.suffix.lower() not in _OUTPUTS:
        raise OutputUnwritable(path, f"'{path.suffix}' is no picture format", f"use {', '.join(_OUTPUTS)}")
    check_writable(path)


def write_image(path: Path, image: Image, metadata: Mapping[str, str] | None = None) -> None:
    """Write a picture with its metadata: PNG text, or EXIF description and software.

    Args:
        path: .png, .jpg, .jpeg or .webp.
        image: H x W x 3 uint8 RGB.
        metadata: key -> text.

    Raises:
        OutputUnwritable: the suffix, the folder or the disk.
    """
    import PIL.Image
    from PIL.PngImagePlugin import PngInfo

    check_image_output(path)
    texts = dict(metadata or {})
    picture = PIL.Image.fromarray(image)
    options: dict[str, Any]
    if path.suffix.lower() == ".png":
        chunks = PngInfo()
        for key, text in texts.items():
            chunks.add_itxt(key, text)
        options = {"format": "PNG", "pnginfo": chunks, "compress_level": 4}
    else:
        exif = PIL.Image.Exif()
        exif[0x010E] = "; ".join(f"{key}: {text}" for key, text in texts.items())  # ImageDescription
        exif[0x0131] = texts.get("software", "")
        kind = "WEBP" if path.suffix.lower() == ".webp" else "JPEG"
        options = {"format": kind, "quality": 95, "exif": exif}
        if kind == "JPEG":
            options["subsampling"] = 0
    with replacing(path) as temporary:
        picture.save(temporary, **options)


def read_image_metadata(path: Path) -> dict[str, str]:
    """The texts that :func:`write_image` stored.

    Raises:
        MediaUnreadable: no picture.
    """
    import PIL.Image

    try:
        with PIL.Image.open(path) as picture:
            texts = {str(k): str(v) for k, v in getattr(picture, "text", {}).items()}
            description = picture.getexif().get(0x010E)
    except (OSError, SyntaxError) as error:
        raise MediaUnreadable(path, "it is no picture") from error
    if description:
        for part in str(description).split("; "):
            key, _, text = part.partition(": ")
            texts[key] = text
    return texts
