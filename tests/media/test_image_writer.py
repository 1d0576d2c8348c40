from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from skimage import data

from countenance.arrays import Image
from countenance.errors import OutputUnwritable, TransparencyLost
from countenance.media.alpha import keeps_alpha, over_white
from countenance.media.image_writer import read_image_metadata, write_image
from countenance.media.images import read_image


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_marks_travel_with_the_picture(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"p{suffix}"
    write_image(path, data.astronaut(), {"synthetic": "true", "software": "Countenance"})
    assert read_image_metadata(path)["synthetic"] == "true"
    assert np.abs(read_image(path).astype(int) - data.astronaut()).mean() < 3


def test_an_unknown_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputUnwritable, match=r"\.png"):
        write_image(tmp_path / "p.xyz", data.astronaut())


@pytest.fixture
def cutout() -> Image:
    alpha = np.tile(np.arange(64, dtype=np.uint8) * 4, (64, 1))
    return np.dstack([data.astronaut()[:64, 200:264], alpha])


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_alpha_is_kept(tmp_path: Path, cutout: Image, suffix: str) -> None:
    path = tmp_path / f"p{suffix}"
    assert keeps_alpha(path)
    write_image(path, cutout, {"synthetic": "true"})
    with PIL.Image.open(path) as picture:
        read = np.asarray(picture)
    np.testing.assert_array_equal(read[..., 3], cutout[..., 3])
    if suffix == ".png":
        np.testing.assert_array_equal(read, cutout)
    assert read_image_metadata(path)["synthetic"] == "true"


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG"])
def test_a_jpeg_is_laid_over_white_and_says_so(tmp_path: Path, cutout: Image, suffix: str) -> None:
    path = tmp_path / f"p{suffix}"
    assert not keeps_alpha(path)
    with pytest.warns(TransparencyLost, match=r"over white; to keep .* \.png or \.webp"):
        write_image(path, cutout)
    white = over_white(cutout[..., :3], cutout[..., 3])
    assert np.abs(read_image(path).astype(int) - white).mean() < 3


def test_over_white_by_hand() -> None:
    image, alpha = np.full((1, 3, 3), 55, np.uint8), np.array([[0, 51, 255]], np.uint8)
    assert over_white(image, alpha)[0, :, 0].tolist() == [255, 215, 55]


def test_a_picture_replaces_what_a_link_names(tmp_path: Path) -> None:
    (tmp_path / "link.png").symlink_to("real.png")
    write_image(tmp_path / "link.png", data.astronaut())
    assert (tmp_path / "link.png").is_symlink()
    np.testing.assert_array_equal(read_image(tmp_path / "real.png"), data.astronaut())
