"""The geometry of benchmarks/view_consistency.py: it sees points where rays go, and finds them again."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from skimage import data

from countenance.face.mediapipe_model import mediapipe_model
from countenance.generators.eg3d.rays import camera_rays
from countenance.generators.eg3d.tracked_cameras import UNITS_PER_CM, arkit_cameras
from countenance.media.image_writer import write_image
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT
from countenance.portrait.crop import Crop
from countenance.renderers.otavatar import SPECS
from countenance.renderers.otavatar.avatar import OTAvatarAvatar
from countenance.renderers.otavatar.camera import corrected, motion_cameras
from countenance.renderers.otavatar.config import InversionConfig, debug
from countenance.renderers.otavatar.network import Animator
from countenance.renderers.otavatar.renderer import OTAvatarRenderer
from countenance.trackers.arkit_pose import crop_points
from countenance.trackers.catalogue import load_tracker
from countenance.trackers.tracker import Face

NOSE_TIP = 4


@pytest.fixture(scope="module")
def bench() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "benchmarks"))
        yield importlib.import_module("view_consistency")


def own_motion() -> Motion:
    """Of a photo: turned, beside the crop's middle, and not of the usual size."""
    return Motion.neutral(ARKIT, 1, 25.0).set(yaw=0.2, pitch=0.1, roll=-0.1, x=0.06, y=-0.08, logScale=-0.3)


def head() -> np.ndarray:
    """(478, 3) in the scene's units."""
    return mediapipe_model().mean.astype(np.float64) * UNITS_PER_CM


def level_cameras(bench: Any, *, correct: bool = False) -> np.ndarray:
    cameras = motion_cameras(bench.level_motion(own_motion()))
    if not correct:
        return cameras
    numbers = 0.05 * torch.randn(2, 1, 18, generator=torch.Generator().manual_seed(0))
    intrinsics, rotation = numbers.expand(-1, len(cameras), -1)
    return corrected(torch.from_numpy(cameras), intrinsics, rotation).numpy()


@pytest.mark.parametrize("correct", [False, True])
def test_points_are_projected_to_the_pixels_whose_rays_go_through_them(bench: Any, correct: bool) -> None:
    cameras, side = level_cameras(bench, correct=correct), 8
    origins, directions = camera_rays(torch.from_numpy(cameras).double(), side)
    centres = (np.arange(side) + 0.5) / side
    expected = np.stack([np.tile(centres, side), np.repeat(centres, side)], 1)
    for distance in (0.5, 2.7):
        points = (origins + distance * directions).numpy()
        for matrix, some in zip(bench.projections(cameras), points, strict=True):
            np.testing.assert_allclose(bench.projected(matrix[None], some)[0], expected, atol=1e-6)


@pytest.mark.parametrize("correct", [False, True])
def test_projected_points_are_found_again(bench: Any, correct: bool) -> None:
    cameras = level_cameras(bench, correct=correct)
    matrices = bench.projections(cameras)
    for some in (matrices, matrices[[0, 3]]):
        found = bench.triangulated(some, bench.projected(some, head()))
        assert np.abs(found - head()).max() < 1e-4
    assert bench.reprojection_errors(cameras, bench.projected(matrices, head())).max() < 1e-3


def test_errors_are_distances_in_percent_of_the_height(bench: Any) -> None:
    cameras = level_cameras(bench)
    places = bench.projected(bench.projections(cameras), head())
    height = np.ptp(places[..., 1], axis=1)
    noise = np.random.default_rng(0).normal(0, 0.02, places.shape) * height[:, None, None]
    told = bench.figures(bench.reprojection_errors(cameras, places + noise), np.array([2.0, -4.0, np.nan]))
    left = 1 - 3 / (2 * len(cameras))  # three numbers of each point are fitted
    assert told["all: RMS, %"] == pytest.approx(2 * np.sqrt(2 * left), rel=0.05)
    assert told[bench.TURN] == 3


def test_views_are_level_and_keep_the_framing(bench: Any) -> None:
    motion, yaws = bench.level_motion(own_motion()), bench.YAWS_DEG
    assert yaws == (-40, -30, -20, -10, 0, 10, 20, 30, 40)
    np.testing.assert_allclose(np.degrees(motion["yaw"]), yaws, atol=1e-4)
    cameras = motion_cameras(motion)
    np.testing.assert_array_equal(cameras, arkit_cameras(motion.values))
    assert np.ptp(cameras[:, 16:], axis=0).max() == 0
    places = bench.projected(bench.projections(cameras), head())
    assert (np.diff(places[:, NOSE_TIP, 0]) > 0).all()  # yaw turns the nose to image right
    tracked = (crop_points(motion.values)[0] + 1) / 2  # weak perspective
    assert np.abs(places - tracked).max() < 0.06
    assert np.abs(places - tracked).mean() < 0.01


class Seer:
    """Finds the mean head where the cameras have it, and no face in the first view."""

    def __init__(self, places: np.ndarray, side: int, yaws_deg: Sequence[int]) -> None:
        landmarks = np.concatenate([side * places, 0 * places[..., :1]], 2).astype(np.float32)
        values = Motion.neutral(ARKIT, len(places), 25.0).set(yaw=np.radians(yaws_deg)).values
        self._views = enumerate(zip(landmarks, values, strict=True))

    def faces(self, image: np.ndarray) -> list[Face]:
        number, face = next(self._views)
        return [Face(*face)] if number else []


def test_one_head_has_no_error_and_one_that_never_turns_has(bench: Any) -> None:
    torch.manual_seed(0)
    spec = replace(SPECS[0], name="tiny", motion_space="arkit")
    renderer = OTAvatarRenderer(Animator(debug(52)), spec, inversion=InversionConfig())
    rng = np.random.default_rng(0)
    code = rng.normal(size=(6, 8)).astype(np.float32)
    correction = 0.02 * rng.normal(size=36).astype(np.float32)
    square = np.zeros((96, 96, 3), np.uint8)
    avatar = OTAvatarAvatar(code, correction, renderer.fingerprint, square, own_motion(), Crop(0, 0, 96))
    intrinsics = torch.from_numpy(correction[None, :18]).expand(len(bench.YAWS_DEG), -1)
    drawn_with = corrected(torch.from_numpy(level_cameras(bench)), intrinsics).numpy()
    places = bench.projected(bench.projections(drawn_with), head())
    cameras, views = bench.drawn(renderer, avatar)
    np.testing.assert_array_equal(cameras, drawn_with)
    own = bench.judge(cameras, [view.picture for view in views], Seer(places, 96, bench.YAWS_DEG))
    measured = bench.Measured("somebody", *own, own[0])
    assert measured.without_face == [-40]
    rows = bench.rows_of([measured, measured])
    assert list(rows) == [
        *(f"yaw {yaw:+d}°" for yaw in bench.YAWS_DEG[1:]),
        bench.ALL,
        bench.FLAT,
        bench.MESH,
    ]
    assert max(rows[bench.ALL].values()) < 1e-3
    assert min(rows[bench.FLAT].values()) > 0.5
    assert rows[bench.FLAT][bench.TURN] == pytest.approx(np.mean([30, 20, 10, 0, 10, 20, 30, 40]))
    text = bench.text_of("tiny", [measured])
    assert "below 2 and a face in every view: MISSED. The flat control is below it, too" in text
    whole = replace(measured, views=own[0]._replace(seen=np.ones(len(views), bool)))
    assert "a face in every view: met." in bench.text_of("tiny", [whole])
    assert "Views without a face: 1 of 9: somebody at -40°." in text
    assert bench.sheet(avatar, views).shape == (3 * bench.TILE_PX, 9 * bench.TILE_PX, 3)


def test_faceless_views_have_no_figures(bench: Any) -> None:
    nothing = np.full((len(bench.YAWS_DEG), 478), np.nan)
    none = bench.Judged(np.zeros(len(nothing), bool), nothing, nothing[:, 0])
    measured = bench.Measured("nobody", none, none, none)
    assert bench.rows_of([measured]) == {}
    assert "9 of 9: nobody at -40°, nobody at -30°" in bench.text_of("tiny", [measured])


def test_a_photo_on_a_mesh_turns(bench: Any, tmp_path: Path) -> None:
    write_image(photo := tmp_path / "astronaut.png", data.astronaut())
    tracker = load_tracker()
    judged, flat = bench.judge(*bench.on_mesh(photo, tracker), tracker)
    assert judged.seen.all()
    assert 2 * np.abs(judged.turns_deg).mean() < np.abs(flat.turns_deg).mean()
