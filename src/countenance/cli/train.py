"""``countenance train``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from countenance.devices import Device, device_named
from countenance.errors import BadValue
from countenance.ranges import SEED, Range

_RECIPES = {
    "pirenderer": "renderers.pirenderer.recipe",
    "gdpw": "renderers.gdpw.recipe",
    "otavatar": "renderers.otavatar.recipe",
    "otavatar-joint": "renderers.otavatar.joint",
    "eg3d": "generators.eg3d.recipe",
    "talk-transformer": "speech.transformer.recipe",
    "talk-flow": "speech.flow.recipe",
}


@dataclass(frozen=True)
class Train:
    """Train a model on a prepared dataset, or go on with a run: the same command resumes where it stopped.

    The run's folder holds last.pt (the whole state), weights.safetensors (for --model) and TensorBoard files.
    Ctrl-C, or a signal to terminate, saves and stops. What a preset needs of a dataset is said, and looked at, first.

    examples:
      countenance train pirenderer --data dataset -o runs/lite --preset lite --max-minutes 60
      countenance train pirenderer --data dataset -o runs/paper --preset paper --devices 4
      countenance train gdpw --data dataset -o runs/gdpw --max-minutes 60
      countenance train eg3d --data dataset -o runs/eg3d
      countenance train otavatar-joint --data dataset -o runs/joint --init runs/eg3d/weights.safetensors
      countenance train otavatar --data dataset -o runs/otavatar --init runs/joint/weights.safetensors
      countenance train talk-transformer --data dataset -o runs/talk
    """

    model: Annotated[
        Literal["pirenderer", "gdpw", "otavatar", "otavatar-joint", "eg3d", "talk-transformer", "talk-flow"],
        tyro.conf.Positional,
    ]
    """What to train."""
    data: Path
    """Folder of `countenance prepare`."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder of the run."""
    preset: Literal["paper", "lite", "debug"] = "lite"
    """paper: as published. lite: small, for arkit motion. debug: tiny, to see in seconds that all is in place; it
    learns nothing (with a dataset of --size 32, which gdpw's needs; three clips with sound are enough for all)."""
    init: Path | None = None
    """Weights to start a new run from: the .safetensors file of a run of the same network; for otavatar,
    always, and for otavatar-joint, if you like, a generator's (eg3d) or an otavatar's, whose sizes it takes."""
    max_minutes: Annotated[float | None, Range(0, 1_000_000, "minutes")] = None
    """Stop after this time; resume with the same command."""
    steps: Annotated[int | None, Range(1, 10**9)] = None
    """Updates in all, if other than the preset's."""
    batch_size: Annotated[int | None, Range(1, 65_536)] = None
    """Samples an update, if other than the preset's."""
    learning_rate: Annotated[float | None, Range(1e-12, 10)] = None
    """If other than the preset's."""
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] | None = None
    """If other than the preset's."""
    accumulate: Annotated[int | None, Range(1, 65_536)] = None
    """Parts that a batch is computed in, to save memory."""
    backbone: Literal["vgg19", "efficientnet-lite0"] | None = None
    """Of the perceptual losses, if other than the preset's."""
    frames: Annotated[int | None, Range(1, 100_000)] = None
    """Length of the sequences that speech models are trained on, if other than the preset's."""
    seed: Annotated[int | None, SEED] = None
    """Of weights and pairs."""
    devices: Annotated[int, Range(1, 1024)] = 1
    """GPUs, or processes on a CPU."""
    device: Annotated[Device, tyro.conf.arg(aliases=["--accelerator"])] = "auto"
    """Where to train; auto takes the fastest that is here."""
    json: bool = False
    """Print a summary as JSON."""

    def run(self) -> dict[str, Any]:
        """Do it; returns the summary."""
        from countenance.cli.progress import say
        from countenance.training.loop import train

        recipe, init = self._recipe(), self.init
        if init is not None and hasattr(recipe, "starting_from"):
            recipe, init = recipe.starting_from(init), None
        say(f"{self.model} --preset {self.preset}: {recipe.loop.steps} steps; needs {recipe.needs}")
        outcome = train(
            recipe,
            self.data,
            self.output,
            init=init,
            max_minutes=self.max_minutes,
            devices=self.devices,
            accelerator="auto" if self.device == "auto" else device_named(self.device),
            report=lambda step, figures: say(_line(step, figures)),
        )
        state = "finished" if outcome.finished else "stopped; the same command goes on"
        return {
            "weights": str(outcome.weights),
            "step": outcome.step,
            "minutes": round(outcome.minutes, 2),
            "finished": outcome.finished,
            "figures": outcome.figures,
            "text": f"{outcome.weights}: step {outcome.step}, {outcome.minutes:.1f} minutes, {state}",
        }

    def _recipe(self) -> Any:
        from dataclasses import replace
        from importlib import import_module

        presets = import_module(f"countenance.{_RECIPES[self.model]}").PRESETS
        if self.preset not in presets:
            raise BadValue(f"{self.model} has no preset {self.preset}; give --preset {' or '.join(presets)}")
        recipe = presets[self.preset]()
        names = ("steps", "batch_size", "learning_rate", "precision", "accumulate", "seed")
        changed = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        recipe = replace(recipe, loop=replace(recipe.loop, **changed))
        own = {"backbone": self.backbone, "frames": self.frames}
        for name, value in own.items():
            if value is not None and not hasattr(recipe, name):
                raise BadValue(f"{self.model} has no {name}; leave --{name} out")
        return replace(recipe, **{name: value for name, value in own.items() if value is not None})


def _line(step: int, figures: dict[str, float]) -> str:
    return f"step {step}: " + ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
