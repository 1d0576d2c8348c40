"""How fast it is, in one run: tracking, rendering, end to end, start-up; and whether memory stays flat.

    python benchmarks/speed.py [--seconds 10] [--json FILE] [--markdown docs/results.md]
    python benchmarks/speed.py --memory [--json FILE] [--markdown docs/results.md]

The driver is the astronaut, animated by the motion that the package ships, at 512 x 512. `--memory` repeats it to 10
minutes and compares the peak with that of the short run, each in a process of its own; it takes about 10 minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from skimage import data

from countenance.animation import animate
from countenance.media.frames import Frame
from countenance.media.writer import VideoWriter
from countenance.motion.files import load_motion
from countenance.motion.sequence import Motion
from countenance.motion.transfer import transfer
from countenance.pipeline.drivers import track
from countenance.pipeline.outputs import write_video
from countenance.pipeline.sources import load_portrait
from countenance.renderers.catalogue import load_renderer
from countenance.renderers.geometric.renderer import drive
from countenance.trackers.catalogue import load_tracker
from page import replace_section


def shipped_motion() -> Motion:
    """The demo's motion."""
    with resources.as_file(resources.files("countenance.motion") / "data" / "demo.npz") as path:
        return load_motion(path)


def portrait_file(folder: Path) -> Path:
    """The astronaut, enlarged so that the renderer's square is 512 pixels."""
    photo = data.astronaut()
    path = folder / "portrait.png"
    Image.fromarray(photo).save(path)
    side = load_portrait(path, crop_scale=1.4).crop.side
    factor = 512 / side
    larger = cv2.resize(photo, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    Image.fromarray(larger).save(path)
    return path


def driver_file(folder: Path, seconds: float) -> Path:
    """A 512 x 512 video of a moving face, of any length."""
    renderer = load_renderer("geometric")
    photo = folder / "driver.png"
    Image.fromarray(data.astronaut()).save(photo)
    portrait = load_portrait(photo, crop_scale=renderer.spec.crop_scale)
    motion = transfer(shipped_motion(), portrait.motion)
    frames = [frame.image for frame in animate(portrait, motion, renderer)]

    def repeated() -> Iterator[Frame]:
        for i in range(round(seconds * motion.fps)):
            yield Frame(frames[i % len(frames)], i / motion.fps)

    path = folder / f"driver{seconds:g}.mp4"
    write_video(path, repeated(), motion.fps, model="geometric")
    return path


def end_to_end(portrait: Path, driver: Path, output: Path) -> dict[str, float]:
    """Track, transfer, render, paste back, encode; frames a second and peak memory of this process."""
    renderer, tracker = load_renderer("geometric"), load_tracker()
    source = load_portrait(portrait, crop_scale=renderer.spec.crop_scale, tracker=tracker)
    start = time.perf_counter()
    motion = track(driver, tracker=tracker)
    tracked = time.perf_counter()
    frames = animate(source, transfer(motion, source.motion), renderer)
    count = write_video(output, frames, motion.fps, model="geometric")
    end = time.perf_counter()
    return {
        "frames": count,
        "fps_end_to_end": count / (end - start),
        "ms_track": 1e3 * (tracked - start) / count,
        "ms_render_paste_encode": 1e3 * (end - tracked) / count,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def render_alone(portrait: Path) -> float:
    """Milliseconds a frame of the renderer at 512 x 512."""
    renderer = load_renderer("geometric")
    source = load_portrait(portrait, crop_scale=renderer.spec.crop_scale)
    avatar = renderer.enroll(source)
    rows = transfer(shipped_motion(), source.motion).values
    drive(avatar, rows[0])
    times = []
    for row in rows[:150]:
        start = time.perf_counter()
        drive(avatar, row)
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times))


def encode_alone(folder: Path) -> float:
    """Milliseconds a frame of the encoder at 512 x 512."""
    image = cv2.resize(data.astronaut(), (512, 512))
    start = time.perf_counter()
    with VideoWriter(folder / "encode.mp4", 25, 512, 512) as writer:
        for i in range(100):
            writer.write(np.roll(image, i, axis=1))
    return 1e3 * (time.perf_counter() - start) / 100


def start_up() -> float:
    """Seconds of `countenance --help`, best of 3."""
    command = [str(Path(sys.executable).with_name("countenance")), "--help"]
    times = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True)
        times.append(time.perf_counter() - start)
    return min(times)


def in_own_process(portrait: Path, seconds: float) -> dict[str, float]:
    """:func:`end_to_end` in a fresh process, so that its peak memory is its own."""
    command = [sys.executable, __file__, "--child", str(portrait), "--seconds", str(seconds)]
    reply = subprocess.run(command, capture_output=True, check=True, text=True)
    result: dict[str, float] = json.loads(reply.stdout.splitlines()[-1])
    return result


def child(portrait: Path, seconds: float) -> None:
    """What the fresh process does; the driver is made by yet another process."""
    with tempfile.TemporaryDirectory() as folder:
        maker = (
            f"from pathlib import Path; import speed; print(speed.driver_file(Path({folder!r}), {seconds}))"
        )
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
        made = subprocess.run(
            [sys.executable, "-c", maker], capture_output=True, check=True, text=True, env=environment
        )
        print(json.dumps(end_to_end(portrait, Path(made.stdout.splitlines()[-1]), Path(folder) / "out.mp4")))


def measure_memory(seconds: float) -> dict[str, float]:
    """Peak memory of a short and of a long run."""
    with tempfile.TemporaryDirectory() as name:
        portrait = portrait_file(Path(name))
        short, long = (in_own_process(portrait, length)["peak_mb"] for length in (seconds, 600))
    return {
        f"peak memory, {seconds:g} s driver, MB": short,
        "peak memory, 600 s driver, MB": long,
        "difference, MB": long - short,
    }


def measure(seconds: float) -> dict[str, float]:
    """Times."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        portrait = portrait_file(folder)
        short = in_own_process(portrait, seconds)
        figures = {
            "tracking, ms a frame": short["ms_track"],
            "geometric render at 512 x 512, ms a frame": render_alone(portrait),
            "H.264 encoding at 512 x 512, ms a frame": encode_alone(folder),
            "end to end at 512 x 512, frames/s": short["fps_end_to_end"],
            "`countenance --help`, s": start_up(),
        }
    return figures


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="length of the driver")
    parser.add_argument("--memory", action="store_true", help="memory with a 10-minute driver, and no times")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path, help="file whose marked section is replaced")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.child, args.seconds)
        return
    figures = measure_memory(args.seconds) if args.memory else measure(args.seconds)
    section = "memory" if args.memory else "speed"
    machine = f"{os.cpu_count()} CPU cores, {platform.machine()}, Python {platform.python_version()}"
    command = "python benchmarks/speed.py" + " --memory" * args.memory
    lines = [f"`{command}`, {machine}:", "", "| | |", "| --- | --- |"]
    text = "\n".join(lines + [f"| {name} | {value:.2f} |" for name, value in figures.items()])
    print(text)
    if args.json:
        args.json.write_text(json.dumps({"machine": machine, **figures}, indent=1))
    if args.markdown:
        replace_section(args.markdown, section, text)


if __name__ == "__main__":
    main()
