"""Hard cuts split a film; motion does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from skimage import data

from countenance.arrays import Image
from countenance.media.frames import Frame
from countenance.media.shots import shots
from countenance.media.video import VideoReader


def film(*pictures: Image) -> Iterator[Frame]:
    return (Frame(picture, i / 25) for i, picture in enumerate(pictures))


def lengths(frames: Iterator[Frame]) -> list[int]:
    return [sum(1 for _ in shot) for shot in shots(frames)]


FACE = data.astronaut()[:256, 96:352]
CUP = np.ascontiguousarray(data.coffee()[:256, :256])
CAT = np.ascontiguousarray(data.chelsea()[:256, :256])


def test_a_film_is_split_at_its_cuts() -> None:
    assert lengths(film(FACE, FACE, CUP, CUP, CUP, CAT, FACE)) == [2, 3, 1, 1]
    assert lengths(film(FACE)) == [1]
    assert lengths(film()) == []


def test_a_head_that_moves_quickly_is_no_cut() -> None:
    assert lengths(film(*(np.roll(FACE, 6 * k, axis=1) for k in range(8)))) == [8]


def test_light_that_fades_is_no_cut() -> None:
    assert lengths(film(*((FACE * share).astype(np.uint8) for share in np.linspace(1, 0.1, 12)))) == [12]


def test_real_clips_have_none(shared: Path) -> None:
    for name in ("p101_01", "p106_01", "p111_01"):
        with VideoReader(shared / "data" / "heads" / "test" / f"{name}.mp4") as video:
            assert len(lengths(video.frames())) == 1
