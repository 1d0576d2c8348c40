"""Films of phones in HDR, and tagged colours of all kinds, look like the same film in BT.709."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from skimage import data

from countenance.media.decoding.tone_mapping import ToneMapping
from countenance.media.video import VideoReader
from films import write_pictures

PHOTO = data.astronaut()[:128, 160:288]
_TO_2020 = np.array(
    [[0.627404, 0.329283, 0.043313], [0.069097, 0.919540, 0.011362], [0.016391, 0.088013, 0.895595]]
)
_LUMINANCE = np.array([0.2627, 0.678, 0.0593])
HLG, PQ = 18, 16


def hdr_codes(image: np.ndarray, transfer: int) -> np.ndarray:
    """(..., 3) RGB codes, 0 to 1, of what a picture with SDR white at 203 nits is in HDR."""
    light = (image / 255) ** 2.4 @ _TO_2020.T
    if transfer == PQ:
        powered = (light * 203 / 10_000).clip(0) ** 0.1593017578
        return ((0.8359375 + 18.8515625 * powered) / (1 + 18.6875 * powered)) ** 78.84375
    shown = light * 203 / 1000
    scene = shown * np.maximum(shown @ _LUMINANCE, 1e-6)[..., None] ** (1 / 1.2 - 1)
    high = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-6)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene.clip(0)), high)


def ten_bits(codes: np.ndarray) -> av.VideoFrame:
    """A frame of 10 bits, 4:2:0, of BT.2020's matrix."""
    luma = codes @ _LUMINANCE
    chroma = [(codes[..., 2] - luma) / 1.8814, (codes[..., 0] - luma) / 1.4746]
    height, width = luma.shape
    small = [c.reshape(height // 2, 2, width // 2, 2).mean((1, 3)) for c in chroma]
    planes = [np.rint(luma * 876 + 64), *(np.rint(c * 896 + 512) for c in small)]
    frame = av.VideoFrame(width, height, "yuv420p10le")
    for plane, numbers in zip(frame.planes, planes, strict=True):
        rows = np.zeros((numbers.shape[0], plane.line_size // 2), "<u2")
        rows[:, : numbers.shape[1]] = numbers
        plane.update(rows.tobytes())
    return frame


def read_one(path: Path) -> np.ndarray:
    with VideoReader(path) as video:
        return next(iter(video.frames())).image


@pytest.mark.parametrize("transfer", [HLG, PQ], ids=["HLG", "PQ"])
def test_hdr_films_look_as_their_sdr_twin(tmp_path: Path, transfer: int) -> None:
    tags = {"color_trc": transfer, "color_primaries": 9, "colorspace": 9, "color_range": 1}
    path = write_pictures(
        tmp_path / "hdr.mov",
        [ten_bits(hdr_codes(PHOTO, transfer))] * 2,
        codec="libx265",
        form="yuv420p10le",
        tags=tags,
        options={"x265-params": "log-level=error", "crf": "6"},
    )
    read = read_one(path).astype(int)
    plain = PHOTO.max(2) < 225  # below the knee
    assert np.abs(read - PHOTO)[plain].mean() < 3
    assert abs((read - PHOTO)[plain].mean()) < 1
    assert np.abs(read - PHOTO).mean() < 4


@pytest.mark.parametrize("transfer", [HLG, PQ], ids=["HLG", "PQ"])
def test_levels_up_to_white_and_above(transfer: int) -> None:
    grey = np.repeat(np.arange(256)[None, :, None], 3, axis=2)
    codes = np.rint(hdr_codes(grey, transfer).clip(0, 1) * 65_535).astype(np.uint16)
    shown = ToneMapping(transfer, 9).mapped(codes)[0].astype(int)
    assert np.abs(shown - grey[0])[:229].max() <= 1  # nine tenths of the range stay
    assert (np.diff(shown[:, 1]) >= 0).all()
    assert 243 <= shown[255, 1] <= 250  # SDR white, below what is brighter
    brightest = ToneMapping(transfer, 9).mapped(np.full((1, 1, 3), 65_535, np.uint16))
    assert brightest.min() >= 254


@pytest.mark.parametrize("transfer", [1, 2, 6, 13])
def test_what_bt_709_shows_is_left_alone(transfer: int) -> None:
    assert not ToneMapping.needed(transfer, 1)
    assert not ToneMapping.needed(transfer, 2)


def test_wide_colours_without_hdr(tmp_path: Path) -> None:
    codes = ((PHOTO / 255) ** 2.4 @ _TO_2020.T) ** (1 / 2.4)
    tags = {"color_trc": 14, "color_primaries": 9, "colorspace": 9, "color_range": 1}
    options = {"x265-params": "log-level=error", "crf": "6"}
    path = write_pictures(
        tmp_path / "wide.mov",
        [ten_bits(codes)],
        codec="libx265",
        form="yuv420p10le",
        tags=tags,
        options=options,
    )
    assert np.abs(read_one(path).astype(int) - PHOTO).mean() < 3


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize(
    ("matrix", "red", "blue"), [(1, 0.2126, 0.0722), (5, 0.299, 0.114), (6, 0.299, 0.114)]
)
def test_matrix_and_range_as_tagged(
    tmp_path: Path, matrix: int, red: float, blue: float, full_range: bool
) -> None:
    colours = np.array([[200, 40, 40], [40, 180, 60], [50, 60, 210], [220, 190, 170]])
    image = np.repeat(colours, 16, axis=0)[None].repeat(64, axis=0) / 255
    luma = image @ (red, 1 - red - blue, blue)
    chroma = [(image[..., 2] - luma) / (2 - 2 * blue), (image[..., 0] - luma) / (2 - 2 * red)]
    scale, offset, half = (255, 0, 255) if full_range else (219, 16, 224)
    frame = av.VideoFrame(64, 64, "yuv444p")
    for plane, numbers in zip(
        frame.planes, [luma * scale + offset, *(c * half + 128 for c in chroma)], strict=True
    ):
        rows = np.zeros((64, plane.line_size), np.uint8)
        rows[:, :64] = np.rint(numbers)
        plane.update(rows.tobytes())
    tags = {"colorspace": matrix, "color_range": 2 if full_range else 1, "color_primaries": 1, "color_trc": 1}
    path = write_pictures(
        tmp_path / "t.mp4", [frame], form="yuv444p", tags=tags, options={"crf": "1", "preset": "ultrafast"}
    )
    seen = read_one(path)[32, 8::16].astype(int)
    assert np.abs(seen - colours).max() <= 4
