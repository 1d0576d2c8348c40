"""Compose the motion that `make demo` plays: a turn, blinks, speech, a smile; writes ``motion/data/demo.npz``.

    python tools/make_demo_motion.py SPEECH.npz -o src/countenance/motion/data/demo.npz

SPEECH.npz: tracked motion of somebody talking (we used a US weekly address, a public-domain recording). Only the
mouth is taken from it, as the change from its quietest frame; head, eyes and brows are keyframes drawn by hand.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np

from countenance.motion.expressions import expression
from countenance.motion.files import load_motion, save_motion
from countenance.motion.interpolation import keyframes
from countenance.motion.sequence import Motion
from countenance.motion.smoothing import smooth
from countenance.motion.spaces import ARKIT

FPS = 25.0
SPEECH_S = (2.6, 6.4)


def head() -> dict[float, dict[str, float]]:
    """Keys of head, brows and smile; degrees turned into radians."""
    turn = math.radians
    smile = dict(expression("smile"))
    rest = dict.fromkeys(smile, 0.0)
    return {
        0.0: {"yaw": 0, "pitch": 0, "roll": 0, "x": 0, "browInnerUp": 0, **rest},
        0.9: {"yaw": turn(20), "roll": turn(-3), "x": 0.015},
        1.9: {"yaw": turn(-20), "roll": turn(3), "x": -0.015},
        2.6: {"yaw": 0, "roll": 0, "x": 0, "pitch": turn(-2), "browInnerUp": 0},
        3.3: {"yaw": turn(6), "pitch": turn(4), "browInnerUp": 0.5},
        4.2: {"yaw": turn(-5), "pitch": turn(-3), "roll": turn(2), "browInnerUp": 0.05},
        5.2: {"yaw": turn(4), "pitch": turn(3), "roll": turn(-2), "browInnerUp": 0.4},
        6.4: {"yaw": 0, "pitch": 0, "roll": 0, "browInnerUp": 0, **rest},
        7.2: {"roll": turn(5), "pitch": turn(2), **smile},
        8.4: {"roll": turn(4), "yaw": turn(-8), **smile},
        9.2: {"yaw": 0, "pitch": 0, "roll": 0, **rest},
        9.6: {"yaw": 0},
    }


def blinks(motion: Motion, moments_s: tuple[float, ...]) -> Motion:
    """Lids that close within 3 frames and open within 5."""
    values = motion.values.copy()
    columns = ARKIT.indices(["eyeBlinkLeft", "eyeBlinkRight"])
    for moment in moments_s:
        since = (motion.times_s - moment) * FPS
        lid = np.interp(since, [-3, 0, 1, 6], [0, 0.85, 0.85, 0])
        values[:, columns] = np.maximum(values[:, columns], lid[:, None])
    return motion.with_values(values)


def speech(motion: Motion, tracked: Motion) -> Motion:
    """Adds the tracked mouth's changes between SPEECH_S, faded at both ends."""
    lips = ARKIT.region_indices("lips")
    start, stop = (round(s * FPS) for s in SPEECH_S)
    spoken = tracked.resample(FPS).values[: stop - start, lips]
    calm = spoken[np.argmin(spoken.sum(1))]
    fade = np.minimum(1, np.minimum(np.arange(len(spoken)), np.arange(len(spoken))[::-1]) / 5)[:, None]
    values = motion.values.copy()
    values[start : start + len(spoken), lips] += fade * np.maximum(spoken - calm, 0)
    return motion.with_values(ARKIT.clamp(values))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("speech", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    drawn = blinks(keyframes(head(), ARKIT, FPS), (0.45, 1.4, 2.5, 4.0, 5.7, 8.8))
    save_motion(args.output, speech(drawn, smooth(load_motion(args.speech))))


if __name__ == "__main__":
    main()
