from __future__ import annotations

import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
from skimage import data

from countenance.errors import MediaUnreadable
from countenance.media import images
from countenance.media.alpha import over_white
from countenance.media.images import read_image, read_image_with_alpha


def saved(path: Path, picture: PIL.Image.Image, **options: object) -> Path:
    picture.save(path, **options)  # type: ignore[arg-type]
    return path


@pytest.fixture
def photo() -> PIL.Image.Image:
    return PIL.Image.fromarray(data.astronaut()[:100, :80])


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "CMYK", "I;16", "1"])
def test_every_kind_becomes_rgb(tmp_path: Path, photo: PIL.Image.Image, mode: str) -> None:
    grey = np.asarray(photo.convert("L"))
    if mode == "I;16":
        picture = PIL.Image.fromarray(grey.astype(np.uint16) * 257)
    else:
        picture = photo.convert(mode)
    read = read_image(saved(tmp_path / ("p.tif" if mode == "CMYK" else "p.png"), picture))
    assert read.shape == (100, 80, 3)
    assert read.dtype == np.uint8
    if mode != "1":
        assert np.abs(read.mean(axis=2) - grey).mean() < 16


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_the_camera_s_rotation_is_applied(
    tmp_path: Path, photo: PIL.Image.Image, orientation: int, suffix: str
) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / f"p{suffix}", photo, exif=exif, lossless=True)
    with PIL.Image.open(path) as opened:
        np.testing.assert_array_equal(read_image(path), np.asarray(PIL.ImageOps.exif_transpose(opened)))


def test_transparency_lies_over_white(tmp_path: Path) -> None:
    clear = PIL.Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    assert (read_image(saved(tmp_path / "p.png", clear)) == 255).all()


def test_bad_pictures(tmp_path: Path, photo: PIL.Image.Image) -> None:
    good = saved(tmp_path / "p.png", photo)
    (tmp_path / "cut.png").write_bytes(good.read_bytes()[:3000])
    (tmp_path / "text.png").write_text("hello")
    wide = saved(tmp_path / "wide.png", PIL.Image.new("L", (12_001, 2)))
    high = png_that_declares(tmp_path / "high.png", 100_000, 100_000)
    for path, says in (
        (high, "shrink it"),
        (tmp_path / "cut.png", "damaged"),
        (tmp_path / "text.png", "no picture"),
        (wide, "shrink it"),
        (tmp_path / "none.png", "no such file"),
    ):
        with pytest.raises(MediaUnreadable, match=says):
            read_image(path)


def png_that_declares(path: Path, width: int, height: int) -> Path:
    """A PNG of a few bytes whose header promises a huge picture."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


def test_alpha_comes_beside_the_colours_as_they_are_stored(tmp_path: Path, photo: PIL.Image.Image) -> None:
    colours = np.asarray(photo)
    opacity = np.tile(np.linspace(0, 255, 80).astype(np.uint8), (100, 1))
    for name in ("p.png", "p.webp"):
        path = tmp_path / name
        PIL.Image.fromarray(np.dstack([colours, opacity])).save(path, lossless=True, exact=True)
        image, alpha = read_image_with_alpha(path)
        np.testing.assert_array_equal(image, colours)
        np.testing.assert_array_equal(alpha, opacity)
        share = opacity[..., None] / 255
        assert np.abs(read_image(path) - (colours * share + 255 * (1 - share))).max() <= 0.51


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK", "I;16"])
def test_what_is_opaque_has_no_alpha(tmp_path: Path, photo: PIL.Image.Image, mode: str) -> None:
    assert read_image_with_alpha(saved(tmp_path / "p.tif", photo.convert("L").convert(mode)))[1] is None
    assert read_image_with_alpha(saved(tmp_path / "p.png", photo.convert("RGBA")))[1] is None


def test_one_clear_colour_of_a_palette_and_grey_with_alpha(tmp_path: Path, photo: PIL.Image.Image) -> None:
    palette = photo.quantize(16)
    clear = np.asarray(palette) == 3
    _, alpha = read_image_with_alpha(saved(tmp_path / "p.png", palette, transparency=3))
    np.testing.assert_array_equal(alpha == 0, clear)
    grey = photo.convert("LA")
    grey.putalpha(100)
    image, alpha = read_image_with_alpha(saved(tmp_path / "g.png", grey))
    np.testing.assert_array_equal(image[..., 1], np.asarray(photo.convert("L")))
    assert (alpha == 100).all()


def test_alpha_is_turned_with_its_picture(tmp_path: Path, photo: PIL.Image.Image) -> None:
    photo.putalpha(PIL.Image.fromarray(np.tile(np.arange(100, dtype=np.uint8)[:, None], (1, 80))))
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    image, alpha = read_image_with_alpha(saved(tmp_path / "p.png", photo, exif=exif))
    assert alpha is not None
    assert image.shape[:2] == alpha.shape == (80, 100)
    assert alpha[0].tolist() == list(range(99, -1, -1))


@pytest.mark.parametrize(
    ("numbers", "white"),
    [(np.uint16, 65535), (np.int32, 65535), (np.int32, 2_000_000), (np.float32, 1.0), (np.float32, 255.0)],
)
def test_deep_pictures_keep_their_levels(tmp_path: Path, numbers: type, white: float) -> None:
    levels = np.linspace(0, 1, 256).reshape(16, 16)
    path = saved(tmp_path / "p.tif", PIL.Image.fromarray((levels * white).astype(numbers)))
    assert np.abs(read_image(path)[..., 0] - levels * 255).max() <= 1


@pytest.mark.parametrize("mode", ["RGBA", "P", "CMYK", "LA", "I;16", "RGB"])
def test_strips_make_the_same_picture(
    tmp_path: Path, photo: PIL.Image.Image, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = photo.convert("L").convert(mode) if mode == "I;16" else photo.convert(mode)
    path = saved(tmp_path / "p.tif", picture)
    whole = read_image(path)
    monkeypatch.setattr(images, "_STRIP_PX", 7 * 80)
    np.testing.assert_array_equal(read_image(path), whole)


def test_copies_of_a_large_deep_picture_stay_small(tmp_path: Path) -> None:
    path = saved(tmp_path / "p.tif", PIL.Image.fromarray(np.zeros((3000, 4000), np.uint16)))
    tracemalloc.start()
    try:
        size = read_image(path).nbytes
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2.5 * size


def test_over_white_rounds_to_nearest() -> None:
    image, alpha = np.zeros((1, 256, 3), np.uint8), np.arange(256, dtype=np.uint8)[None]
    np.testing.assert_array_equal(over_white(image, alpha)[0, :, 0], 255 - np.arange(256))
