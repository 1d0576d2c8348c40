from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from skimage import data

from countenance.errors import MediaUnreadable, OutputUnwritable
from countenance.media.images import read_image, read_image_metadata, write_image


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


def test_the_camera_s_rotation_is_applied(tmp_path: Path, photo: PIL.Image.Image) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    read = read_image(saved(tmp_path / "p.png", photo, exif=exif))
    np.testing.assert_array_equal(read, np.rot90(np.asarray(photo), -1))


def test_transparency_lies_over_white(tmp_path: Path) -> None:
    clear = PIL.Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    assert (read_image(saved(tmp_path / "p.png", clear)) == 255).all()


def test_bad_pictures(tmp_path: Path, photo: PIL.Image.Image) -> None:
    good = saved(tmp_path / "p.png", photo)
    (tmp_path / "cut.png").write_bytes(good.read_bytes()[:3000])
    (tmp_path / "text.png").write_text("hello")
    wide = saved(tmp_path / "wide.png", PIL.Image.new("L", (12_001, 2)))
    for path, says in (
        (tmp_path / "cut.png", "damaged"),
        (tmp_path / "text.png", "no picture"),
        (wide, "shrink it"),
        (tmp_path / "none.png", "no such file"),
    ):
        with pytest.raises(MediaUnreadable, match=says):
            read_image(path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_marks_travel_with_the_picture(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"p{suffix}"
    write_image(path, data.astronaut(), {"synthetic": "true", "software": "Countenance"})
    assert read_image_metadata(path)["synthetic"] == "true"
    assert np.abs(read_image(path).astype(int) - data.astronaut()).mean() < 3


def test_an_unknown_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputUnwritable, match=r"\.png"):
        write_image(tmp_path / "p.xyz", data.astronaut())
