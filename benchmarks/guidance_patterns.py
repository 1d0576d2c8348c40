"""The paper's ablation of guidance patterns (GDPW, Table 1) at our scale: one small, equal budget for each.

countenance prepare CLIPS/train CLIPS/test -o DATASET --size 128 --crop-scale 1.2
python benchmarks/guidance_patterns.py DATASET -o FOLDER [--steps 400] [--count 6] [--markdown docs/results.md]

Interrupt it whenever you like: the same command goes on. Every pattern has a folder in FOLDER with its run and weights,
and FOLDER/report has what was measured; what is there is not made again.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from countenance.arrays import Floats
from countenance.data.dataset import Dataset
from countenance.evaluation.evaluate import Crew, Settings, evaluate
from countenance.evaluation.models import REPEATED, Model
from countenance.evaluation.report.tables import markdown_table
from countenance.face.mediapipe_model import mediapipe_model
from countenance.portrait.crop import Crop
from countenance.renderers.gdpw import config as sizes
from countenance.renderers.gdpw.guidance import mean_face_coordinates
from countenance.renderers.gdpw.network import GDPW
from countenance.renderers.gdpw.recipe import GDPWRecipe, lite
from countenance.renderers.geometric.head_mesh import build_head_mesh
from countenance.training.loop import WEIGHTS, train
from countenance.weights.weight_files import read_weights
from heads_test import CLIPS, quiet
from page import replace_section, section_of

SECTION = "guidance patterns"
SIZE = 128
GUIDANCE: dict[str, sizes.Patterns] = {
    "nmfc": "neural_codes",
    "geom_disp": "geom_disp",
    "neural_codes": "neural_codes",
    "both": "both",
}


def mean_head(crop_scale: float) -> Floats:
    """(V, 3) the head mesh on the mean face at rest, in px of the crop that a photo of it would have."""
    face = mediapipe_model().mean * np.array(
        [10, -10, 10], np.float32
    )  # y down; 10 px a cm, so that px are fine
    low, high = face.min(0), face.max(0)
    crop = Crop.around(np.array([*low[:2], *high[:2]]), crop_scale)
    return build_head_mesh(crop.to_crop(face), crop.side).rest


class MeanFaceRecipe(GDPWRecipe):
    """NMFC (Sec. 4.5): the codes are the mean face's coordinates, and stay that."""

    def build(self, dataset: Dataset) -> GDPW:
        """See :meth:`GDPWRecipe.build`."""
        network = super().build(dataset)
        mean = torch.from_numpy(mean_head(dataset.manifest.crop_scale))
        network.codes = torch.nn.Parameter(mean_face_coordinates(mean), requires_grad=False)
        return network


def recipe_of(pattern: str, steps: int) -> GDPWRecipe:
    """The recipe ``lite`` for few steps: patterns that hold the displacement start from what the mesh alone gives."""
    base = lite()
    fixed = pattern == "nmfc"
    network = replace(
        sizes.lite(GUIDANCE[pattern]),
        size=SIZE,
        code_channels=3 if fixed else base.network.code_channels,
    )
    loop = replace(
        base.loop,
        steps=steps,
        milestones=(int(0.75 * steps), int(0.9 * steps)),
        ema_decay=0.99,
        log_every=max(1, steps // 8),
        save_every=100,
        sheet_every=steps,
    )
    flow_weight = base.flow_weight if network.start_picture else 0.0  # it leads the flow to the start picture
    recipe = replace(base, network=network, loop=loop, flow_weight=flow_weight)
    if not fixed:
        return recipe
    return MeanFaceRecipe(**{f.name: getattr(recipe, f.name) for f in fields(recipe) if f.init})


def trained(pattern: str, dataset: Path, folder: Path, steps: int) -> Path:
    """Its weights; trains what is left to train."""
    weights = folder / WEIGHTS
    if weights.is_file() and read_weights(weights).notes["steps"] == steps:
        return weights

    def report(step: int, figures: dict[str, float]) -> None:
        print(pattern, step, {name: round(value, 3) for name, value in figures.items()}, file=sys.stderr)

    if not train(recipe_of(pattern, steps), dataset, folder, report=report).finished:
        sys.exit("interrupted; the same command goes on")
    return weights


def measured(weights: dict[str, Path], clips: Path, count: int | None, folder: Path) -> dict[str, Any]:
    """Same-identity report of all patterns, and of the source repeated."""
    models = [Model(name, str(path)) for name, path in weights.items()] + [Model(REPEATED, REPEATED)]
    settings = Settings("same-identity", clips, limit=count, videos=False)
    return evaluate(models, settings, folder, Crew(), quiet)


def caption(dataset: Dataset, steps: int, clips: int) -> str:
    """What the table rests on."""
    people, batch = len({clip.identity for clip in dataset.clips}), recipe_of("both", steps).loop.batch_size
    return (
        f"Each pattern was trained from nothing for {steps} steps of {batch} pictures of {SIZE} x {SIZE} px, one seed, "
        f"the same pictures for all: {len(dataset.clips)} clips of {people} people. `geom_disp` and `both` start from "
        "the picture that the mesh alone gives, as the shipped weights do; `neural_codes` and `nmfc` hold no "
        f"displacement to start from and must learn the whole flow. Measured by same-identity on {clips} test clips. "
        "This is a small budget, without a discriminator, on the default "
        "tracker's mesh and with metrics of ours: the figures can't be compared with the paper's Table 1, and one "
        "seed does not settle small differences."
    )


def only_these(folder: Path, settings: dict[str, Any]) -> None:
    """Let a folder hold one comparison only, so that no row comes from other settings."""
    file = folder / "settings.json"
    folder.mkdir(parents=True, exist_ok=True)
    if not file.is_file():
        file.write_text(json.dumps(settings, indent=1))
    elif json.loads(file.read_text()) != settings:
        sys.exit(f"{folder} holds a comparison with other settings ({file}); choose another -o, or delete it")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", type=Path, help=f"prepared with --size {SIZE}")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=400, help="of training, for each pattern")
    parser.add_argument("--clips", type=Path, default=CLIPS, help="folder of clips to measure on")
    parser.add_argument("--count", type=int, help="measure on the first clips only")
    parser.add_argument("--markdown", type=Path, help="file whose marked section is replaced")
    args = parser.parse_args()
    clips = sorted(args.clips.glob("*.mp4"))[: args.count] if args.clips.is_dir() else []
    if not clips:
        sys.exit(f"no .mp4 clips in {args.clips}; name a folder with --clips")
    if args.markdown:
        section_of(args.markdown, SECTION)  # hours later is too late to find that it is missing
    only_these(args.output, {"dataset": str(args.dataset.resolve()), "steps": args.steps})
    # all training before any measuring: that starts OpenCV's threads, after which forked loaders may hang
    weights = {name: trained(name, args.dataset, args.output / name, args.steps) for name in GUIDANCE}
    report = measured(weights, args.clips, args.count, args.output / "report")
    table = "\n".join(markdown_table(report))
    text = f"{caption(Dataset(args.dataset), args.steps, len(clips))}\n\n{table}"
    print(text)
    if args.markdown:
        replace_section(args.markdown, SECTION, text)


if __name__ == "__main__":
    main()
