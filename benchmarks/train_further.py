"""Train the shipped pirenderer-lite a little further on a dataset, for comparing datasets at an equal number of steps.

python benchmarks/train_further.py DATASET -o RUN [--steps 350]
countenance evaluate --protocol same-identity --data CLIPS --model RUN/weights.safetensors -o REPORT
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from countenance.renderers.pirenderer import recipe as pirenderer
from countenance.training.loop import train


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=350)
    args = parser.parse_args()
    recipe = pirenderer.lite()
    milestones = (int(0.6 * args.steps), int(0.85 * args.steps))
    loop = replace(recipe.loop, steps=args.steps, learning_rate=2e-4, milestones=milestones, ema_decay=0.99)
    shipped = Path(pirenderer.__file__).with_name("pirenderer-lite.safetensors")
    outcome = train(
        replace(recipe, warp_only=0, loop=loop),
        args.dataset,
        args.output,
        init=shipped,
        report=lambda step, figures: print(step, {k: round(v, 3) for k, v in figures.items()}),
    )
    print(outcome.weights)


if __name__ == "__main__":
    main()
