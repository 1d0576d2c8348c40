"""Portrait, motion and renderer, as a Python user puts them together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skimage import data

import countenance as cn
from countenance.errors import BadValue
from countenance.media.frames import Frame
from countenance.media.video import VideoReader, read_metadata
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT
from countenance.portrait.portrait import Portrait
from countenance.renderers.geometric.renderer import GeometricRenderer


@pytest.fixture(scope="module")
def portrait() -> Portrait:
    return cn.load_portrait(data.astronaut(), crop_scale=GeometricRenderer().spec.crop_scale)


def turning(portrait: Portrait, frames: int = 3) -> Motion:
    own = portrait.motion.still(frames)
    return Motion(own.set(yaw=own["yaw"] + np.linspace(0, 0.3, frames)).values, ARKIT, 10.0)


def test_pixels_make_the_same_portrait_as_their_file(portrait: Portrait, tmp_path: Path) -> None:
    from PIL import Image

    path = tmp_path / "me.png"
    Image.fromarray(data.astronaut()).save(path)
    again = cn.load_portrait(path, crop_scale=GeometricRenderer().spec.crop_scale)
    np.testing.assert_array_equal(again.motion.values, portrait.motion.values)
    np.testing.assert_array_equal(again.image, portrait.image)


def test_an_animation_knows_all_that_a_file_of_it_needs(portrait: Portrait, tmp_path: Path) -> None:
    animation = cn.animate(portrait, turning(portrait), GeometricRenderer())
    assert (animation.fps, animation.model, animation.frames) == (10.0, "geometric", 3)
    assert cn.write_video(tmp_path / "out.mp4", animation) == 3
    assert read_metadata(tmp_path / "out.mp4")["model"] == "geometric"
    with VideoReader(tmp_path / "out.mp4") as film:
        assert film.fps == 10
    assert list(animation) == []  # taken once


def test_bare_frames_need_a_rate_and_a_model(tmp_path: Path) -> None:
    frames = [Frame(data.astronaut(), 0.0)]
    with pytest.raises(BadValue, match="fps="):
        cn.write_video(tmp_path / "o.mp4", frames)
    assert cn.write_video(tmp_path / "o.mp4", frames, 25, model="mine") == 1


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda p: cn.animate("me.jpg", p.motion), "load_portrait"),  # type: ignore[arg-type]
        (lambda p: cn.animate(p, "driver.mp4"), "not str|type str"),  # type: ignore[arg-type]
        (lambda p: cn.animate(p, iter([p.motion])), "list"),  # type: ignore[arg-type]
        (lambda p: cn.animate(p, []), "no motion"),
        (lambda p: cn.animate(p, ["driver.mp4"]), "give a Motion"),  # type: ignore[list-item]
        (lambda p: cn.edit(p, [("yaw", 1)]), "jawOpen"),  # type: ignore[arg-type]
        (lambda p: cn.edit(None, {}), "load_portrait"),  # type: ignore[arg-type]
        (lambda p: cn.talk(p), "recording or a text"),
        (lambda p: cn.talk(p, "a.wav", text="hello"), "recording or a text"),
        (lambda p: cn.load_portrait(12), "path"),  # type: ignore[arg-type]
        (lambda p: cn.load_portrait(np.zeros((4, 4, 3))), "uint8"),  # type: ignore[arg-type]
        (lambda p: cn.load_portrait(np.zeros((4, 4), np.uint8)), "H x W x 3"),
        (lambda p: cn.load_portrait(data.astronaut(), face=0), "face"),
        (lambda p: cn.track(3), "path"),  # type: ignore[arg-type]
        (lambda p: cn.track("a.mp4", fps=-1), "frame rate"),
        (lambda p: cn.driver_motion(None), "driver"),  # type: ignore[arg-type]
        (lambda p: cn.load_renderer("geometric", device="tpu"), "auto, cpu, cuda or mps"),
    ],
)
def test_wrong_arguments_are_told_in_a_line_of_ours(portrait: Portrait, call: Any, says: str) -> None:
    with pytest.raises(cn.CountenanceError, match=says) as refused:
        call(portrait)
    assert "\n" not in str(refused.value)


def test_two_people_move_at_once_and_nothing_else_does(portrait: Portrait) -> None:
    twins = np.hstack([data.astronaut()[:300], data.astronaut()[:300, ::-1]])
    both = cn.load_portraits(twins, crop_scale=1.2)
    assert len(both) == 2
    motions = [p.motion.still(2).set(jawOpen=[float(p.motion["jawOpen"][0]), 0.8]) for p in both]
    frames = [f.image.astype(int) for f in cn.animate_group(both, motions, GeometricRenderer())]
    alone = [
        [f.image.astype(int) for f in cn.animate(p, m, GeometricRenderer())][1]
        for p, m in zip(both, motions, strict=True)
    ]
    for person, picture in zip(both, alone, strict=True):
        left, top, right, bottom = person.box_px.astype(int)
        face = (slice(top, bottom), slice(left, right))
        assert np.abs(frames[1][face] - picture[face]).mean() < 0.5
        assert np.abs(frames[1][face] - twins[face]).mean() > 1
    np.testing.assert_array_equal(frames[0], twins)


def test_everybody_needs_a_motion(portrait: Portrait) -> None:
    with pytest.raises(BadValue, match="one a person"):
        cn.animate_group([portrait, portrait], [portrait.motion])
    slow = Motion(portrait.motion.values, ARKIT, 5.0)
    with pytest.raises(BadValue, match="frame rates"):
        cn.animate_group([portrait, portrait], [portrait.motion, slow])


def test_a_spoken_text_comes_with_its_sound(portrait: Portrait, tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader")
    animation = cn.talk(portrait, text="Hello", renderer=GeometricRenderer())
    assert animation.sound is not None
    voice = animation.sound
    cn.write_video(tmp_path / "o.mp4", animation)
    with VideoReader(tmp_path / "o.mp4") as film:
        assert film.has_audio
    del animation
    assert not voice.exists()


def test_names_are_there_and_lazy() -> None:
    assert set(cn.__all__) <= set(dir(cn)) | set(cn._HOMES) | {"__version__"}
    for name in cn.__all__:
        assert getattr(cn, name) is not None
    with pytest.raises(AttributeError):
        _ = cn.animat


@pytest.mark.parametrize(
    "call",
    [
        lambda p, f: cn.write_video(f, cn.animate(p, p.motion)),
        lambda p, f: cn.write_video(cn.animate(p, p.motion, GeometricRenderer()), f),
        lambda p, f: cn.write_video(f / "a.mp4", [data.astronaut()], 25, model="m"),
        lambda p, f: cn.write_marked_image(data.astronaut(), f / "a.png", "m"),
        lambda p, f: cn.write_marked_image(f / "a.png", data.astronaut() / 255, "m"),
        lambda p, f: cn.write_marked_image(f / "a.png", data.astronaut(), "m", max_side_px=-1),
        lambda p, f: cn.animate(p, p.motion, "geometric"),
        lambda p, f: cn.animate(p, [p.motion, Motion(p.motion.values, ARKIT, 10.0)], GeometricRenderer()),
        lambda p, f: cn.animate_group([p.motion], [p], GeometricRenderer()),
        lambda p, f: cn.animate_group(p, p.motion, GeometricRenderer()),
        lambda p, f: cn.animate_group(
            [p, cn.load_portrait(data.astronaut()[:, ::-1])], [p.motion] * 2, GeometricRenderer()
        ),
        lambda p, f: cn.edit(p, {"yaw": 15}, GeometricRenderer()),
        lambda p, f: cn.edit(p, {"jawOpen": 5}, GeometricRenderer()),
        lambda p, f: cn.edit(p, {"jawOpen": "0.5"}, GeometricRenderer()),
        lambda p, f: cn.edit(p, {3: 1}, GeometricRenderer()),
        lambda p, f: cn.transfer(p, p.motion),
        lambda p, f: cn.transfer(p.motion, p.motion, strengths=[1]),
        lambda p, f: cn.load_motion(None),
        lambda p, f: cn.save_motion(p.motion, f / "a.npz"),
        lambda p, f: cn.load_tracker(3),
        lambda p, f: cn.load_portraits(data.astronaut(), 1),
        lambda p, f: cn.load_portrait(data.astronaut(), crop_scale=0),
        lambda p, f: cn.load_portrait("."),
        lambda p, f: cn.Performance(head="foo"),
        lambda p, f: cn.Performance(seed=1.5),
        lambda p, f: cn.talk(p, 3),
        lambda p, f: cn.talk(p, text="a", performance={}),
        lambda p, f: cn.evaluate(["repeated"], f, f / "report", seed=1.5),
        lambda p, f: cn.evaluate([None], f, f / "report"),
    ],
)
def test_every_public_function_refuses_what_it_cannot_take(
    portrait: Portrait, tmp_path: Path, call: Any
) -> None:
    (tmp_path / "kept").write_text("a folder that is not empty")
    with pytest.raises(cn.CountenanceError) as refused:
        call(portrait, tmp_path)
    assert "\n" not in str(refused.value)
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]
