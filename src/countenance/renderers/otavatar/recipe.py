"""Training OTAvatar (Sec. 3.2, Algorithm 1): one update of the loop is one iteration of the algorithm.

The loop's optimiser is that of line 16, and learns the generator alone. The controller in the network is Theta_c: it
learns in the inner loop only, through its moving average (line 17).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from countenance.arrays import Image
from countenance.data.dataset import Dataset
from countenance.errors import BadValue, WeightsDamaged
from countenance.generators.eg3d.config import EG3DConfig
from countenance.generators.eg3d.official import MODEL as GENERATOR
from countenance.generators.eg3d.recipe import lite as lite_generator
from countenance.renderers.otavatar import config as sizes
from countenance.renderers.otavatar.config import (
    AnimatorConfig,
    ControllerConfig,
    InversionConfig,
    LossConfig,
    OptimiserConfig,
    RenderingConfig,
    TrainingConfig,
    controller_for,
)
from countenance.renderers.otavatar.decoupling import average_over_processes, decouple, density_look, follow
from countenance.renderers.otavatar.inversion import Matching
from countenance.renderers.otavatar.network import MODEL, Animator
from countenance.renderers.otavatar.objective import AnimationLoss, load_objective
from countenance.renderers.otavatar.samples import Shot, ShotSampler, as_batch, moments_of
from countenance.training.recipe import DEBUG_LOOP, Batch, DatasetNeeds, LoopConfig, Losses
from countenance.weights.weight_files import config_from, fill, read_weights, save_weights

_SHOWN = 4  # people on a sheet


@dataclass(frozen=True)
class OTAvatarRecipe:
    """A complete training configuration.

    Attributes:
        network: sizes.
        training: steps, optimisers and losses of the inner loop.
        loop: iterations, batch, and the optimiser of the generator. A shot of two frames makes two of the batch.
        backbone: of the perceptual losses: "vgg19" (paper) or "efficientnet-lite0".
        start: weights to begin with, see :meth:`starting_from`.
        from_nothing: a generator that has learnt nothing will do, for joint training and tests.
    """

    network: AnimatorConfig
    training: TrainingConfig
    loop: LoopConfig
    backbone: str = "vgg19"
    start: Path | None = None
    from_nothing: bool = False
    item_size: int = field(default=2, init=False)
    adversary: None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if self.loop.precision != "32-true":
            raise BadValue("otavatar trains with precision 32-true only: its inner loop is not scaled")
        if self.training.tune_controller:
            raise BadValue(
                "the last update learns the generator alone (Algorithm 1); set tune_controller to False"
            )

    @property
    def name(self) -> str:
        """Model, and a digest of what must not change in a resumed run."""
        digest = sha256(repr(asdict(self.network)).encode()).hexdigest()[:8]
        return f"{MODEL}-{digest}"

    def starting_from(self, path: Path) -> OTAvatarRecipe:
        """A recipe that begins with the weights in a file, and has their sizes.

        Args:
            path: a .safetensors file of a generator (EG3D), which gets a new controller; or of an OTAvatar.

        Raises:
            WeightsMissing: no such file.
            WeightsDamaged: damaged, or of another model.
        """
        file = read_weights(path)
        if file.model == MODEL:
            return replace(self, network=config_from(file, AnimatorConfig, path), start=path)
        if file.model != GENERATOR:
            raise WeightsDamaged(path, f"it holds weights of '{file.model}'", "give a generator's (EG3D's)")
        generator = config_from(file, EG3DConfig, path)
        controller = controller_for(generator, self.network.controller)
        return replace(
            self, network=replace(self.network, generator=generator, controller=controller), start=path
        )

    @property
    def starts_with_controller(self) -> bool:
        """The controller has learnt something before."""
        return self.start is not None and read_weights(self.start).model == MODEL

    @property
    def needs(self) -> DatasetNeeds:
        """Frames with landmarks."""
        return DatasetNeeds(self.network.motion_space, landmarks=True)

    def build(self, dataset: Dataset) -> Animator:
        """The untrained animator on a trained generator; see :class:`countenance.training.recipe.Recipe`.

        Raises:
            BadValue: there is no generator to start with.
        """
        self.needs.check(dataset)
        self.network.expect_fit()
        if self.start is None and not self.from_nothing:
            raise BadValue("otavatar needs a trained generator; give one: --init generator.safetensors")
        animator = Animator(self.network)
        if self.start is not None:
            file = read_weights(self.start)
            fill(animator if file.model == MODEL else animator.generator, file.tensors, self.start)
        return animator

    def constrain(self, network: nn.Module) -> None:
        """The loop's optimiser leaves the controller alone."""
        controller: nn.Module = network.controller  # type: ignore[assignment]
        controller.requires_grad_(False)

    @cached_property
    def objective(self) -> AnimationLoss:
        """L; on first use, as it reads weights."""
        with torch.random.fork_rng():  # layers are drawn before they are filled, in a resumed run again
            return load_objective(self.training.losses, self.network, self.backbone)

    def losses(self, network: nn.Module, batch: Batch, step: int, critic: nn.Module | None = None) -> Losses:
        """The inner loop, then L_s + L_d with the controller that it found (lines 6 to 17)."""
        animator: Any = getattr(network, "module", network)
        matching = self._matching(animator, batch)
        found = decouple(matching, self.training)
        average_over_processes(found.controller)
        with torch.no_grad():
            ws, cameras = matching.codes(found.code, found.controller)
        look = density_look(matching, self.training.losses)
        drawn = network(ws, cameras, matching.randomness(), look=look, beside=matching.beside())
        terms = matching.terms(drawn, cameras)
        total = torch.stack(list(terms.values())).sum()
        follow(animator.controller, found.controller, self.training.ema_decay)
        inner = {"mean_code": found.losses[0], "inverted": found.losses[self.training.identity_steps]}
        return Losses({**terms, **inner, "total": total})

    def sampler(self, dataset: Dataset) -> ShotSampler:
        """Shots of the dataset, with their landmarks."""
        dataset.load_all()
        return ShotSampler(
            dataset, self.loop.seed, self.training.expression_floor, turned=self.training.turned
        )

    def batch(self, items: list[Shot]) -> Batch:
        """Shots as they are."""
        return as_batch(items)

    def sheet(self, network: nn.Module, batch: Batch) -> Image:
        """Rows of source, source redrawn, driving frame, and that redrawn, with one identity code for both."""
        animator: Any = getattr(network, "module", network)
        matching = self._matching(animator, _some(batch, _SHOWN))
        with torch.random.fork_rng():  # looking must not change the run
            found = decouple(matching, self.training)
            with torch.no_grad():
                drawn = animator(*matching.codes(found.code, found.controller), matching.randomness())
        real = matching.target(large=True).pictures
        columns = [
            column for pair in zip(real.chunk(2), drawn.large.chunk(2), strict=True) for column in pair
        ]
        rows = torch.cat([torch.cat(list(column.float()), 1) for column in columns], 2)
        return np.asarray(((rows.clamp(-1, 1) + 1) * 127.5).byte().permute(1, 2, 0).cpu().numpy(), np.uint8)

    def export(self, network: nn.Module, path: Path, notes: Mapping[str, Any]) -> None:
        """Weights for :mod:`countenance.renderers.otavatar.renderer`, fp16, with the clamp of inference."""
        clamp = self.training.rendering.inference_super_resolution_clamp
        driven = replace(self.network, generator=replace(self.network.generator, sr_conv_clamp=clamp))
        save_weights(path, network, MODEL, driven, notes, half=True)

    def _matching(self, animator: Animator, batch: Batch) -> Matching:
        moments = moments_of(batch)
        return Matching(animator, self.objective.to(moments.cameras.device), moments, self.training.inversion)


def _some(batch: Batch, people: int) -> Batch:
    """The first people of a batch, with both of their frames."""
    return {name: torch.cat([half[:people] for half in tensor.chunk(2)]) for name, tensor in batch.items()}


def paper() -> OTAvatarRecipe:
    """As published (Sec. 4.1); L1's weight is ours. Driven by ``bfm``; start from EG3D's FFHQ generator."""
    training = sizes.paper()
    drawing = RenderingConfig()
    generator = EG3DConfig(neural_rendering_resolution=drawing.rays, sr_conv_clamp=drawing.clamp)
    generation = training.generator_optimiser
    loop = LoopConfig(
        steps=training.iterations,
        batch_size=2 * training.batch_size * training.devices,
        learning_rate=generation.learning_rate,
        betas=generation.betas,
        clip=generation.clip,
        ema_decay=0.0,  # the controller averages by itself, and the generator does not (Algorithm 1)
    )
    return OTAvatarRecipe(AnimatorConfig(generator, training.controller), training, loop)


def lite() -> OTAvatarRecipe:
    """For ``arkit`` motion and small generators: fewer steps, half the controller, which does not see the pose."""
    losses = replace(
        sizes.paper().losses,
        style=0.0,
        local=30.0,
        identity=5.0,
        recogniser="dlib",
        pixel=20.0,
        relief=10.0,
        distortion=200.0,
        beside_rad=0.8,
        large_scales=(0, 1),
    )
    training = replace(
        sizes.paper(),
        identity_steps=30,
        controller_steps=5,
        large_steps=3,
        turned=30.0,
        inversion=replace(sizes.paper().inversion, identity=OptimiserConfig(0.1, clip=1.0)),
        controller_optimiser=replace(sizes.paper().controller_optimiser, learning_rate=3e-4),
        losses=replace(losses, density_points=500),
    )
    like = ControllerConfig(coefficients=52, width=128, one_layer=False)
    generation = training.generator_optimiser
    loop = LoopConfig(
        steps=400,
        batch_size=8,
        learning_rate=1e-3,
        betas=generation.betas,
        clip=generation.clip,
        ema_decay=0.0,
        log_every=5,
        save_every=50,
        sheet_every=100,
    )
    generator = lite_generator().network
    network = AnimatorConfig(generator, controller_for(generator, like), "arkit")
    return OTAvatarRecipe(network, training, loop, "efficientnet-lite0")


def debug() -> OTAvatarRecipe:
    """Seconds, for tests."""
    losses = LossConfig(
        style=0.0,
        small_scales=(0,),
        large_scales=(0,),
        density_points=20,
        local_eyes=True,
        controller_l1=1e-5,
        relief=0.01,
        distortion=1.0,
        beside_rad=0.5,
    )
    training = TrainingConfig(
        turned=2.0,
        identity_steps=3,
        controller_steps=2,
        large_steps=1,
        inversion=InversionConfig(identity=replace(InversionConfig().identity, learning_rate=0.1)),
        controller_optimiser=replace(sizes.paper().controller_optimiser, learning_rate=3e-3),
        tune_controller=False,
        ema_decay=0.5,
        losses=losses,
    )
    loop = replace(DEBUG_LOOP, steps=3, learning_rate=3e-3, ema_decay=0.0)
    return OTAvatarRecipe(sizes.debug(), training, loop, "efficientnet-lite0", from_nothing=True)


PRESETS = {"paper": paper, "lite": lite, "debug": debug}
