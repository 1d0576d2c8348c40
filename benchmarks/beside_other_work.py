"""How much longer the long steps take while other work keeps one core busy.

    python benchmarks/beside_other_work.py [STEP ...] [--repeat 3] [--busy 1] [--markdown docs/results.md]

Every run is a process of its own, and quiet and busy runs take turns, so that what else the machine does falls on
both. "Busy" is a loop that never sleeps. Loading is not counted, CPU seconds are those of all threads and workers;
medians. Pictures are the astronaut's: nothing else is needed. Exits 1 if a step takes more than 2.5 times as long.
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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from skimage import data

from countenance.arrays import Image
from page import replace_section, section_of

SECTION = "beside other work"
MOST = 2.5
FRAMES = 250
Work = Callable[[], object]


def frames(count: int, side: int = 512) -> Iterator[Image]:
    """The astronaut, who sways."""
    for i in range(count):
        moved = np.roll(data.astronaut()[:side, :side], round(6 * np.sin(i / 8)), 1)
        yield np.ascontiguousarray(moved)


def film(path: Path, count: int) -> Path:
    """The same as a video of 25 frames a second."""
    from countenance.media.writer import VideoWriter

    with VideoWriter(path, 25.0, 512, 512) as writer:
        for picture in frames(count):
            writer.write(picture)
    return path


def tracking(folder: Path) -> Work:
    """As `countenance track` does."""
    from countenance.media.frames import Frame
    from countenance.trackers.catalogue import load_tracker

    tracker, given = load_tracker(), [Frame(p, i / 25) for i, p in enumerate(frames(FRAMES))]
    return lambda: list(tracker.follow(given))


def prepared(folder: Path) -> Work:
    """A clip of ten seconds becomes a dataset."""
    from countenance.data.prepare import PrepareOptions, prepare

    source = film(folder / "astronaut.mp4", FRAMES)
    return lambda: prepare([source], folder / "dataset", PrepareOptions(size=128))


def enrolled(model: str, folder: Path) -> Work:
    """A head in 3D of one photo."""
    from countenance.renderers.catalogue import load_renderer
    from countenance.trackers.catalogue import load_tracker
    from countenance.trackers.portraits import portrait_from_image

    renderer: Any = load_renderer(model)
    portrait = portrait_from_image(data.astronaut(), load_tracker(), crop_scale=renderer.spec.crop_scale)
    _ = renderer.objective  # reads weights
    return lambda: renderer.enroll(portrait)


def rendered(model: str, folder: Path) -> Work:
    """Ten seconds of a head that turns."""
    from countenance.renderers.catalogue import load_renderer
    from countenance.trackers.catalogue import load_tracker
    from countenance.trackers.portraits import portrait_from_image

    renderer = load_renderer(model)
    portrait = portrait_from_image(data.astronaut(), load_tracker(), crop_scale=renderer.spec.crop_scale)
    avatar = renderer.enroll(portrait)
    motion = portrait.motion.still(FRAMES).set(yaw=0.2 * np.sin(np.arange(FRAMES) / 8))
    return lambda: sum(1 for _ in renderer.render(avatar, motion))


def talking(folder: Path) -> Work:
    """Six seconds from a sound file to a video."""
    from countenance.audio.samples import write_wave
    from countenance.pipeline.sources import load_portrait
    from countenance.renderers.catalogue import load_renderer
    from countenance.speech.catalogue import DEFAULT, PERFORMER, load_speech_driver
    from speech_speed import speech, talk
    from speed import portrait_file

    write_wave(folder / "speech.wav", speech(6.0))
    renderer = load_renderer("gdpw-lite")
    portrait = load_portrait(portrait_file(folder), crop_scale=renderer.spec.crop_scale)
    lips, whole = load_speech_driver(DEFAULT), load_speech_driver(PERFORMER)
    return lambda: talk(folder / "speech.wav", portrait, renderer, lips, whole)


def trained(folder: Path) -> Work:
    """Some steps of GDPW's preset for tests, on a clip of 32 px."""
    from countenance.data.prepare import PrepareOptions, prepare
    from countenance.renderers.gdpw.recipe import debug
    from countenance.training.loop import train

    prepare([film(folder / "astronaut.mp4", 50)], folder / "dataset", PrepareOptions(size=32))
    recipe = debug()
    recipe = replace(recipe, loop=replace(recipe.loop, steps=20, save_every=20, sheet_every=20))
    recipe.perceptual  # noqa: B018  # reads weights
    return lambda: train(recipe, folder / "dataset", folder / "run", accelerator="cpu")


STEPS: dict[str, Callable[[Path], Work]] = {
    "track": tracking,
    "prepare": prepared,
    "enroll, otavatar-lite": partial(enrolled, "otavatar-lite"),
    "render, gdpw-lite": partial(rendered, "gdpw-lite"),
    "render, pirenderer-lite": partial(rendered, "pirenderer-lite"),
    "render, geometric": partial(rendered, "geometric"),
    "talk, gdpw-lite": talking,
    "train gdpw, debug": trained,
}


def timed(step: str) -> tuple[float, float]:
    """Wall and CPU seconds of one run, here."""
    with tempfile.TemporaryDirectory() as folder:
        work = STEPS[step](Path(folder))
        before, start = _cpu_s(), time.perf_counter()
        work()
        return time.perf_counter() - start, _cpu_s() - before


def _cpu_s() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


@contextmanager
def busy(cores: int) -> Iterator[None]:
    """Other work on so many cores."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(cores)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def measured(step: str, repeat: int, cores: int) -> dict[str, tuple[float, float]]:
    """Medians of wall and CPU seconds, "quiet" and "busy"."""
    runs: dict[str, list[tuple[float, float]]] = {"quiet": [], "busy": []}
    for _ in range(repeat):
        for kind, found in runs.items():
            with busy(cores if kind == "busy" else 0):
                done = subprocess.run(
                    [sys.executable, __file__, "--here", step], stdout=subprocess.PIPE, check=True, text=True
                )
            found.append(tuple(json.loads(done.stdout.splitlines()[-1])))  # type: ignore[arg-type]
            print(f"{step}, {kind}: {found[-1][0]:.1f} s, CPU {found[-1][1]:.1f} s", file=sys.stderr)
    return {
        kind: (median(wall for wall, _ in found), median(cpu for _, cpu in found))
        for kind, found in runs.items()
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("steps", nargs="*", metavar="STEP", help=f"of: {'; '.join(STEPS)}")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each kind; medians are shown")
    parser.add_argument("--busy", type=int, default=1, help="cores that other work keeps busy")
    parser.add_argument("--markdown", type=Path, help=f"file whose section '{SECTION}' is replaced")
    parser.add_argument("--here", choices=STEPS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.here:
        print(json.dumps(timed(args.here)))
        return
    if unknown := set(args.steps) - set(STEPS):
        parser.error(f"no such step: {', '.join(sorted(unknown))}")
    if args.markdown:
        section_of(args.markdown, SECTION)
    lines = [
        f"`python benchmarks/beside_other_work.py`, {os.cpu_count()} CPU cores, {platform.machine()}, {args.busy} of "
        f"them busy with other work; medians of {args.repeat}:",
        "",
        "| step | quiet, s | busy, s | ratio | CPU s, quiet | CPU s, busy |",
        "| --- " * 6 + "|",
    ]
    worst = 0.0
    for step in args.steps or STEPS:
        found = measured(step, args.repeat, args.busy)
        (quiet, quiet_cpu), (beside, busy_cpu) = found["quiet"], found["busy"]
        worst = max(worst, beside / quiet)
        lines.append(
            f"| {step} | {quiet:.1f} | {beside:.1f} | {beside / quiet:.2f} | {quiet_cpu:.1f} | {busy_cpu:.1f} |"
        )
    print(text := "\n".join(lines))
    if args.markdown:
        replace_section(args.markdown, SECTION, text)
    sys.exit(worst > MOST)


if __name__ == "__main__":
    main()
