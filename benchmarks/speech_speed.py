"""How fast speech becomes motion, and `talk` a video; both as multiples of real time.

python benchmarks/speech_speed.py [--seconds 60] [--video-seconds 6] [--markdown docs/results.md]

The speech is a synthetic voice's the portrait the astronaut, 256 and 512 px around the face: nothing else is needed.
Weights are loaded before the clock starts.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from countenance.animation import animate
from countenance.arrays import Floats
from countenance.audio.features import FPS, speech_features
from countenance.audio.samples import RATE, read_samples, write_wave
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT
from countenance.pipeline.outputs import write_video
from countenance.pipeline.sources import load_portrait
from countenance.portrait.portrait import Portrait
from countenance.renderers.catalogue import load_renderer
from countenance.renderers.renderer import Renderer
from countenance.speech.catalogue import DEFAULT, PERFORMER, load_speech_driver
from countenance.speech.driver import SpeechDriver
from countenance.speech.performance import perform
from countenance.speech.spoken_text import sentences
from countenance.speech.text import speak
from page import replace_section
from speed import portrait_file

RENDERERS = ("geometric", "gdpw-lite", "pirenderer-lite")
SIZES = (256, 512)
"""Sides of the square around the face in px; the photo is the larger one, or shrunk."""


def speech(seconds: float) -> Floats:
    """(N,) samples of a synthetic voice that reads our sentences, again and again if need be."""
    wanted = round(seconds * RATE)
    texts = [text for language, text in sentences() if language == "en"]
    parts: list[Floats] = []
    while sum(map(len, parts)) < wanted:
        parts.append(speak(texts[len(parts) % len(texts)]).samples)
    return np.concatenate(parts)[:wanted]


def best_of(repeat: int, work: Callable[[], object]) -> float:
    """Seconds of the quickest run, after one that is not counted."""
    times = []
    for _ in range(repeat + 1):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times[1:])


def motion_rows(seconds: float, repeat: int, lips: SpeechDriver, whole: SpeechDriver) -> list[str]:
    """Sound to features to motion."""
    samples = speech(seconds)
    features = speech_features([samples])
    rest = Motion.neutral(ARKIT, 1, FPS)
    steps: dict[str, Callable[[], object]] = {
        "features": lambda: speech_features([samples]),
        lips.spec.name: lambda: lips.motion(features, first=rest),
        whole.spec.name: lambda: whole.motion(features, first=rest),
        "`perform`: both, and what is laid over them": lambda: perform(features, rest, lips, whole),
    }
    rows = [f"| {seconds:g} s of speech | s | times real time |", "| --- " * 3 + "|"]
    for name, work in steps.items():
        taken = best_of(repeat, work)
        rows.append(f"| {name} | {taken:.3f} | {seconds / taken:.0f} |")
    return rows


def video_rows(seconds: float, repeat: int, lips: SpeechDriver, whole: SpeechDriver) -> list[str]:
    """What `countenance talk` does from the sound file to the video file."""
    rows = [f"| {seconds:g} s of `talk`, renderer | px | frames/s | times real time |", "| --- " * 4 + "|"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sound, photo = folder / "speech.wav", portrait_file(folder)
        write_wave(sound, speech(seconds))
        for model, size in product(RENDERERS, SIZES):
            renderer = load_renderer(model)
            with Image.open(photo) as whole_size:
                width, height = (side * size // max(SIZES) // 2 * 2 for side in whole_size.size)
                whole_size.resize((width, height)).save(resized := folder / f"{size}.png")
            portrait = load_portrait(resized, crop_scale=renderer.spec.crop_scale)
            taken = best_of(repeat, partial(talk, sound, portrait, renderer, lips, whole))
            rows.append(f"| {model} | {size} | {seconds * FPS / taken:.1f} | {seconds / taken:.2f} |")
    return rows


def talk(
    sound: Path, portrait: Portrait, renderer: Renderer, lips: SpeechDriver, whole: SpeechDriver
) -> None:
    """One video, beside the sound."""
    motion = perform(speech_features(read_samples(sound)), portrait.motion, lips, whole)
    frames = animate(portrait, motion, renderer)
    write_video(sound.with_suffix(".mp4"), frames, motion.fps, model=renderer.spec.name, audio=sound)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="of speech")
    parser.add_argument("--video-seconds", type=float, default=6.0)
    parser.add_argument("--repeat", type=int, default=3, help="the quickest run counts")
    parser.add_argument("--markdown", type=Path, help="file whose marked section is replaced")
    args = parser.parse_args()
    lips, whole = load_speech_driver(DEFAULT), load_speech_driver(PERFORMER)
    machine = (
        f"{os.cpu_count()} CPU cores, {platform.machine()}, Python {platform.python_version()}, "
        f"PyTorch {torch.__version__}, its threads: {torch.get_num_threads()}"
    )
    tables = (
        motion_rows(args.seconds, args.repeat, lips, whole),
        video_rows(args.video_seconds, args.repeat, lips, whole),
    )
    text = f"`python benchmarks/speech_speed.py`, {machine}:\n\n" + "\n\n".join(map("\n".join, tables))
    print(text)
    if args.markdown:
        replace_section(args.markdown, "speech speed", text)


if __name__ == "__main__":
    main()
