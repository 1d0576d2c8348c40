"""Colour profiles are honoured: what people saw on their phone is what is animated."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from PIL import ImageCms
from skimage import data

from countenance.media.images import read_image

PHOTO = data.astronaut()[::2, ::2]
_XYZ_OF_SRGB = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_XYZ_OF_P3 = np.array(
    [[0.4865709, 0.2656677, 0.1982173], [0.2289746, 0.6917385, 0.0792869], [0.0, 0.0451134, 1.0439444]]
)


def linear(codes: np.ndarray) -> np.ndarray:
    return np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4)


def encoded(light: np.ndarray) -> np.ndarray:
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * np.clip(light, 0, 1) ** (1 / 2.4) - 0.055)


def profile(space: bytes, kind: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    """An ICC profile, version 2.4."""
    text = b"test\0"
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78),
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": xyz(0.9642, 1, 0.82491),
        **tags,
    }
    index, body, start = b"", b"", 132 + 12 * len(tags)
    for name, content in tags.items():
        content += bytes(-len(content) % 4)
        index += name + struct.pack(">II", start + len(body), len(content))
        body += content
    head = struct.pack(">I4sI", start + len(body), b"test", 0x02400000) + kind + space + connection
    head += bytes(12) + b"acsp" + bytes(28) + xyz(0.9642, 1, 0.82491)[8:]
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + index + body


def xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(v * 65536)) for v in values)


def curve(function: Callable[[np.ndarray], np.ndarray]) -> bytes:
    table = np.rint(65535 * function(np.linspace(0, 1, 1024))).astype(">u2")
    return b"curv\0\0\0\0" + struct.pack(">I", len(table)) + table.tobytes()


def display_p3() -> bytes:
    primaries = {b"rXYZ": xyz(0.51512, 0.24120, -0.00105), b"gXYZ": xyz(0.29198, 0.69225, 0.04189)}
    primaries[b"bXYZ"] = xyz(0.15710, 0.06657, 0.78407)
    curves = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve(linear))
    return profile(b"RGB ", b"mntr", b"XYZ ", primaries | curves)


def printer() -> bytes:
    """CMYK of an odd printer: without ink its paper is blue, with any ink it is black."""
    inks = [(34, 128 + 79, 128 - 108)] + [(0, 128, 128)] * 15  # L, a, b in the order of C, M, Y, K
    ramp = bytes(range(256))
    matrix = struct.pack(">9i", *(65536 * (i % 4 == 0) for i in range(9)))
    table = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + matrix + ramp * 4 + bytes(sum(inks, ())) + ramp * 3
    return profile(b"CMYK", b"prtr", b"Lab ", {b"A2B0": table, b"A2B1": table})


def saturation(image: np.ndarray) -> float:
    return float((image.max(2).astype(int) - image.min(2)).mean())


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
def test_a_phone_s_wide_colours_keep_their_look(tmp_path: Path, suffix: str) -> None:
    wide = encoded(linear(PHOTO / 255) @ (np.linalg.inv(_XYZ_OF_P3) @ _XYZ_OF_SRGB).T)
    numbers = PIL.Image.fromarray(np.rint(wide.clip(0, 1) * 255).astype(np.uint8))
    path = tmp_path / f"p3{suffix}"
    numbers.save(path, icc_profile=display_p3(), quality=98, lossless=True)
    read = read_image(path)
    assert np.abs(read.astype(int) - PHOTO).mean() < 2.5
    assert saturation(read) == pytest.approx(saturation(PHOTO), abs=1)
    assert saturation(np.asarray(numbers)) < saturation(PHOTO) - 6  # what the numbers alone would look like


def test_with_alpha_only_the_colours_change(tmp_path: Path) -> None:
    half = np.dstack([PHOTO, np.full(PHOTO.shape[:2], 128, np.uint8)])
    PIL.Image.fromarray(half).save(tmp_path / "p.png", icc_profile=display_p3())
    PIL.Image.fromarray(PHOTO).save(tmp_path / "q.png", icc_profile=display_p3())
    expected = (read_image(tmp_path / "q.png") * (128 / 255) + 255 * (127 / 255)).round()
    assert np.abs(read_image(tmp_path / "p.png") - expected).max() <= 1


@pytest.mark.parametrize("deep", [False, True])
def test_grey_of_another_gamma(tmp_path: Path, deep: bool) -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint8), (4, 1))
    straight = profile(b"GRAY", b"mntr", b"XYZ ", {b"kTRC": curve(lambda codes: codes)})
    picture = PIL.Image.fromarray(ramp.astype(np.uint16) * 257 if deep else ramp)
    picture.save(tmp_path / "g.png", icc_profile=straight)
    read = read_image(tmp_path / "g.png")
    assert np.abs(read[0, :, 1] - 255 * encoded(np.arange(256) / 255)).max() <= 2


def test_inks_by_their_printer(tmp_path: Path) -> None:
    inks = np.zeros((8, 16, 4), np.uint8)
    inks[:, 8:, 3] = 255
    PIL.Image.fromarray(inks, "CMYK").save(tmp_path / "c.tif", icc_profile=printer())
    read = read_image(tmp_path / "c.tif")
    assert read[0, 0, 2] > 180
    assert read[0, 0, :2].max() < 100
    assert read[0, 15].max() < 10


@pytest.mark.parametrize(
    "given",
    [
        b"no profile",
        bytes(400),
        display_p3()[:300],
        printer(),  # of other colours than the picture has
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    ],
    ids=["text", "zeros", "cut", "inks", "sRGB"],
)
def test_other_profiles_change_nothing(tmp_path: Path, given: bytes) -> None:
    PIL.Image.fromarray(PHOTO).save(tmp_path / "p.png", icc_profile=given)
    np.testing.assert_array_equal(read_image(tmp_path / "p.png"), PHOTO)


def test_the_profile_that_is_made_here_is_one() -> None:
    ImageCms.getOpenProfile(io.BytesIO(display_p3()))
    ImageCms.getOpenProfile(io.BytesIO(printer()))
