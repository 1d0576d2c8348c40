"""Cross-driving on a folder of clips, several models beside each other.

python benchmarks/cross_driving.py [--models geometric pirenderer-lite] [--every 10] [--markdown docs/results.md]
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import astuple
from pathlib import Path

import numpy as np

from countenance.evaluation.cross_driving import CrossDriving, cross_driving, cross_frechet, cross_pairs
from countenance.renderers.catalogue import load_renderer
from countenance.trackers.catalogue import tracker_for
from page import replace_section, section_of

CLIPS = Path(__file__).resolve().parents[2] / "shared" / "data" / "heads" / "test"
HEAD = (
    "| model | expression error to the driver (arkit) | pose error to the driver (deg) | identity cosine to the source "
    "(dlib) | Fréchet distance to the source's clip (EfficientNet-Lite0) | frames without a face |"
)


def row(name: str, scores: list[tuple[float, ...]], frechet: float, lost: int, frames: int) -> str:
    """One line of the table: means over pairs."""
    expression, pose, identity = np.mean(scores, 0)
    return f"| {name} | {expression:.3f} | {pose:.2f} | {identity:.3f} | {frechet:.1f} | {lost} of {frames} |"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=Path, default=CLIPS)
    parser.add_argument("--models", nargs="+", default=["geometric", "gdpw-lite", "pirenderer-lite"])
    parser.add_argument("--every", type=int, default=5, help="look at every n-th frame")
    parser.add_argument("--frames", type=int, default=50, help="use the first frames of each clip")
    parser.add_argument("--markdown", type=Path, help="file whose marked section gets these models' rows")
    args = parser.parse_args()
    pairs = cross_pairs(list(args.clips.glob("*.mp4"))) if args.clips.is_dir() else []
    if not pairs:
        sys.exit(f"no .mp4 clips of two people in {args.clips}; name a folder with --clips")
    rows, results = dict[str, str](), list[CrossDriving]()
    for model in args.models:
        renderer = load_renderer(model)
        tracker = tracker_for(renderer.spec.motion_space)
        results = []
        for source, driver in pairs:
            results.append(cross_driving(source, driver, renderer, tracker, args.every, args.frames))
            print(f"{model}: {source.stem} <- {driver.stem}: {results[-1].model}", file=sys.stderr)
        frames, lost = sum(r.frames for r in results), sum(r.lost for r in results)
        scores = [astuple(r.model) for r in results]
        rows[model] = row(model, scores, cross_frechet(results)[0], lost, frames)
    still = [astuple(r.repeated) for r in results]
    count = sum(r.frames for r in results)
    rows["source repeated"] = row("source repeated", still, cross_frechet(results)[1], 0, count)
    if args.markdown:  # models that were not measured now keep their rows
        old = [line for line in section_of(args.markdown, "cross-driving").splitlines()[2:] if line]
        rows = {line.split("|")[1].strip(): line for line in old} | rows
    text = "\n".join([HEAD, "| --- " * 6 + "|", *rows.values()])
    print(text)
    if args.markdown:
        replace_section(args.markdown, "cross-driving", text)


if __name__ == "__main__":
    main()
