"""Pictures for a blind look at two models: one above the other, in an order drawn by chance.

    python benchmarks/blind_pairs.py -o FOLDER [--models geometric gdpw-lite] [--pairs 10] [--seed 0]

Writes FOLDER/PAIR.png (first row: the source and the driver's moments; second and third: the models) and the order to
FOLDER/key.json, to be opened after the verdicts. The pictures show people: keep them out of what you publish.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from countenance.animation import animate
from countenance.evaluation.cross_driving import cross_pairs
from countenance.evaluation.tracked_clip import TrackedClip, tracked_clip
from countenance.motion.transfer import transfer
from countenance.renderers.catalogue import load_renderer
from countenance.trackers.catalogue import load_tracker
from countenance.trackers.portraits import portrait_of_face
from countenance.trackers.tracker import Tracker

CLIPS = Path(__file__).resolve().parents[2] / "shared" / "data" / "heads" / "test"
MOMENTS, MOST_FRAMES = 6, 100


def driven(
    person: TrackedClip, mover: TrackedClip, moments: np.ndarray, renderer: Any, tracker: Tracker
) -> np.ndarray:
    """The source and what the model makes of it at these moments, side by side."""
    scale = renderer.spec.crop_scale
    portrait = portrait_of_face(person.pictures[0], person.faces[0], tracker, scale)
    ahead = portrait_of_face(mover.pictures[0], mover.faces[0], tracker, scale)
    coefficients = np.stack([mover.faces[i].coefficients for i in moments])
    motion = transfer(tracker.motion(coefficients, ahead.crop, 25.0), portrait.motion, "absolute")
    return np.hstack([person.pictures[0], *(frame.image for frame in animate(portrait, motion, renderer))])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=Path, default=CLIPS)
    parser.add_argument("--models", nargs=2, default=["geometric", "gdpw-lite"])
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    renderers = {name: load_renderer(name) for name in args.models}
    tracker, chance, key = load_tracker(), random.Random(args.seed), {}
    for source, driver in cross_pairs(list(args.clips.glob("*.mp4")))[: args.pairs]:
        person, mover = tracked_clip(source, tracker, 1), tracked_clip(driver, tracker, MOST_FRAMES)
        moments = np.linspace(5, len(mover.pictures) - 1, MOMENTS).astype(int)
        names = chance.sample(args.models, 2)
        rows = [np.hstack([person.pictures[0], *(mover.pictures[i] for i in moments)])]
        rows += [driven(person, mover, moments, renderers[name], tracker) for name in names]
        pair = f"{source.stem}_{driver.stem}"
        Image.fromarray(np.vstack(rows)).save(args.output / f"{pair}.png")
        key[pair] = names
    (args.output / "key.json").write_text(json.dumps(key, indent=1))


if __name__ == "__main__":
    main()
