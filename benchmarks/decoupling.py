"""The paper's ablations (OTAvatar, Tables 3 to 5) at our scale: one small, equal budget for each.

countenance prepare CLIPS/train -o DATASET --size 128
countenance train otavatar-joint --data DATASET -o RUN
python benchmarks/decoupling.py schemes DATASET --start RUN/weights.safetensors -o FOLDER [--markdown FILE]
python benchmarks/decoupling.py controllers DATASET --start RUN/weights.safetensors -o OTHER [--markdown FILE]

Schemes and losses (Tables 3 and 4) go on from RUN by Algorithm 1; "joint" learns generator, controller and people's
codes in W together. Controllers (Table 5) begin anew, as lively as in joint training, and learn alone on RUN's
generator. For these and for "joint", codes are found beforehand with RUN's own controller.
Interrupt it whenever you like: the same command goes on, and what is in FOLDER is not made again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from torch import nn

from countenance.animation import animate
from countenance.atomic import replacing_folder
from countenance.data.dataset import Dataset
from countenance.evaluation.corpus import Corpus
from countenance.evaluation.evaluate import Crew, Settings, evaluate
from countenance.evaluation.models import Model, asked_motion, source_picture, source_portrait
from countenance.evaluation.protocols.protocol import FILE as PROTOCOL
from countenance.evaluation.protocols.protocol import Case, Protocol
from countenance.evaluation.protocols.sizes import Sizes
from countenance.evaluation.report.tables import cell
from countenance.evaluation.work import TRACKS
from countenance.generators.eg3d import official as eg3d
from countenance.media.image_writer import write_image
from countenance.renderers.otavatar import joint, recipe
from countenance.renderers.otavatar.config import ours
from countenance.renderers.otavatar.joint import JointAnimator, JointRecipe
from countenance.renderers.otavatar.recipe import OTAvatarRecipe
from countenance.renderers.otavatar.renderer import OTAvatarRenderer, from_file
from countenance.trackers.catalogue import load_tracker
from countenance.training.checkpoint import LAST
from countenance.training.loop import WEIGHTS, train
from countenance.training.recipe import LoopConfig, Recipe
from countenance.weights.torch_files import load_torch_file
from countenance.weights.weight_files import read_weights
from guidance_patterns import only_these
from heads_test import CLIPS, quiet
from page import replace_section, section_of

PARTS = ("schemes", "controllers")
CONTROLLER_RATE, JOINT_RATE = 2e-3, 4e-4
CODES_STEPS = 300
CODES, REPORT = "codes", "report"
BESIDE_RECIPES = (ours(), CODES_STEPS, CONTROLLER_RATE, JOINT_RATE)
"""What a comparison depends on besides the recipes; its folder holds one comparison only."""
METRICS = (
    "identity_cosine_dlib",
    "expression_error_arkit",
    "pose_error_deg",
    "opening_correlation",
    "frechet_lite0",
)
Change = Callable[[OTAvatarRecipe], OTAvatarRecipe]


def _steps(identity: int, controller: int) -> Change:
    return lambda base: replace(
        base,
        training=replace(base.training, identity_steps=identity, controller_steps=controller),
    )


def _losses(**changes: Any) -> Change:
    return lambda base: replace(
        base, training=replace(base.training, losses=replace(base.training.losses, **changes))
    )


def _controller(**changes: Any) -> Change:
    return lambda base: replace(
        base, network=replace(base.network, controller=replace(base.network.controller, **changes))
    )


SCHEMES: dict[str, Change] = {
    "N_id 30, N_mo 5": _steps(30, 5),
    "N_id 18, N_mo 17": _steps(18, 17),
    "N_id 5, N_mo 30": _steps(5, 30),
    "no L_m": _losses(local=0.0),
    "no L_id": _losses(identity=0.0),
    "generator held": lambda base: replace(base, loop=replace(base.loop, learning_rate=0.0)),
}
OF_PICTURES = _losses(relief=0.0, distortion=0.0, beside_rad=0.0, identity=0.0)
"""For codes and controllers on a generator that is held still: heads have their shape already."""
CONTROLLERS: dict[str, Change] = {
    "codebook, W+": _controller(),
    "codebook, W": _controller(motion_in_w=True),
    "linear, W+": _controller(orthogonal=False),
}


def _label(name: str) -> str:
    """A variant's name as that of a folder and of a model."""
    return name.replace(" ", "_").replace(",", "")


def _brief(loop: LoopConfig, steps: int) -> LoopConfig:
    return replace(
        loop, steps=steps, milestones=(), log_every=max(1, steps // 8), save_every=100, sheet_every=steps
    )


@dataclass(frozen=True)
class Known(JointRecipe):
    """Joint training in which people's codes are known.

    Attributes:
        known: folder of the run that has found them.
        codes_share: of the learning rate, at which they learn on.
    """

    known: Path = Path()
    codes_share: float = 0.0

    def build(self, dataset: Dataset) -> JointAnimator:
        """See :class:`JointRecipe`."""
        network = super().build(dataset)
        codes = load_torch_file(self.known / LAST)["network"]["codes"]
        with torch.no_grad():
            network.codes.copy_(codes)
        return network

    def constrain(self, network: nn.Module) -> None:
        """See :class:`JointRecipe`."""
        super().constrain(network)
        network.codes.rate_share = self.codes_share  # type: ignore[union-attr]


def known_codes(start: Path) -> JointRecipe:
    """Codes in W of all people, from the mean code on; nothing else learns."""
    together = joint.lite()
    made = replace(
        together, algorithm=OF_PICTURES(together.algorithm), adversary=None, codes_first=CODES_STEPS
    )
    return replace(made, loop=_brief(made.loop, CODES_STEPS)).starting_from(start)


def schemes(start: Path, known: Path, iterations: int) -> dict[str, Recipe]:
    """By name; "joint" draws as many pictures as Algorithm 1 does in its iterations."""
    algorithm = recipe.lite()
    algorithm = replace(algorithm, loop=_brief(algorithm.loop, iterations))
    made: dict[str, Recipe] = {
        name: change(algorithm).starting_from(start) for name, change in SCHEMES.items()
    }
    drawings = iterations * (algorithm.training.steps + 1)
    loop = replace(_brief(joint.lite().loop, drawings), learning_rate=JOINT_RATE)
    together = Known(joint.lite().algorithm, loop, known=known, codes_share=1.0)
    made["joint"] = together.starting_from(start)
    return made


def controllers(generator: Path, known: Path, steps: int) -> dict[str, Recipe]:
    """By name; nothing but them learns."""
    together = joint.lite()
    loop = replace(
        _brief(together.loop, steps),
        learning_rate=CONTROLLER_RATE,
        betas=(0.9, 0.99),
        milestones=(4 * steps // 5,),
    )
    base = Known(
        OF_PICTURES(together.algorithm),
        loop,
        generator_share=0.0,
        controller_share=1.0,
        known=known,
    )
    return {
        name: replace(base, algorithm=change(base.algorithm)).starting_from(generator)
        for name, change in CONTROLLERS.items()
    }


def trained(name: str, made: Recipe, dataset: Path, folder: Path) -> Path:
    """Its weights; trains what is left to train."""
    weights = folder / WEIGHTS
    if weights.is_file() and read_weights(weights).notes["steps"] == made.loop.steps:
        return weights

    def report(step: int, figures: dict[str, float]) -> None:
        print(name, step, {key: round(value, 3) for key, value in figures.items()}, file=sys.stderr)

    if not train(made, dataset, folder, report=report).finished:
        sys.exit("interrupted; the same command goes on")
    return weights


@dataclass(frozen=True)
class Drawing:
    """A case as weights draw it, their inversion found without pivotal tuning: Sec. 3.3 has none, and it would hide
    what the variants have learnt.

    Attributes:
        weights: of a variant.
        case: of the protocol.
        report: folder of the evaluation, which has made the protocol.
        clips: folder of its clips.
        result: folder of frames, made by :meth:`draw`.
    """

    weights: Path
    case: Case
    report: Path
    clips: Path
    result: Path

    def draw(self) -> None:
        """Frames as files, unless they are there."""
        if self.result.is_dir():
            return
        torch.set_num_threads(1)
        case, corpus = self.case, Corpus(self.clips, self.report / TRACKS, lambda space: load_tracker())
        renderer: OTAvatarRenderer = from_file(self.weights)
        renderer.inversion = replace(ours(), tune_steps=0)
        scale = renderer.spec.crop_scale
        portrait = source_portrait(case, corpus, source_picture(case, corpus), scale=scale)
        motion = asked_motion(case, corpus, self.report, portrait, scale=scale)
        frames = animate(portrait, motion, renderer, avatar=renderer.enroll(portrait))
        with replacing_folder(self.result) as folder:
            for number, frame in enumerate(frames):
                write_image(folder / f"{number:05d}.png", frame.image)


def drawn(weights: dict[str, Path], settings: Settings, folder: Path, workers: int | None) -> list[Model]:
    """Every variant's folder of results."""
    report = folder / REPORT
    evaluate([], settings, report, Crew(workers=workers), quiet)
    cases = Protocol.load(report / PROTOCOL).cases
    results = {name: folder / "drawn" / _label(name) for name in weights}
    jobs = [
        Drawing(path, case, report, settings.data, results[name] / case.name)
        for name, path in weights.items()
        for case in cases
    ]
    for result in results.values():
        result.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        for done, _ in enumerate(pool.map(Drawing.draw, jobs), 1):
            print(f"drawing: {done} of {len(jobs)}", file=sys.stderr)
    return [Model(_label(name), str(result)) for name, result in results.items()]


def table(report: dict[str, Any], names: Iterable[str]) -> list[str]:
    """One row a variant, in the order of names."""
    shown = [name for name in METRICS if name in report["metrics"]]
    titles = [report["metrics"][name] for name in shown]
    arrows = ["↑" if told["best"] == "high" else "↓" for told in titles]
    heads = [f"{told['title']} {arrow}" for told, arrow in zip(titles, arrows, strict=True)]
    lines = ["| | " + " | ".join(heads) + " |", "| --- " * (len(heads) + 1) + "|"]
    for variant in names:
        summary = report["models"][_label(variant)]["summary"]
        lines.append(f"| {variant} | " + " | ".join(cell(summary[name]) for name in shown) + " |")
    return lines


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("dataset", type=Path, help="prepared with --size 128")
    parser.add_argument("--start", type=Path, required=True, help="weights of train otavatar-joint")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--iterations", type=int, default=15, help="of Algorithm 1, for each scheme")
    parser.add_argument("--steps", type=int, default=800, help="for each controller")
    parser.add_argument("--clips", type=Path, default=CLIPS, help="folder of clips to measure on")
    parser.add_argument("--count", type=int, default=12, help="cases to measure on")
    parser.add_argument("--frames", type=int, default=40, help="most frames of a case")
    parser.add_argument("--workers", type=int, help="processes that measure")
    parser.add_argument("--markdown", type=Path, help="file whose marked section is replaced")
    args = parser.parse_args()
    if not sorted(args.clips.glob("*.mp4")):
        sys.exit(f"no .mp4 clips in {args.clips}; name a folder with --clips")
    section, of_schemes = f"decoupling {args.part}", args.part == "schemes"
    if args.markdown:
        section_of(args.markdown, section)  # an hour later is too late to find that it is missing
    settings = {
        "dataset": str(args.dataset.resolve()),
        "start": sha256(args.start.read_bytes()).hexdigest(),
        "part": args.part,
        "budget": args.iterations if of_schemes else args.steps,
        "recipes": sha256(repr((recipe.lite(), joint.lite(), *BESIDE_RECIPES)).encode()).hexdigest(),
    }
    only_these(args.output, settings)
    start, generator = args.output / "start.safetensors", args.output / "generator.safetensors"
    if not start.is_file():
        start.write_bytes(args.start.read_bytes())
        eg3d.save(from_file(start).network.generator, generator, {})
    weights = {"start": start}
    known = args.output / CODES
    trained(CODES, known_codes(start), args.dataset, known)
    if of_schemes:
        variants = schemes(start, known, args.iterations)
    else:
        variants = controllers(generator, known, args.steps)
    for name, made in variants.items():
        weights[name] = trained(name, made, args.dataset, args.output / _label(name))
    cases = Settings("cross-identity", args.clips, Sizes(args.frames, 5), limit=args.count, videos=False)
    models = drawn(weights, cases, args.output, args.workers)
    report = evaluate(models, cases, args.output / REPORT, Crew(workers=args.workers), quiet)
    people = len({clip.identity for clip in Dataset(args.dataset).clips})
    budget = (
        f"{args.iterations} iterations of Algorithm 1 from `start`; `joint`: as many drawings."
        if of_schemes
        else f"{args.steps} steps of a new controller; `start`'s generator and people's codes are held still."
    )
    asked = f"`cross-identity`, {len(report['protocol']['cases'])} cases of {args.frames} frames."
    text = "\n".join([f"{budget} {people} people, one seed. {asked}", "", *table(report, weights)])
    print(text)
    if args.markdown:
        replace_section(args.markdown, section, text)


if __name__ == "__main__":
    main()
