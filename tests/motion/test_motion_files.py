"""Motion files: complete round trips, refusals, and nothing half-written."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from countenance.errors import MotionInvalid, MotionSpaceMismatch, MotionUnreadable, OutputUnwritable
from countenance.motion import files
from countenance.motion.files import load_motion, save_motion
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT, BFM, SPACES, MotionSpace


def full_motion(space: MotionSpace = BFM) -> Motion:
    rng = np.random.default_rng(0)
    return Motion(
        space.neutral + rng.normal(size=(9, space.size)),
        space,
        29.97,
        crop=rng.normal(size=(9, 3)),
        identity=rng.normal(size=80),
        observed=rng.uniform(size=9) > 0.5,
    )


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES.keys())
def test_npz_keeps_everything(tmp_path: Path, space: MotionSpace) -> None:
    motion = full_motion(space)
    save_motion(tmp_path / "a.npz", motion)
    back = load_motion(tmp_path / "a.npz")
    assert (back.space, back.fps) == (space, 29.97)
    for name in ("values", "crop", "identity", "observed"):
        np.testing.assert_array_equal(getattr(back, name), getattr(motion, name))
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]


def test_npz_without_companions_and_another_rate(tmp_path: Path) -> None:
    save_motion(tmp_path / "a.NPZ", Motion.neutral(ARKIT, 2, 25))
    back = load_motion(str(tmp_path / "a.NPZ"), fps=50)
    assert (back.fps, back.crop, back.identity, back.observed) == (50, None, None, None)
    with pytest.raises(MotionInvalid):
        load_motion(tmp_path / "a.NPZ", fps=-1)


def test_csv(tmp_path: Path) -> None:
    motion = Motion.neutral(ARKIT, 40, 25).set(jawOpen=np.linspace(0, 1, 40), yaw=0.2)
    save_motion(tmp_path / "a.csv", motion)
    back = load_motion(tmp_path / "a.csv")
    assert back.fps == 25
    np.testing.assert_allclose(back.values, motion.values, atol=1e-4)
    assert load_motion(tmp_path / "a.csv", fps=30).fps == 30
    with pytest.raises(MotionSpaceMismatch):
        save_motion(tmp_path / "b.csv", full_motion())
    assert not (tmp_path / "b.csv").exists()


def stored(tmp_path: Path, **changes: object) -> Path:
    """A good file with some of its arrays changed, or left out where None."""
    save_motion(tmp_path / "good.npz", full_motion())
    with np.load(tmp_path / "good.npz") as archive:
        arrays = {**archive, **changes}
    path = tmp_path / "changed.npz"
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def test_coefficients_are_matched_by_name(tmp_path: Path) -> None:
    order = np.random.default_rng(1).permutation(BFM.size)
    motion = full_motion()
    path = stored(tmp_path, names=np.array(BFM.names)[order], values=motion.values[:, order])
    np.testing.assert_array_equal(load_motion(path).values, motion.values)


NAN = full_motion().values.copy()
NAN[4, 3] = np.nan


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"format": np.array("poem")}, "not a countenance motion file"),
        ({"format": None}, "not a countenance motion file"),
        ({"version": np.array(99)}, "version 99, and this release reads 1"),
        ({"space": np.array("bfn")}, "did you mean bfm"),
        ({"space": np.array("arkit")}, "unknown coefficient"),
        ({"names": np.array([*BFM.names[:-1], "tzz"])}, r"unknown coefficient.*tzz"),
        ({"names": np.array([*BFM.names[:-1], "ty"])}, "'tz' does not stand there exactly once"),
        ({"names": np.array(BFM.names[:-1])}, r"shape \(9, 70\) for 69 names"),
        ({"values": NAN}, "frame 4 of 'exp03' is nan"),
        ({"values": np.zeros((9, 3))}, r"shape \(9, 3\)"),
        ({"values": np.array([["x"] * 70])}, "real numbers"),
        ({"fps": np.array(0.0)}, "frame rate"),
        ({"fps": np.array("fast")}, "frame rate is 'fast'"),
        ({"crop": np.zeros((2, 3))}, r"'crop' has shape \(2, 3\)"),
        ({"values": np.array([[{}]], dtype=object)}, "pickled"),
    ],
)
def test_bad_npz_is_refused_in_one_line(tmp_path: Path, changes: dict[str, object], says: str) -> None:
    with pytest.raises(MotionUnreadable, match=says) as caught:
        load_motion(stored(tmp_path, **changes))
    assert "\n" not in str(caught.value)
    assert "changed.npz" in str(caught.value)


def test_a_pickle_is_never_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "sprung"),)

    path = stored(tmp_path, identity=np.array([Trap()], dtype=object))
    with pytest.raises(MotionUnreadable, match="never loaded"):
        load_motion(path)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("content", [b"", b"plain text", b"PK\x03\x04 and no more"])
def test_what_is_no_zip(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(MotionUnreadable, match=r"damaged or no \.npz"):
        load_motion(tmp_path / "a.npz")


@pytest.mark.parametrize("share", [0.2, 0.5, 0.95])
def test_cut_off_and_flipped_bytes(tmp_path: Path, share: float) -> None:
    path = stored(tmp_path)
    content = path.read_bytes()
    place = int(len(content) * share)
    path.write_bytes(content[:place])
    with pytest.raises(MotionUnreadable):
        load_motion(path)


def test_flipped_bytes_are_noticed(tmp_path: Path) -> None:
    path = stored(tmp_path)
    content = bytearray(path.read_bytes())
    place = content.index(full_motion().values[4].tobytes())
    content[place] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(MotionUnreadable, match="damaged"):
        load_motion(path)


def test_paths_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(MotionUnreadable, match="no such file"):
        load_motion(tmp_path / "none.npz")
    (tmp_path / "a.mp4").write_bytes(b"film")
    with pytest.raises(MotionUnreadable, match=r"\.npz.*\.csv"):
        load_motion(tmp_path / "a.mp4")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(MotionUnreadable, match="directory"):
        load_motion(tmp_path / "folder.csv")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(MotionUnreadable, match="no text"):
        load_motion(tmp_path / "bytes.csv")


def test_paths_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputUnwritable, match=r"\.npz.*\.csv"):
        save_motion(tmp_path / "a.txt", full_motion())
    with pytest.raises(OutputUnwritable, match="there is no folder"):
        save_motion(tmp_path / "none" / "a.npz", full_motion())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_an_interrupted_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    path = tmp_path / "a.npz"
    save_motion(path, full_motion())
    before = path.read_bytes()

    def break_off(file: object, **arrays: object) -> None:
        file.write(b"half")
        raise error

    monkeypatch.setattr(files.np, "savez_compressed", break_off)
    expected = KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else OutputUnwritable
    with pytest.raises(expected):
        save_motion(path, full_motion())
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]


def test_importing_is_light() -> None:
    import subprocess
    import sys

    heavy = "{'scipy', 'cv2', 'torch', 'mediapipe', 'av'}"
    code = f"import sys, countenance.motion; print(sorted({heavy} & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": str(Path(files.__file__).parents[2])}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert result.stdout.strip() == "[]"


def test_what_a_file_holds_decides_not_its_name(tmp_path: Path) -> None:
    motion = Motion.neutral(ARKIT, 3, 25.0).set(jawOpen=[0, 0.5, 1])
    for suffix, misleading in ((".npz", ".csv"), (".csv", ".npz"), (".npz", ".bin"), (".csv", ".txt")):
        save_motion(tmp_path / f"a{suffix}", motion)
        other = tmp_path / f"other{misleading}"
        other.write_bytes((tmp_path / f"a{suffix}").read_bytes())
        np.testing.assert_allclose(load_motion(other)["jawOpen"], [0, 0.5, 1], atol=1e-6)
    (tmp_path / "notes.txt").write_text("no motion")
    with pytest.raises(MotionUnreadable, match="no motion file"):
        load_motion(tmp_path / "notes.txt")
