"""Frames come at the moments that a file's stamps mean, whatever its header says."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import pytest

from countenance.media.decoding.time_stamps import LONGEST_GAP_S, Clock, counted_rate, held, nearest
from countenance.media.video import VideoReader
from films import flat, write_pictures


def moments(stamps: list[float | None], step: float = 0.04) -> list[float]:
    clock = Clock(step)
    return [round(clock.moment(stamp), 6) for stamp in stamps]


def test_a_clock_starts_at_its_first_stamp() -> None:
    assert moments([1.44, 1.48, 1.56]) == [0, 0.04, 0.12]
    assert moments([-3.0, -2.96]) == [0, 0.04]


def test_missing_stamps_are_a_step_apart() -> None:
    assert moments([None, None, 7.0, 7.04, None, math.nan, 7.16]) == [0, 0.04, 0.08, 0.12, 0.16, 0.2, 0.24]


def test_small_steps_back_wait_and_large_ones_begin_anew() -> None:
    assert moments([0, 0.04, 0.03, 0.08]) == [0, 0.04, 0.04, 0.08]
    assert moments([5.0, 5.04, 0.0, 0.04]) == [0, 0.04, 0.08, 0.12]


@pytest.mark.parametrize("leap", [10.5, 36_000.0, 2.0**63])
def test_gaps_are_closed_up(leap: float) -> None:
    clock = Clock(0.04)
    assert [clock.moment(s) for s in (0.0, 0.04, 0.04 + leap)][2] == pytest.approx(0.04 + LONGEST_GAP_S)
    assert clock.longest_gap_s == pytest.approx(leap)
    assert moments([0.0, 10.0]) == [0, 10]


@pytest.mark.parametrize(
    ("stamps", "rate"),
    [
        ([i / 25 for i in range(50)], 25),
        ([round((i / 25 + 0.007 * math.sin(2.1 * i)) * 1000) / 1000 for i in range(50)], 25),
        ([i * 1001 / 30_000 for i in range(60)], 30_000 / 1001),
        ([i / 240 for i in range(240)], 240),
        ([i / 12.5 for i in range(30)], 12.5),
        ([0.08, 0.0, 0.04, 0.12], 25),
        ([0.0, 0.04, 0.08, 4000.0, 4000.04], 25),
        ([i * 8.0 for i in range(5)], 0.125),
        ([i / 1000 for i in range(50)], None),
        ([0.0, 0.0, 0.0], None),
        ([1.0], None),
        ([], None),
    ],
)
def test_rates_are_counted_and_plausible(stamps: list[float], rate: float | None) -> None:
    counted = counted_rate(stamps)
    assert counted == (rate if rate is None else pytest.approx(rate, rel=1e-9))


def test_nearest_and_held_items() -> None:
    assert list(nearest(iter([(0.0, "a"), (0.1, "b"), (0.3, "c")]), 10, 10)) == ["a", "b", "b", "c"]
    assert list(held([(0.1, "a"), (0.3, "b"), (0.1, "c")], 10)) == ["a", "b", "b", "b", "c"]
    assert list(held([(0.01, "a")], 10)) == ["a"]


def stepped(path: Path, stamps: list[int], base: Fraction = Fraction(1, 1000), rate: int = 1000) -> Path:
    """Every frame a little brighter, at its own stamp."""
    pictures = [flat(5 + 240 * i // len(stamps)) for i in range(len(stamps))]
    codec = "libvpx" if path.suffix == ".webm" else "libx264"
    return write_pictures(
        path,
        pictures,
        codec=codec,
        stamps=stamps,
        base=base,
        rate=rate,
        container={"default_mode": "passthrough"},
    )


@pytest.mark.parametrize("suffix", [".webm", ".mkv", ".mp4"])
def test_a_browser_s_recording(tmp_path: Path, suffix: str) -> None:
    stamps = [round(i * 40 + 7 * math.sin(2.1 * i)) + 7 for i in range(75)]
    with VideoReader(stepped(tmp_path / f"r{suffix}", stamps)) as video:
        assert video.fps == 25
        levels = [frame.image.mean() for frame in video.frames()]
    assert len(levels) == 75
    assert levels == sorted(set(levels))


@pytest.mark.parametrize("fps", [12, 24, 48, 240])
def test_plausible_rates_are_kept(tmp_path: Path, fps: int) -> None:
    path = write_pictures(tmp_path / "v.mp4", [flat(60)] * fps, base=Fraction(1, fps), rate=fps)
    with VideoReader(path) as video:
        assert video.fps == fps
        assert sum(1 for _ in video.frames()) == fps


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_gap_is_closed_up_and_said(tmp_path: Path, suffix: str) -> None:
    path = stepped(tmp_path / f"g{suffix}", [0, 40, 80, 36_000_000, 36_000_040])
    with VideoReader(path) as video:
        frames = list(video.frames())
        assert video.fps == 25
        assert len(frames) == pytest.approx(25 * LONGEST_GAP_S + 4, abs=2)
        assert "a gap of 36000 s between two frames was closed up to 10 s" in str(video.damage)


def test_a_slow_slide_show_has_no_gaps(tmp_path: Path) -> None:
    with VideoReader(stepped(tmp_path / "s.mkv", [0, 4000, 8000, 12_000])) as video:
        assert video.fps == pytest.approx(0.25)
        assert sum(1 for _ in video.frames()) == 4
        assert video.damage is None


def test_a_film_without_stamps(tmp_path: Path) -> None:
    path = write_pictures(tmp_path / "raw.h264", [flat(8 * i) for i in range(20)], options={"bf": "0"})
    with VideoReader(path) as video:
        assert video.fps == 25
        assert [round(frame.image.mean() / 8) for frame in video.frames()] == list(range(20))


def test_negative_stamps(tmp_path: Path) -> None:
    stamps = list(range(-2000, 0, 40))
    path = stepped(tmp_path / "n.mkv", stamps)
    with VideoReader(path) as video:
        assert sum(1 for _ in video.frames()) == len(stamps)


def test_a_header_that_promises_too_much(tmp_path: Path) -> None:
    path = write_pictures(tmp_path / "v.mp4", [flat(60)] * 10)
    content = bytearray(path.read_bytes())
    at = content.index(b"stts") + 12  # its first entry: count, duration
    content[at : at + 4] = (2**31 - 1).to_bytes(4, "big")
    path.write_bytes(content)
    with VideoReader(path) as video:
        assert video.frame_count_estimate is None or video.frame_count_estimate <= len(content)
        assert sum(1 for _ in video.frames()) == 10
