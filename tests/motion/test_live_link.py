"""Live Link Face CSV both ways, and the variants that other tools write."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countenance.errors import MotionInvalid, MotionSpaceMismatch, MotionUnreadable
from countenance.motion.files import load_motion
from countenance.motion.live_link import COLUMNS, EYE_TURN_RAD, from_csv, names_columns, to_csv
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT, ARKIT_SHAPES, BFM

KEPT = (*ARKIT_SHAPES, "yaw", "pitch", "roll")


def motion(frames: int = 70, fps: float = 30.0, seed: int = 0) -> Motion:
    values = np.random.default_rng(seed).uniform(0, 1, (frames, 58))
    values[:, -3:] = 0
    return Motion(values, ARKIT, fps)


def read(text: str, fps: float | None = None) -> Motion:
    return from_csv(text, "take.csv", fps)


def recorded(codes: list[str], jaw: list[str] | None = None, separator: str = "\n") -> str:
    """A file with these timecodes, in which only jawOpen moves."""
    at = COLUMNS.index("JawOpen")
    lines = [",".join(COLUMNS)]
    for i, code in enumerate(codes):
        cells = [code, "61", *["0.0"] * 61]
        cells[at] = jaw[i] if jaw else f"{i / 1000}"
        lines.append(",".join(cells))
    return separator.join(lines)


def test_columns_are_live_links() -> None:
    text = to_csv(motion(2))
    header, first, _ = text.split("\r\n", 2)
    assert header.split(",") == list(COLUMNS)
    assert len(COLUMNS) == 63
    assert COLUMNS[:3] == ("Timecode", "BlendShapeCount", "EyeBlinkLeft")
    assert COLUMNS[53] == "TongueOut"
    assert COLUMNS[54:57] == ("HeadYaw", "HeadPitch", "HeadRoll")
    assert {c[0].lower() + c[1:] for c in COLUMNS[2:54]} == set(ARKIT_SHAPES)
    assert re.match(r"\d\d:\d\d:\d\d:\d\d\.\d{3},61,", first)


@pytest.mark.parametrize("fps", [24, 25, 30, 60, 24000 / 1001, 30000 / 1001, 12.5, 50, 100])
@pytest.mark.parametrize("frames", [2, 130])
def test_round_trip(fps: float, frames: int) -> None:
    original = motion(frames, fps)
    back = read(to_csv(original))
    assert back.fps == pytest.approx(fps, rel=1e-4 if frames > 2 else 2e-3)
    assert back.observed is None
    np.testing.assert_allclose(back[KEPT], original[KEPT], atol=1e-6)
    assert (back["x", "y", "logScale"] == 0).all()


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10_000), st.integers(1, 40))
def test_round_trip_of_any_motion(seed: int, frames: int) -> None:
    original = motion(frames, seed=seed)
    np.testing.assert_allclose(read(to_csv(original), 30)[KEPT], original[KEPT], atol=1e-4)


def test_eye_angles_follow_the_gaze() -> None:
    looking = Motion.neutral(ARKIT, 1, 25).set(eyeLookOutLeft=1, eyeLookInRight=1, eyeLookUpLeft=0.5)
    cells = to_csv(looking).split("\r\n")[1].split(",")
    angles = dict(zip(COLUMNS, cells, strict=True))
    assert float(angles["LeftEyeYaw"]) == pytest.approx(EYE_TURN_RAD)  # both to the person's left
    assert float(angles["RightEyeYaw"]) == pytest.approx(EYE_TURN_RAD)
    assert float(angles["LeftEyePitch"]) == pytest.approx(-EYE_TURN_RAD / 2)
    assert float(angles["RightEyePitch"]) == 0


def short_sides(header: str) -> str:
    return header.replace("Left,", "_L,").replace("Right,", "_R,")


def camel_case(header: str) -> str:
    return ",".join(name[0].lower() + name[1:] for name in header.split(","))


@pytest.mark.parametrize("change", [short_sides, camel_case, str.upper, lambda h: camel_case(short_sides(h))])
def test_other_spellings(change: object) -> None:
    original = motion()
    header, rows = to_csv(original).split("\r\n", 1)
    back = read(change(header) + "\r\n" + rows)
    np.testing.assert_allclose(back[KEPT], original[KEPT], atol=1e-6)


def test_columns_in_another_order_without_angles_with_extras_and_blank_lines() -> None:
    original = motion()
    table = [line.split(",") for line in to_csv(original).split("\r\n") if line]
    kept = [0, *range(53, 1, -1)]
    lines = [",".join([*(row[i] for i in kept), "extra"]) for row in table]
    back = read("\ufeff\n\n" + "\n\n".join(lines) + "\n \n")
    np.testing.assert_allclose(back[ARKIT_SHAPES], original[ARKIT_SHAPES], atol=1e-6)
    assert (back["yaw", "pitch", "roll"] == 0).all()


def test_rate_comes_from_where_seconds_end() -> None:
    codes = [f"10:00:{i // 24:02d}:{i % 24:02d}.000" for i in range(60)]
    assert read(recorded(codes)).fps == 24
    assert read(recorded(codes[:20])).fps == 60  # no second ends here: Live Link Face's own rate
    assert read(recorded(codes), fps=48).fps == 48


def test_rows_at_half_the_rate_of_their_timecode() -> None:
    codes = [f"10:00:{i // 30:02d}:{2 * (i % 30):02d}.500" for i in range(90)]
    back = read(recorded(codes))
    assert (back.fps, len(back)) == (30, 90)


def test_timecodes_coarser_than_the_rows() -> None:
    codes = [f"10:00:{i // 60:02d}:{i % 60 // 2:02d}" for i in range(181)]
    back = read(recorded(codes))
    assert (back.fps, len(back)) == (60, 181)


def test_midnight() -> None:
    codes = [f"23:59:59:{i:02d}.000" for i in range(25)] + [f"00:00:00:{i:02d}.000" for i in range(25)]
    back = read(recorded(codes))
    assert (back.fps, len(back)) == (25, 50)


def test_dropped_and_empty_rows_are_bridged() -> None:
    codes = [f"10:00:{i // 25:02d}:{i % 25:02d}.000" for i in range(50)]
    jaw = [f"{i / 100}" for i in range(50)]
    lines = recorded(codes, jaw).split("\n")
    lines[31] = f"{codes[30]},0" + "," * 61
    del lines[11]
    back = read("\n".join(lines))
    assert np.flatnonzero(~back.observed).tolist() == [10, 30]
    np.testing.assert_allclose(back["jawOpen"], np.arange(50) / 100, atol=1e-6)


def as_spreadsheets_save(text: str, separator: str, decimal: str) -> str:
    rows = [line.split(",") for line in text.split("\r\n")]
    return "\r\n".join(separator.join(cell.replace(".", decimal) for cell in row) for row in rows)


@pytest.mark.parametrize(("separator", "decimal"), [(";", ","), (";", "."), ("\t", ","), ("\t", ".")])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_what_spreadsheets_save(tmp_path: Path, separator: str, decimal: str, encoding: str) -> None:
    original = motion()
    for note in ("", f"sep={separator}\r\n"):
        path = tmp_path / "excel.csv"
        content = (note + as_spreadsheets_save(to_csv(original), separator, decimal)).encode(encoding)
        path.write_bytes(content)
        back = load_motion(path)
        assert back.fps == 30
        np.testing.assert_allclose(back[KEPT], original[KEPT], atol=1e-6)
        assert names_columns(content[:16_384])


def test_decimal_commas_in_quotes() -> None:
    original = motion(3)
    rows = [line.split(",") for line in to_csv(original).split("\r\n")]
    text = "\r\n".join(",".join(f'"{cell.replace(".", ",")}"' for cell in row) for row in rows)
    np.testing.assert_allclose(read(text, 30)[KEPT], original[KEPT], atol=1e-6)


@pytest.mark.parametrize("blank", ["," * 62, ";" * 62, " ", "\t\t"])
def test_blank_tails_are_passed_over(blank: str) -> None:
    codes = [f"10:00:00:{i:02d}.000" for i in range(10)]
    assert len(read(recorded(codes) + "\n" + f"{blank}\n" * 3)) == 10


def test_other_tables_do_not_name_our_columns() -> None:
    for head in (
        b"",
        b"name,age\nAnna,30\n",
        b"Timecode,BlendShapeCount,JawOpen\n",
        b"\xff\xfe\x00",
        bytes(99),
    ):
        assert not names_columns(head)


@pytest.mark.parametrize("separators", [":;", ";;"])
@pytest.mark.parametrize(("base", "dropped"), [(30, 2), (60, 4)])
def test_drop_frame_timecodes_have_no_holes(base: int, dropped: int, separators: str) -> None:
    codes = [f"10:00:59;{i:02d}" for i in range(base)]
    codes += [f"10:01:00;{i:02d}" for i in range(dropped, base)]
    codes = [code.replace(":", separators[0]) for code in codes]
    back = read(recorded(codes))
    assert back.fps == pytest.approx(base * 1000 / 1001)
    assert len(back) == len(codes)
    assert back.observed is None


GOOD = recorded(["10:00:00:00.000", "10:00:00:01.000"])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("\n\n", "empty"),
        ("hello\nworld\n", "does not name"),
        (GOOD.split("\n")[0], "no row"),
        (GOOD.replace("JawOpen", "JawOpne"), r"'jawOpen'.*JawOpne"),
        (GOOD.replace("JawOpen", "jawOpen,JawOpen"), "two columns"),
        (GOOD.replace("0.001", "nan"), "line 3: 'jawOpen' is 'nan'"),
        (GOOD.replace("0.001", "abc"), "line 3: 'jawOpen' is 'abc'"),
        (GOOD[:-60], "line 3: 'cheekPuff' is ''"),
        (GOOD.replace("10:00:00:01.000", "later"), "row 2 has the timecode 'later'"),
        (GOOD.replace("10:00:00:01.000", "10:00:00:00.000"), "do not move forward"),
        (recorded(["10:00:00:00", "10:00:00:01", "10:00:00:02", "19:00:00:00"]), "nine tenths"),
        (GOOD.replace("10:00:00:01.000", "10:00:00:" + "9" * 40), "row 2 has the timecode"),
        (GOOD.replace("10:00:00:01.000", "9" * 400 + ":00:00:01"), "row 2 has the timecode"),
        (recorded(["10:00:00:00.00", "10:00:00:00.01", "10:00:00:00.02", "10:00:01:00"]), "frames a second"),
        (GOOD.replace("0.001", "1e300"), "far beyond any face"),
        (GOOD.replace("0.001", '"' + "9" * 200_000), "line"),
        (GOOD.replace("0.001", "\0"), "line"),
    ],
)
def test_bad_files_say_where(text: str, says: str) -> None:
    with pytest.raises(MotionUnreadable, match=says) as caught:
        read(text)
    assert "\n" not in str(caught.value)


def test_degrees_are_not_taken_for_radians() -> None:
    text = to_csv(motion(2).set(yaw=12.5))
    with pytest.raises(MotionUnreadable, match=r"'yaw' is 12.5.*degrees"):
        read(text)


def test_other_spaces_and_rates_are_refused() -> None:
    with pytest.raises(MotionSpaceMismatch, match="Live Link"):
        to_csv(Motion.neutral(BFM, 1, 25))
    with pytest.raises(MotionInvalid, match="frame rate"):
        read(GOOD, fps=0)
