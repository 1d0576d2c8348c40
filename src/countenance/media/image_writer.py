"""Writing still pictures: PNG, JPEG or WebP, with texts; PNG and WebP may be transparent."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from countenance.arrays import Image
from countenance.atomic import check_writable, replacing
from countenance.errors import MediaUnreadable, OutputUnwritable, TransparencyLost
from countenance.media.alpha import keeps_alpha, over_white
from countenance.media.decoding.input_files import reason_of
from countenance.media.decoding.picture_files import PICTURE_ERRORS, open_picture

_OUTPUTS = (".png", ".jpg", ".jpeg", ".webp")


def check_image_output(path: Path) -> None:
    """Fail early where a picture can't be written.

    Raises:
        OutputUnwritable: the suffix or the folder.
    """
    if path.suffix.lower() not in _OUTPUTS:
        fix = f"use {', '.join(_OUTPUTS)}; a film needs --sweep name=start:stop"
        raise OutputUnwritable(path, f"'{path.suffix}' is no picture format", fix)
    check_writable(path)


def write_image(path: Path, image: Image, metadata: Mapping[str, str] | None = None) -> None:
    """Write a picture with its metadata: PNG text, or EXIF description and software.

    Args:
        path: .png, .jpg, .jpeg or .webp.
        image: H x W x 3 uint8 RGB, or H x W x 4 with alpha; see :func:`~countenance.media.alpha.keeps_alpha`.
        metadata: key -> text.

    Raises:
        OutputUnwritable: the suffix, the folder or the disk.

    Warns:
        TransparencyLost: a JPEG file is laid over white.
    """
    check_image_output(path)
    if image.shape[2] == 4 and not keeps_alpha(path):
        image = over_white(image[..., :3], image[..., 3])
        fix = "to keep its transparency, give a name that ends in .png or .webp"
        warnings.warn(TransparencyLost(f"{path} is laid over white; {fix}"), stacklevel=2)
    with replacing(path) as temporary:
        save_picture(temporary, path.suffix.lower(), image, metadata or {})


def save_picture(path: Path, suffix: str, image: Image, metadata: Mapping[str, str]) -> None:
    """Write a picture into a file or folder that is not in place yet; see :func:`write_image`.

    Args:
        path: any name.
        suffix: .png, .jpg, .jpeg or .webp: the format.
        image: as in :func:`write_image`; no alpha for JPEG.
        metadata: key -> text.

    Raises:
        OSError: the disk.
    """
    import PIL.Image
    from PIL.PngImagePlugin import PngInfo

    picture, encoded = PIL.Image.fromarray(image), BytesIO()
    # Into memory first: Pillow takes the half of a picture that still fits onto a full disk for the whole.
    if suffix == ".png":
        chunks = PngInfo()
        for key, text in metadata.items():
            chunks.add_itxt(key, text)
        picture.save(encoded, format="PNG", pnginfo=chunks, compress_level=4)
    else:
        exif = PIL.Image.Exif()
        exif[0x010E] = "; ".join(f"{key}: {text}" for key, text in metadata.items())  # ImageDescription
        exif[0x0131] = metadata.get("software", "")
        more: dict[str, Any] = {"subsampling": 0} if suffix != ".webp" else {"exact": True}
        kind = "WEBP" if suffix == ".webp" else "JPEG"
        picture.save(encoded, format=kind, quality=95, exif=exif, **more)
    path.write_bytes(encoded.getbuffer())


def read_image_metadata(path: Path) -> dict[str, str]:
    """The texts that :func:`write_image` stored.

    Raises:
        MediaUnreadable: no picture.
    """
    if (opened := open_picture(path)) is None:
        raise MediaUnreadable(path, "it is no picture")
    try:
        with opened as picture:
            texts = {str(k): str(v) for k, v in getattr(picture, "text", {}).items()}
            description = picture.getexif().get(0x010E)
    except PICTURE_ERRORS as error:
        raise MediaUnreadable(path, f"its texts are damaged ({reason_of(error)})") from None
    if description:
        for part in str(description).split("; "):
            key, _, text = part.partition(": ")
            texts[key] = text
    return texts
