from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skimage import data

from countenance.data.dataset import MANIFEST, Dataset, Manifest, save_landmarks
from countenance.data.pairs import (
    Augmentation,
    Pair,
    PairSampler,
    augment,
    flipped,
    recropped,
    recropped_motion,
    recropped_points,
)
from countenance.data.prepare import PrepareOptions, find_clips, identity_of, prepare, split_of
from countenance.errors import BadValue, DatasetUnreadable
from countenance.motion.spaces import ARKIT
from countenance.portrait.crop import Crop
from countenance.trackers.arkit_pose import arkit_motion, crop_points
from countenance.trackers.catalogue import load_tracker
from countenance.trackers.portraits import portrait_from_image
from prepared import write_dataset


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "dataset")


def test_frames_and_motion_belong_together(folder: Path) -> None:
    dataset = Dataset(folder)
    for clip in dataset.clips:
        frames, motion = dataset.frames(clip), dataset.motion(clip)
        assert frames.shape == (9, 32, 32, 3)
        assert len(motion) == 9
        back = [np.roll(f, -round(x * 32), 1).astype(int) for f, x in zip(frames, motion["x"], strict=True)]
        assert max(np.abs(b - back[0]).mean() for b in back) < 6  # rolled back, all frames are the same


def test_memory_is_bounded(folder: Path) -> None:
    dataset = Dataset(folder, memory_gb=2.5 * 9 * 32 * 32 * 3 / 1e9)
    for clip in dataset.clips:
        dataset.frames(clip)
    assert list(dataset._frames) == ["a_02", "b_01"]


def test_reading_needs_no_tracker_and_no_pyav(folder: Path) -> None:
    code = (
        "import sys; sys.modules['av'] = sys.modules['mediapipe'] = sys.modules['PIL'] = None\n"
        "from pathlib import Path; from countenance.data.dataset import Dataset\n"
        "from countenance.data.pairs import PairSampler, as_batch\n"
        f"print(as_batch([PairSampler(Dataset(Path({str(folder)!r})))[0]])['pictures'].shape)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "[1, 2, 3, 32, 32]" in printed


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda f: (f / MANIFEST).unlink(), "has no manifest"),
        (lambda f: (f / MANIFEST).write_text("{"), "damaged"),
        (lambda f: (f / MANIFEST).write_text('{"format": "x", "version": 1}'), "another format"),
        (lambda f: [v.write_bytes(b"x") for v in (f / "clips").iterdir()], "does not have 9 frames"),
    ],
)
def test_damage_is_said(folder: Path, damage: object, says: str) -> None:
    damage(folder)  # type: ignore[operator]
    with pytest.raises(DatasetUnreadable, match=says):
        PairSampler(Dataset(folder))[0]


def test_missing_landmarks_are_said(folder: Path) -> None:
    (folder / "landmarks" / "a_01.npz").unlink()
    dataset = Dataset(folder)
    with pytest.raises(DatasetUnreadable, match="countenance prepare again"):
        dataset.landmarks(dataset.clips[0])
    (folder / "landmarks" / "a_02.npz").write_bytes(b"PK no archive")
    with pytest.raises(DatasetUnreadable, match="damaged"):
        dataset.landmarks(dataset.clips[1])
    save_landmarks(folder / "landmarks" / "b_01.npz", np.zeros((3, 478, 3), np.float32))
    with pytest.raises(DatasetUnreadable, match="for 9 frames"):
        dataset.landmarks(dataset.clips[2])


def test_an_empty_split_is_said(folder: Path) -> None:
    with pytest.raises(DatasetUnreadable, match="split 'test'"):
        Dataset(folder, "test")


def test_a_pair_depends_on_its_number_alone(folder: Path) -> None:
    one, other = (PairSampler(Dataset(folder), 2, 5, Augmentation()) for _ in range(2))
    other[3]
    for index in (7, 0):
        for a, b in zip(one[index], other[index], strict=True):
            np.testing.assert_array_equal(a, b)
    assert (one[1].pictures != one[2].pictures).any()


def test_pairs_are_two_frames_of_one_clip_with_their_motion(folder: Path) -> None:
    sampler = PairSampler(Dataset(folder), 2)
    for index in range(12):
        pair = sampler[index]
        assert pair.windows.shape == (2, 58, 5)
        np.testing.assert_array_equal(pair.windows[:, :, 2], pair.own)
        shift = round(float(pair.own[1][ARKIT.index("x")] - pair.own[0][ARKIT.index("x")]) * 32)
        moved = np.roll(pair.pictures[0], shift, 1).astype(int)
        assert np.abs(moved - pair.pictures[1]).mean() < 6


def test_people_count_alike_however_many_clips_they_have(folder: Path) -> None:
    sampler = PairSampler(Dataset(folder), 0)
    drawn = [sampler[i].own for i in range(200)]
    assert len(drawn) == 200
    assert sampler._identities == ["a", "b"]


def test_a_recropped_face_is_where_its_motion_says() -> None:
    """The picture is cropped anew and tracked again; the coefficients that were moved along must agree."""
    tracker = load_tracker()
    portrait = portrait_from_image(data.astronaut(), tracker, crop_scale=1.3)
    square = portrait.crop.cut(portrait.image, 256)
    whole = Crop(0, 0, 256)

    def measured(picture: np.ndarray) -> np.ndarray:
        face = tracker.faces(picture)[0]
        return arkit_motion(face.coefficients[None], whole, 25.0).values

    x, y, scale = 0.06, -0.05, 0.9
    moved = recropped_motion(measured(square), ARKIT, x, y, scale)
    tracked = measured(recropped(square, x, y, scale))
    for name, most in (("x", 0.01), ("y", 0.01), ("logScale", 0.02), ("yaw", 0.04)):
        assert tracked[0, ARKIT.index(name)] == pytest.approx(moved[0, ARKIT.index(name)], abs=most), name


def test_landmarks_follow_their_picture_through_crop_and_mirror() -> None:
    """The changed picture is tracked again: its landmarks must lie where the old ones were moved to."""
    tracker = load_tracker()
    portrait = portrait_from_image(data.astronaut(), tracker, crop_scale=1.3)
    square = portrait.crop.cut(portrait.image, 256)
    face = tracker.faces(square)[0]
    own = arkit_motion(face.coefficients[None], Crop(0, 0, 256), 25.0).values
    pair = Pair(
        np.stack([square] * 2),
        np.repeat(own[:, :, None], 2, 0),
        np.repeat(own, 2, 0),
        np.stack([face.landmarks_px] * 2),
    )
    changed = flipped(pair, ARKIT)
    moved = recropped_points(changed.landmarks_px, 256, 0.05, -0.04, 0.9)[0]
    seen = tracker.faces(recropped(np.ascontiguousarray(changed.pictures[0]), 0.05, -0.04, 0.9))[
        0
    ].landmarks_px
    assert np.linalg.norm((moved - seen)[:468, :2], axis=1).mean() < 2.5  # of 256 px
    still = np.linalg.norm(changed.landmarks_px[0, :468, :2] - face.landmarks_px[:468, :2], axis=1).mean()
    assert still > 3


def test_the_models_landmarks_lie_on_the_tracked_ones() -> None:
    portrait = portrait_from_image(data.astronaut(), load_tracker())
    points, facing = crop_points(portrait.motion.values)
    tracked = portrait.landmarks_in_crop_px[:, :2] / portrait.crop.side * 2 - 1
    distance = np.linalg.norm(points[0] - tracked, axis=1)[facing[0]]
    assert distance.mean() < 0.04  # of half a side: the mean face is not hers
    assert 0.5 < facing.mean() <= 1


def test_flipping_keeps_motion_true() -> None:
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 255, (2, 8, 8, 3), np.uint8)
    own = rng.random((2, 58), np.float32)
    only_flip = Augmentation(colour=0, flip=True, shift=0, scale=0)
    seen = {
        bool(
            (augment(Pair(pictures, own[:, :, None], own), ARKIT, only_flip, rng).pictures == pictures).all()
        )
        for _ in range(20)
    }
    assert seen == {True, False}
    flipped = next(
        pair
        for _ in range(50)
        if (
            (pair := augment(Pair(pictures, own[:, :, None], own), ARKIT, only_flip, rng)).pictures
            != pictures
        ).any()
    )
    np.testing.assert_array_equal(flipped.pictures, pictures[:, :, ::-1])
    left, right = ARKIT.index("eyeBlinkLeft"), ARKIT.index("eyeBlinkRight")
    np.testing.assert_array_equal(flipped.own[:, left], own[:, right])
    np.testing.assert_array_equal(flipped.own[:, ARKIT.index("yaw")], -own[:, ARKIT.index("yaw")])
    np.testing.assert_array_equal(flipped.windows[:, :, 0], flipped.own)


def test_names_say_who_and_which_split() -> None:
    assert identity_of(Path("clips/ANNA_03.mp4")) == "ANNA"
    assert identity_of(Path("interview.mp4")) == "interview"
    assert split_of(Path("x/test/ANNA_03.mp4"), 0.0) == "test"
    assert split_of(Path("x/ANNA_03.mp4"), 1.0) == split_of(Path("y/ANNA_07.mp4"), 1.0) == "test"
    assert split_of(Path("x/ANNA_03.mp4"), 0.0) == "train"


def test_preparing_real_clips_can_be_resumed(shared: Path, tmp_path: Path) -> None:
    source = tmp_path / "in" / "test"
    source.mkdir(parents=True)
    clip = shared / "data" / "heads" / "test" / "p112_01.mp4"
    (source / "p112_01.mp4").write_bytes(clip.read_bytes())
    (source / "broken_01.mp4").write_bytes(b"no video")
    out, options = tmp_path / "out", PrepareOptions(size=64)
    first = prepare([tmp_path / "in"], out, options)
    assert [c.name for c in first.clips] == ["p112_01"]
    assert list(first.failed) == [str(source / "broken_01.mp4")]
    made = (out / "clips" / "p112_01.mp4").stat().st_mtime_ns
    again = prepare([tmp_path / "in"], out, options)
    assert again.clips == first.clips == Manifest.read(out).clips
    assert (out / "clips" / "p112_01.mp4").stat().st_mtime_ns == made
    dataset = Dataset(out, "test")
    assert len(dataset.motion(dataset.clips[0])) == dataset.clips[0].frames
    assert dataset.frames(dataset.clips[0]).shape[1:] == (64, 64, 3)
    landmarks, (points, facing) = (
        dataset.landmarks(dataset.clips[0]),
        crop_points(dataset.motion(dataset.clips[0]).values),
    )
    distance = np.linalg.norm(landmarks[..., :2] - (points + 1) * 32, axis=2)[facing]
    assert distance.mean() < 0.03 * 64  # where the motion has the mean face's
    with pytest.raises(BadValue, match="same options"):
        prepare([tmp_path / "in"], out, PrepareOptions(size=32))
    (out / "landmarks" / "p112_01.npz").unlink()  # as an older release left it

    def interrupted(results: Any, count: int) -> Any:
        assert count == 2
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare([tmp_path / "in"], out, options, done=interrupted)
    assert Manifest.read(out).clips == first.clips


def test_nothing_to_prepare(tmp_path: Path) -> None:
    with pytest.raises(BadValue, match="no videos"):
        find_clips([tmp_path])


def test_the_manifest_is_plain_json(folder: Path) -> None:
    content = json.loads((folder / MANIFEST).read_text())
    assert content["clips"][0]["identity"] == "a"
