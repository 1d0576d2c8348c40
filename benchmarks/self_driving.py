"""Self-driving on a folder of clips: table on the screen, JSON and Markdown on request.

python benchmarks/self_driving.py --clips FOLDER [--markdown docs/results.md] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, fields
from pathlib import Path

from countenance.evaluation.self_driving import Scores, SelfDriving, frechet, mean_scores, self_driving
from countenance.renderers.catalogue import load_renderer
from countenance.trackers.catalogue import tracker_for
from page import replace_section

CLIPS = Path(__file__).resolve().parents[2] / "shared" / "data" / "heads" / "test"
LABELS = {
    "expression_error_arkit": "expression error (arkit)",
    "pose_error_deg": "pose error (deg)",
    "landmark_distance_percent": "landmark distance (% of face height)",
    "psnr": "PSNR (dB)",
    "ssim": "SSIM",
    "perceptual_lite0": "perceptual distance (EfficientNet-Lite0)",
    "identity_cosine_dlib": "identity cosine (dlib)",
}


def table(results: list[SelfDriving]) -> str:
    """Markdown: one row a clip, `model / source repeated`, then the mean and its ratio."""
    names = [f.name for f in fields(Scores)]
    lines = ["| clip | " + " | ".join(LABELS[n] for n in names) + " |", "| --- " * (len(names) + 1) + "|"]
    mean = (mean_scores([r.model for r in results]), mean_scores([r.repeated for r in results]))
    rows = [(r.clip.removesuffix(".mp4"), r.model, r.repeated) for r in results] + [("**mean**", *mean)]
    for label, model, repeated in rows:
        cells = [f"{getattr(model, n):.3f} / {getattr(repeated, n):.3f}" for n in names]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    ratios = [f"{getattr(mean[0], n) / getattr(mean[1], n):.2f}" for n in names]
    lines.append("| model : repeated | " + " | ".join(ratios) + " |")
    model, repeated = frechet(results)
    lines.append("")
    lines.append(f"Fréchet distance (EfficientNet-Lite0), all clips: {model:.2f} / {repeated:.2f}")
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=Path, default=CLIPS)
    parser.add_argument("--model", default="geometric")
    parser.add_argument("--every", type=int, default=3, help="compare every n-th frame")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path, help="file whose marked section is replaced")
    args = parser.parse_args()
    clips = sorted(args.clips.glob("*.mp4")) if args.clips.is_dir() else []
    if not clips:
        sys.exit(f"no .mp4 clips in {args.clips}; name a folder with --clips")
    renderer = load_renderer(args.model)
    tracker = tracker_for(renderer.spec.motion_space)
    results = []
    for clip in clips:
        results.append(self_driving(clip, renderer, tracker, args.every))
        model, repeated = results[-1].model, results[-1].repeated
        print(
            f"{clip.stem}: expression {model.expression_error_arkit:.4f} / {repeated.expression_error_arkit:.4f}, "
            f"pose {model.pose_error_deg:.2f} / {repeated.pose_error_deg:.2f}, lost {results[-1].lost}",
            file=sys.stderr,
        )
    text = table(results)
    print(text)
    if args.json:
        plain = [{k: v for k, v in asdict(r).items() if k != "features"} for r in results]
        args.json.write_text(json.dumps(plain, indent=1))
    if args.markdown:
        replace_section(args.markdown, f"self-driving {args.model}", text)


if __name__ == "__main__":
    main()
