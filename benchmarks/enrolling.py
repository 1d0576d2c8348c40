"""What enrolling keeps of how faces move: ours, and without its parts.

    python benchmarks/enrolling.py [CLIP ...] [--workers 2] [--markdown docs/results.md]

A clip's first frame is enrolled, and what came of it is drawn with the motion of every fourth frame of the first 200,
as if it were held: what the controller smooths in a video does not count. "Gain" is how much of a movement is there:
the slope of what the tracker sees in the drawn frames against what it saw in the clip's; 1 is all of it, 0 nothing. A
gain alone can be noise, so the correlation of the lips stands beside it. Means over clips; a clip in which something
hardly moves does not count for it.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from countenance.arrays import Doubles
from countenance.evaluation.metrics.motion import lip_opening_percent, opening_correlation
from countenance.evaluation.metrics.pixels import psnr
from countenance.evaluation.tracks import pictures_at, track_clip
from countenance.motion.spaces import ARKIT
from countenance.renderers.catalogue import load_renderer
from countenance.renderers.otavatar.config import InversionConfig, ours
from countenance.renderers.otavatar.renderer import OTAvatarRenderer
from countenance.trackers.catalogue import load_tracker
from countenance.trackers.portraits import portrait_of_face
from heads_test import CLIPS
from page import replace_section, section_of

SECTION = "enrolling"
FRAMES, EVERY = 200, 4
MOVEMENTS = {"smile": "mouthSmileLeft", "lids": "eyeBlinkLeft"}
STILL = {"lips": 0.5, "smile": 0.03, "lids": 0.03}
"""Deviations (of lips in % of the face's height) below which a clip says nothing."""
COLUMNS = (
    "photo redrawn, PSNR, dB ↑",
    "lips, correlation ↑",
    "lips, gain → 1",
    "smile, gain → 1",
    "lids, gain → 1",
)

VARIANTS: dict[str, tuple[InversionConfig, bool]] = {
    "as it is": (ours(), True),
    "no locality": (replace(ours(), locality=0.0), True),
    "plain codes": (replace(ours(), ridge=0.0), False),
    "plain codes, no locality": (replace(ours(), ridge=0.0, locality=0.0), False),
    "no tuning": (replace(ours(), tune_steps=0), True),
}
"""Settings, and whether codes are learnt in coordinates of how people's differ."""


def gain(found: Doubles, wanted: Doubles, still: float) -> float:
    """Slope of (T,) against (T,), without frames of NaN; NaN where nothing moves."""
    there = np.isfinite(found) & np.isfinite(wanted)
    if there.sum() < 3 or wanted[there].std() < still:
        return float("nan")
    return float(np.polyfit(wanted[there], found[there], 1)[0])


def measured(job: tuple[Path, str]) -> Doubles:
    """:data:`COLUMNS` of one clip and one variant."""
    clip, variant = job
    torch.set_num_threads(1)
    renderer, tracker = load_renderer("otavatar-lite"), load_tracker()
    assert isinstance(renderer, OTAvatarRenderer)
    renderer.inversion, spread = VARIANTS[variant]
    if not spread:
        renderer.network.spread.copy_(torch.eye(len(renderer.network.spread)))
    track = track_clip(clip, tracker)
    chosen = np.arange(0, min(len(track), FRAMES), EVERY)
    picture = next(pictures_at(clip, [0]))
    portrait = portrait_of_face(picture, track.face(0), tracker, renderer.spec.crop_scale)
    avatar = renderer.enroll(portrait)
    motion = tracker.motion(track.coefficients[: chosen[-1] + 1], portrait.crop, track.fps)
    pictures = [next(renderer.render(avatar, motion[int(i)])) for i in chosen]
    redrawn = psnr(pictures[0], portrait.square)
    faces = [tracker.faces(each) for each in pictures]
    nothing = np.full(track.coefficients.shape[1], np.nan), np.full(track.landmarks_px.shape[1:], np.nan)
    seen = [(found[0].coefficients, found[0].landmarks_px) if found else nothing for found in faces]
    coefficients, landmarks = (np.stack(part).astype(np.float64) for part in zip(*seen, strict=True))
    wanted = track.coefficients[chosen].astype(np.float64), track.landmarks_px[chosen]
    lips = gain(lip_opening_percent(landmarks), lip_opening_percent(wanted[1]), STILL["lips"])
    gains = [
        gain(coefficients[:, column], wanted[0][:, column], STILL[name])
        for name, column in ((name, ARKIT.index(names)) for name, names in MOVEMENTS.items())
    ]
    return np.array([redrawn, opening_correlation(landmarks, wanted[1]), lips, *gains])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", nargs="*", type=Path, metavar="CLIP", help="every third test clip if none")
    parser.add_argument("--workers", type=int, default=2, help="processes, of a core each")
    parser.add_argument("--markdown", type=Path, help=f"file whose section '{SECTION}' is replaced")
    args = parser.parse_args()
    if args.markdown:
        section_of(args.markdown, SECTION)
    clips = args.clips or sorted(CLIPS.glob("*.mp4"))[::3]
    if not clips:
        sys.exit(f"no .mp4 clips in {CLIPS}; name some")
    jobs = list(itertools.product(clips, VARIANTS))
    found = dict[tuple[Path, str], Doubles]()
    with ProcessPoolExecutor(args.workers, get_context("spawn")) as pool:
        for job, figures in zip(jobs, pool.map(measured, jobs), strict=True):
            found[job] = figures
            print(job[0].stem, job[1], np.round(figures, 3), file=sys.stderr)
    lines = [f"{len(clips)} clips.", "", "| | " + " | ".join(COLUMNS) + " |"]
    lines.append("| --- " * (len(COLUMNS) + 1) + "|")
    for variant in VARIANTS:
        means = np.nanmean([found[clip, variant] for clip in clips], 0)
        lines.append(f"| {variant} | " + " | ".join(f"{mean:.2f}" for mean in means) + " |")
    print(text := "\n".join(lines))
    if args.markdown:
        replace_section(args.markdown, SECTION, text)


if __name__ == "__main__":
    main()
