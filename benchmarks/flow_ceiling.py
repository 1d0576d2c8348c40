"""How near to the true pictures can moving pixels come at all? Optical flow that knows the true picture says.

python benchmarks/flow_ceiling.py [--clips FOLDER] [--every 10] [--markdown docs/results.md]

For every compared frame: perceptual distance (EfficientNet-Lite0) to the truth of the source frame repeated, of
the renderer's picture, of either once optical flow to the TRUE frame has moved it, and of the frame before. No renderer
knows that flow.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np

from countenance.animation import animate
from countenance.arrays import Doubles, Image
from countenance.evaluation.metrics.perceptual import perceptual_lite0
from countenance.evaluation.tracks import pictures_at, track_clip
from countenance.renderers.catalogue import load_renderer
from countenance.trackers.catalogue import tracker_for
from countenance.trackers.portraits import portrait_of_face
from heads_test import CLIPS
from page import replace_section

COLUMNS = (
    "source repeated",
    "renderer",
    "source, moved by true flow",
    "renderer's picture, moved by true flow",
    "true frame before",
)


def moved(picture: Image, truth: Image) -> Image:
    """``picture``, moved by the optical flow (DIS, Kroeger et al. 2016) that best turns it into ``truth``."""
    wanted, given = (cv2.cvtColor(p, cv2.COLOR_RGB2GRAY) for p in (truth, picture))
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow = finder.calc(wanted, given, np.zeros((*wanted.shape, 2), np.float32))
    rows, columns = np.mgrid[: truth.shape[0], : truth.shape[1]].astype(np.float32)
    places = columns + flow[..., 0], rows + flow[..., 1]
    return np.asarray(cv2.remap(picture, *places, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def measured(clip: Path, model: str, every: int) -> Doubles:
    """(5,) means over every n-th frame but the first, in the order of :data:`COLUMNS`."""
    renderer = load_renderer(model)
    tracker = tracker_for(renderer.spec.motion_space)
    track = track_clip(clip, tracker)
    seen = track.seen()
    pictures = list(pictures_at(clip, seen))
    source = pictures[0]
    portrait = portrait_of_face(source, track.face(seen[0]), tracker, renderer.spec.crop_scale)
    motion = tracker.motion(track.coefficients[seen], portrait.crop, track.fps)
    rows = []
    for i, frame in enumerate(animate(portrait, motion, renderer)):
        if i == 0 or i % every:
            continue
        truth = pictures[i]
        shown = (
            source,
            frame.image,
            moved(source, truth),
            moved(frame.image, truth),
            pictures[i - 1],
        )
        rows.append([perceptual_lite0(picture, truth) for picture in shown])
    return np.asarray(np.mean(rows, 0))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=Path, default=CLIPS)
    parser.add_argument("--model", default="geometric")
    parser.add_argument("--every", type=int, default=10)
    parser.add_argument("--markdown", type=Path, help="file whose marked section is replaced")
    args = parser.parse_args()
    clips = sorted(args.clips.glob("*.mp4")) if args.clips.is_dir() else []
    if not clips:
        sys.exit(f"no .mp4 clips in {args.clips}; name a folder with --clips")
    means = np.mean([measured(clip, args.model, args.every) for clip in clips], 0)
    lines = [f"| {' | '.join(COLUMNS)} |", "| --- " * len(COLUMNS) + "|"]
    lines.append(f"| {' | '.join(f'{mean:.3f}' for mean in means)} |")
    lines.append(f"| {' | '.join(f'{mean / means[0] - 1:+.0%}' for mean in means)} |")
    text = f"Renderer `{args.model}`, {len(clips)} clips, one frame in {args.every}:\n\n" + "\n".join(lines)
    print(text)
    if args.markdown:
        replace_section(args.markdown, "flow ceiling", text)


if __name__ == "__main__":
    main()
