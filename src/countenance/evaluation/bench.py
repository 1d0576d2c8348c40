"""How fast a renderer is here, and where the time goes: what ``countenance bench`` prints."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np

from countenance.arrays import Image
from countenance.media.frames import Frame
from countenance.media.video import VideoReader
from countenance.media.writer import VideoWriter
from countenance.motion.files import load_motion
from countenance.motion.sequence import Motion
from countenance.motion.transfer import transfer
from countenance.portrait.portrait import Portrait
from countenance.renderers.renderer import Renderer
from countenance.timing import stages
from countenance.trackers.catalogue import tracker_for
from countenance.trackers.following import follow_face
from countenance.trackers.portraits import portrait_from_image
from countenance.trackers.tracker import Tracker

T = TypeVar("T")
SIZE = 256


@dataclass(frozen=True)
class Bench:
    """One renderer on this machine, at 256 x 256.

    Attributes:
        model: its name.
        gflop: a frame, in the network, 2 per multiply-add; 0 without one.
        parameters: of the network, in millions.
        latency_ms: median time of a frame from motion to picture.
        frames_per_s: 1000 / latency_ms.
        end_to_end_per_s: frames a second from driver video to written video.
        shares: of the end-to-end work, by stage, in percent: tracking, geometry, network, compositing, media, other.
            Stages may go on side by side, so their times may add up to more than what passes.
    """

    model: str
    gflop: float
    parameters: float
    latency_ms: float
    frames_per_s: float
    end_to_end_per_s: float
    shares: dict[str, float]


def shipped_motion() -> Motion:
    """The demo's motion: ``arkit``, 25 frames a second."""
    with resources.as_file(resources.files("countenance.motion") / "data" / "demo.npz") as path:
        return load_motion(path)


def bench(photo: Image, renderer: Renderer[Any], frames: int = 200) -> Bench:
    """Measure a renderer of ``arkit`` motion.

    Args:
        photo: H x W x 3 with a face; scaled so that the renderer works on 256 x 256 pixels.
        renderer: what is measured.
        frames: rendered and timed, after a few to warm up.

    Raises:
        NoFaceFound: in the photo, or in what the renderer makes of it.
    """
    tracker = tracker_for(renderer.spec.motion_space)
    portrait = portrait_at(photo, renderer.spec.crop_scale, tracker)
    motion = transfer(shipped_motion(), portrait.motion)
    looped = motion.with_values(np.resize(motion.values, (frames, motion.space.size)))
    avatar = renderer.enroll(portrait)
    gflop, parameters = _work(renderer, avatar, motion)
    times = list(_durations(renderer.render(avatar, looped)))[5:]
    latency = 1e3 * float(np.median(times))
    with tempfile.TemporaryDirectory() as folder:
        driver = Path(folder) / "driver.mp4"
        with VideoWriter(driver, motion.fps, portrait.crop.side, portrait.crop.side) as writer:
            for picture in renderer.render(avatar, looped):
                writer.write(picture)
        spent, total = _end_to_end(driver, portrait, avatar, renderer, tracker)
    work = max(total, sum(spent.values()))
    shares = {name: 100 * seconds / work for name, seconds in spent.items()}
    shares["other"] = max(0.0, 100 - sum(shares.values()))
    return Bench(renderer.spec.name, gflop, parameters, latency, 1e3 / latency, frames / total, shares)


def portrait_at(photo: Image, crop_scale: float, tracker: Tracker) -> Portrait:
    """The photo scaled so that the crop is 256 pixels wide, to the nearest pixel."""
    side = portrait_from_image(photo, tracker, crop_scale=crop_scale).crop.side
    how = cv2.INTER_AREA if side > SIZE else cv2.INTER_CUBIC
    scaled = np.asarray(cv2.resize(photo, None, fx=SIZE / side, fy=SIZE / side, interpolation=how), np.uint8)
    return portrait_from_image(scaled, tracker, crop_scale=crop_scale)


def _work(renderer: Renderer[Any], avatar: Any, motion: Motion) -> tuple[float, float]:
    """GFLOP of one more frame of a person, and millions of parameters; 0 where there is no network."""
    network = getattr(renderer, "network", None)
    if network is None or find_spec("torch") is None:
        return 0.0, 0.0
    from torch.utils.flop_counter import FlopCounterMode

    from countenance.renderers.openvino_engine import SWITCH

    engine = os.environ.get(SWITCH)
    os.environ[SWITCH] = "torch"  # what is compiled can't be counted
    try:
        pictures = renderer.render(avatar, motion)
        next(pictures)
        with FlopCounterMode(display=False) as counter:
            next(pictures)
    finally:
        os.environ.pop(SWITCH)
        if engine is not None:
            os.environ[SWITCH] = engine
    return counter.get_total_flops() / 1e9, sum(p.numel() for p in network.parameters()) / 1e6


def _end_to_end(
    driver: Path, portrait: Portrait, avatar: Any, renderer: Renderer[Any], tracker: Tracker
) -> tuple[dict[str, float], float]:
    """Decode, track, transfer, render, encode: seconds by stage, and in all."""
    media: list[float] = []
    start = time.perf_counter()
    with stages() as spent:
        with VideoReader(driver) as video:
            track = follow_face(_timed(video.frames(), media), tracker, 25.0, where="the rendered driver")
        tracked = time.perf_counter() - start - sum(media)
        motion = transfer(tracker.motion(track.coefficients, portrait.crop, 25.0), portrait.motion)
        side = portrait.crop.side
        with VideoWriter(driver.with_name("out.mp4"), 25.0, side, side) as writer:
            for picture in renderer.render(avatar, motion):
                before = time.perf_counter()
                writer.write(picture)
                media.append(time.perf_counter() - before)
        total = time.perf_counter() - start
        return {"tracking": tracked, **spent, "media": sum(media)}, total


def _timed(items: Iterable[Frame], seconds: list[float]) -> Iterator[Frame]:
    """The same items; what each took to come is added to ``seconds``."""
    iterator = iter(items)
    while True:
        start = time.perf_counter()
        item = next(iterator, None)
        seconds.append(time.perf_counter() - start)
        if item is None:
            return
        yield item


def _durations(items: Iterator[T]) -> Iterator[float]:
    """How long each item takes to come."""
    while True:
        start = time.perf_counter()
        if next(items, None) is None:
            return
        yield time.perf_counter() - start
