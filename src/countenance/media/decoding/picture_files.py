"""Picture files, opened by what they hold: stills, and pictures that move."""

from __future__ import annotations

import mmap
import warnings
from pathlib import Path
from typing import Any, Final

import PIL.Image

from countenance.errors import DependencyMissing, MediaUnreadable
from countenance.media.decoding.input_files import DECODER_ERRORS, check_input_file, reason_of

PICTURE_ERRORS: tuple[type[Exception], ...] = (*DECODER_ERRORS, PIL.Image.DecompressionBombError)
"""What Pillow raises while it opens, seeks and decodes."""

LARGEST_SIDE_PX: Final = 12_000
LARGEST_AREA_PX: Final = LARGEST_SIDE_PX**2
"""430 MB as RGB; what is made on the way comes in strips."""

# Not those that run a program (EPS), hold a film (MPEG, FLI) or have nothing to know them by (TGA).
_FORMATS: Final = (
    "JPEG", "PNG", "WEBP", "AVIF", "TIFF", "GIF", "BMP", "DIB", "PPM", "JPEG2000", "ICO", "ICNS", "PSD",
    "QOI", "DDS", "SGI", "PCX", "XBM", "XPM",
)  # fmt: skip
_MOVING: Final = ("GIF", "PNG", "WEBP", "AVIF")  # several pictures in others are pages, previews or layers
_AVIF_BRANDS: Final = {b"avif", b"avis"}
_STILL_BRANDS: Final = {b"heic", b"heix", b"heim", b"heis", b"mif1", b"mif2", b"avif"}  # ISO/IEC 23008-12
_MAJOR_BRANDS: Final = _STILL_BRANDS | {b"hevc", b"hevx", b"hevm", b"hevs", b"msf1", b"avis"}


def open_picture(path: Path) -> Any | None:
    """Open a picture file with Pillow, without decoding it yet.

    Returns:
        Pillow's image, to be closed; None where the content is no picture: films as JPEG after JPEG, too.

    Raises:
        MediaUnreadable: no file, a damaged header, a side over :data:`LARGEST_SIDE_PX`.
        DependencyMissing: HEIC without the extra that reads it.
    """
    check_input_file(path)
    brands = still_brands(path)
    try:
        picture = _heif(path) if brands and not brands & _AVIF_BRANDS else _open(path)
    except PIL.UnidentifiedImageError:
        if brands:  # FFmpeg would make a film of one frame of it
            raise MediaUnreadable(path, "the picture is damaged", "export it again") from None
        return None
    except PIL.Image.DecompressionBombError:
        raise _too_large(path, "far too large") from None
    except DECODER_ERRORS as error:
        raise MediaUnreadable(
            path, f"the picture is damaged ({reason_of(error)})", "export it again"
        ) from None
    try:
        check_size(path, picture)
    except MediaUnreadable:
        picture.close()
        raise
    if picture.format in ("JPEG", "MPO") and is_jpeg_stream(path):
        picture.close()
        return None
    return picture


def check_size(path: Path, picture: Any) -> None:
    """Refuse a picture that would take too much memory.

    Raises:
        MediaUnreadable: a side over :data:`LARGEST_SIDE_PX`.
    """
    width, height = picture.size
    if max(width, height) > LARGEST_SIDE_PX or width * height > LARGEST_AREA_PX:
        raise _too_large(path, f"{width} x {height} pixels")


def moves(picture: Any) -> bool:
    """Whether an opened picture is a film: several pictures, one after the other in time."""
    try:
        return picture.format in _MOVING and getattr(picture, "n_frames", 1) > 1
    except PICTURE_ERRORS:  # damaged after its first
        return False


def is_jpeg_stream(path: Path) -> bool:
    """Whether a file holds JPEG after JPEG, all of one size: a film (motion JPEG).

    Cameras also put a second picture into a photo, but say so in its header (MPF), or it is a smaller one.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            first = _jpeg(content, 0)
            second = _jpeg(content, first[0]) if first else None
    except DECODER_ERRORS:
        return False
    return first is not None and second is not None and first[1] == second[1] and not first[2]


def _jpeg(content: mmap.mmap, start: int) -> tuple[int, bytes, bool] | None:
    """Of the JPEG at ``start``: where it ends, its height and width, whether it announces more pictures."""
    if content[start : start + 3] != b"\xff\xd8\xff":
        return None
    at, size, announces = start + 2, b"", False
    while content[at : at + 1] == b"\xff":
        marker, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4], "big")
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if marker == 0xD9:
            return at + 2, size, announces
        announces |= marker == 0xE2 and content[at + 4 : at + 8] == b"MPF\0"
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            size = content[at + 5 : at + 9]
        at += 2 + length
        if marker == 0xDA:  # compressed data, in which a marker is none if 00 or a restart follows
            while (at := content.find(b"\xff", at)) >= 0 and (
                content[at + 1 : at + 2] == b"\0" or 0xD0 <= content[at + 1] <= 0xD7
            ):
                at += 2
            if at < 0:
                return None
    return None


def still_brands(path: Path) -> set[bytes]:
    """Brands of a HEIF or AVIF file that has a still; none for other files, films in the same boxes, too."""
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError:
        return set()
    if head[4:8] != b"ftyp":
        return set()
    box = head[8 : max(16, int.from_bytes(head[:4], "big"))]
    brands = {box[:4], *(box[i : i + 4] for i in range(8, len(box), 4))}
    return brands if box[:4] in _MAJOR_BRANDS and brands & _STILL_BRANDS else set()


def _heif(path: Path) -> Any:
    try:
        from pillow_heif import HeifImageFile
    except ImportError:
        raise DependencyMissing("pillow-heif", "heic", f"reading HEIC pictures such as {path}") from None
    opener: Any = HeifImageFile
    return opener(path)


def _open(path: Path) -> Any:
    formats = (*_FORMATS, "TGA") if path.suffix.lower() == ".tga" else _FORMATS
    with warnings.catch_warnings():  # of pictures that are large, but not too large for us
        warnings.simplefilter("ignore", PIL.Image.DecompressionBombWarning)
        return PIL.Image.open(path, formats=formats)


def _too_large(path: Path, size: str) -> MediaUnreadable:
    return MediaUnreadable(path, f"it is {size}", f"shrink it to at most {LARGEST_SIDE_PX} a side")
