"""Generator, controller and identity codes learnt together, without an inner loop: a start for Algorithm 1.

The paper compares its scheme with joint training (Sec. 4.3, Table 4). Algorithm 1 draws a batch N times for one update
of the generator, which a large generator that knows faces already can afford. A small one that is made of a few
people's clips on CPU cores learns expressions here first, at one drawing an update, and then how to be inverted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from countenance.arrays import Image
from countenance.data.dataset import Dataset
from countenance.data.pairs import Augmentation
from countenance.generators.eg3d.critic import DualAdversary
from countenance.generators.eg3d.recipe import debug as debug_generator
from countenance.generators.eg3d.recipe import lite as lite_generator
from countenance.generators.eg3d.rendering import Randomness
from countenance.generators.eg3d.tracked_cameras import arkit_cameras
from countenance.losses.adversarial import generator_loss
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT
from countenance.renderers.otavatar.controller import MotionController
from countenance.renderers.otavatar.decoupling import density_look
from countenance.renderers.otavatar.inversion import Matching
from countenance.renderers.otavatar.network import Animator, Drawn, Look
from countenance.renderers.otavatar.objective import AnimationLoss, load_objective
from countenance.renderers.otavatar.recipe import OTAvatarRecipe
from countenance.renderers.otavatar.recipe import debug as debug_algorithm
from countenance.renderers.otavatar.recipe import lite as lite_algorithm
from countenance.renderers.otavatar.samples import Shot, ShotSampler, as_batch, moments_of
from countenance.training.recipe import Batch, DatasetNeeds, LoopConfig, Losses

_CODES_SHARE = 10.0  # of the learning rate, for codes that begin at the mean
_MOTION_DEVIATION = 0.3  # of a motion code's numbers, at the start
_LEAST_SPREAD = 0.01  # of that along the first direction
_LEAST_APART = 0.1  # of how far the start's people are from their mean
_EVERY = 40  # frames, of which one is enough to know how motions differ
_SHOWN = 4  # frames on a sheet
_SHOWN_YAW_RAD = 0.4


class JointAnimator(nn.Module):
    """An animator, and an identity code in W for everybody in a dataset.

    Args:
        animator: whose generator may have learnt something.
        looks: how many codes.
        alike: they start at the mean code, as in an inversion. False: as codes of random people, so that a network
            that has learnt nothing can tell them apart.
    """

    def __init__(self, animator: Animator, looks: int, *, alike: bool = False) -> None:
        super().__init__()
        self.animator = animator
        sizes = animator.config.generator
        with torch.no_grad():
            people = animator.generator.mapping(
                torch.randn(looks, sizes.z_dim), torch.zeros(looks, sizes.c_dim)
            )
        codes = animator.mean_code.expand(looks, -1) if alike else people[:, 0]
        self.codes = nn.Parameter(codes.clone())

    def forward(
        self,
        looks: Tensor,
        windows: Tensor,
        cameras: Tensor,
        randomness: Randomness,
        *,
        density: Look | None = None,
        beside: Tensor | None = None,
    ) -> Drawn:
        """Pictures of people by their numbers (B,), moved by windows (B, D, 27), from cameras (B, 25).

        ``density`` and ``beside`` are the animator's ``look`` and ``beside``.
        """
        ws = self.animator.ws(self.codes[looks][:, None], windows)
        drawn: Drawn = self.animator(ws, cameras, randomness, look=density, beside=beside)
        return drawn


@dataclass(frozen=True)
class JointRecipe:
    """A complete training configuration.

    Attributes:
        algorithm: sizes, losses and the start, as Algorithm 1 has them; the result is for that recipe, or to be used.
        loop: steps, batch and optimiser of all that is learnt. Of its augmentation only ``flip`` is used: mirrored
            people are other people.
        backbone: of the perceptual losses.
        adversary: EG3D's critic, which tells redrawn frames from real ones; not the paper's, whose generator it has
            taught before; None for none.
        adversarial_weight: of what it says.
        controller_share: of the learning rate, at which the controller learns.
        generator_share: the same of the generator; 0 holds it still.
        lively: the controller begins as :func:`enliven` makes it; False: as the authors' does, near 0.
        codes_first: steps in which codes and critic learn alone, if the start has learnt from people before.
    """

    algorithm: OTAvatarRecipe
    loop: LoopConfig
    backbone: str = "efficientnet-lite0"
    adversary: DualAdversary | None = None
    adversarial_weight: float = 1.0
    controller_share: float = 0.03
    generator_share: float = 1.0
    lively: bool = True
    codes_first: int = 0
    item_size: int = field(default=1, init=False)

    @property
    def name(self) -> str:
        """See :class:`OTAvatarRecipe`."""
        return f"joint-{self.algorithm.name}"

    def starting_from(self, path: Path) -> JointRecipe:
        """See :meth:`OTAvatarRecipe.starting_from`."""
        return replace(self, algorithm=self.algorithm.starting_from(path))

    @property
    def needs(self) -> DatasetNeeds:
        """Those of the algorithm that it is a start for."""
        return self.algorithm.needs

    def build(self, dataset: Dataset) -> JointAnimator:
        """The untrained network; see :class:`countenance.training.recipe.Recipe`."""
        animator = self.algorithm.build(dataset)
        if self.lively and not self._goes_on:
            windows = [dataset.motion(clip).descriptor()[::_EVERY] for clip in dataset.clips]
            enliven(animator.controller, torch.from_numpy(np.concatenate(windows).astype(np.float32)))
        return JointAnimator(animator, self._shots(dataset).looks, alike=self._knows_people)

    def constrain(self, network: nn.Module) -> None:
        """The generator's weights are about 1 and scaled when they are used, the controller's are small themselves."""
        animator: Any = network.animator
        for part, share in {
            animator.controller: self.controller_share,
            animator.generator: self.generator_share,
        }.items():
            for parameter in part.parameters():
                parameter.rate_share = share
        if self._knows_people:
            network.codes.rate_share = _CODES_SHARE  # type: ignore[union-attr]

    @cached_property
    def _goes_on(self) -> bool:
        """The start is an animator, controller and all."""
        return self.algorithm.starts_with_controller

    @property
    def _knows_people(self) -> bool:
        """Codes mean something to the start."""
        return self.algorithm.start is not None

    @cached_property
    def objective(self) -> AnimationLoss:
        """L; on first use, as it reads weights."""
        with torch.random.fork_rng():  # layers are drawn before they are filled, in a resumed run again
            return load_objective(self.algorithm.training.losses, self.algorithm.network, self.backbone)

    def losses(self, network: nn.Module, batch: Batch, step: int, critic: nn.Module | None = None) -> Losses:
        """L of the frames, the density's terms, and what the critic says."""
        joint: Any = getattr(network, "module", network)
        held = self._goes_on and step < self.codes_first
        joint.animator.controller.requires_grad_(not held)
        joint.animator.generator.requires_grad_(not held and self.generator_share > 0)
        matching = self._matching(joint.animator, batch)
        drawn = network(
            batch["look"],
            matching.moments.windows,
            matching.moments.cameras,
            matching.randomness(),
            density=density_look(matching, self.algorithm.training.losses),
            beside=matching.beside(),
        )
        terms = matching.terms(drawn, matching.moments.cameras)
        if critic is None or self.adversary is None:
            return Losses({**terms, "total": torch.stack(list(terms.values())).sum()})
        camera = matching.moments.cameras
        fake = {"image": drawn.large, "raw": drawn.small, "camera": camera}
        large, small = (matching.target(large=size).pictures for size in (True, False))
        real = {"image": large, "raw": small, "camera": camera}
        (judged,) = critic([fake], self.adversary.blur(step))
        terms["adversarial"] = self.adversarial_weight * generator_loss([judged], "non-saturating")
        return Losses({**terms, "total": torch.stack(list(terms.values())).sum()}, real, fake)

    def sampler(self, dataset: Dataset) -> ShotSampler:
        """Shots of the dataset, with their landmarks."""
        dataset.load_all()
        return self._shots(dataset)

    def _shots(self, dataset: Dataset) -> ShotSampler:
        settings, flip = self.algorithm.training, self.loop.augmentation.flip
        return ShotSampler(
            dataset, self.loop.seed, settings.expression_floor, turned=settings.turned, flip=flip
        )

    def batch(self, items: list[Shot]) -> Batch:
        """The first frame of each shot: as many people as pictures."""
        return {name: tensor[: len(items)] for name, tensor in as_batch(items).items()}

    def sheet(self, network: nn.Module, batch: Batch) -> Image:
        """Rows of a frame, that redrawn, with the next row's expression, and from either side."""
        joint: Any = getattr(network, "module", network)
        some = {name: tensor[:_SHOWN] for name, tensor in batch.items()}
        matching = self._matching(joint.animator, some)
        looks, windows, cameras = some["look"], matching.moments.windows, matching.moments.cameras
        yaws = np.array([-_SHOWN_YAW_RAD, _SHOWN_YAW_RAD])
        views = arkit_cameras(Motion.neutral(ARKIT, len(yaws), 25.0).set(yaw=yaws).values)
        sides = [torch.from_numpy(view).to(cameras).expand(len(cameras), -1) for view in views]
        shown = [(windows, cameras), (windows.roll(-1, 0), cameras), *((windows, side) for side in sides)]
        with torch.no_grad():
            drawn = [network(looks, *each, Randomness()).large for each in shown]
        real = matching.target(large=True).pictures
        columns = [real, *drawn]
        rows = torch.cat([torch.cat(list(column.float()), 1) for column in columns], 2)
        return np.asarray(((rows.clamp(-1, 1) + 1) * 127.5).byte().permute(1, 2, 0).cpu().numpy(), np.uint8)

    def export(self, network: nn.Module, path: Path, notes: Mapping[str, Any]) -> None:
        """The animator's weights, as :meth:`OTAvatarRecipe.export` writes them; codes stay in the run.

        Their mean becomes the mean code, where inversions start, and how they differ its spread; unless they hardly
        differ, in a run that was stopped soon after all began at the mean: then the start's own stay.
        """
        animator: Any = network.animator
        codes: Tensor = network.codes.detach()  # type: ignore[operator]
        if bool((codes - codes.mean(0)).norm(dim=1).mean() > _LEAST_APART * animator.spread.norm()):
            animator.mean_code.copy_(codes.mean(0))
            animator.spread.copy_(spread_of(codes))
        self.algorithm.export(animator, path, notes)

    def _matching(self, animator: Animator, batch: Batch) -> Matching:
        moments = moments_of(batch)
        objective = self.objective.to(moments.cameras.device)
        return Matching(animator, objective, moments, self.algorithm.training.inversion)


def spread_of(codes: Tensor) -> Tensor:
    """Principal directions (W, W) of codes (N, W), as rows as long as their deviations, none quite without length."""
    offsets = codes - codes.mean(0)
    _, singular, directions = torch.linalg.svd(offsets, full_matrices=True)
    lengths = torch.zeros_like(directions[0])
    lengths[: len(singular)] = singular / len(codes) ** 0.5
    spread: Tensor = lengths.clamp_min(_LEAST_SPREAD * float(lengths[0]))[:, None] * directions
    return spread.contiguous()


@torch.no_grad()
def enliven(controller: MotionController, windows: Tensor) -> None:
    """Let motion codes differ from the first step on, about half as much as people do.

    The authors' controller begins near 0, with a generator in which directions mean something already. Here the
    generator is to learn what motions mean while the controller, at a small share of the rate, hardly changes.

    Args:
        controller: is drawn anew.
        windows: (N, D, 27) of many frames.
    """
    for layer in controller.modules():
        if isinstance(layer, nn.Conv1d | nn.Linear):
            nn.init.xavier_normal_(layer.weight)
    deviation = controller(windows).motion.std(0).mean()
    controller.last.weight.mul_(_MOTION_DEVIATION / deviation)


def lite() -> JointRecipe:
    """For ``arkit`` motion and CPU cores; from a generator of ``train eg3d --preset lite``, or from nothing."""
    loop = LoopConfig(
        steps=6000,
        batch_size=8,
        learning_rate=3e-3,
        betas=(0.5, 0.99),
        milestones=(5000,),
        ema_decay=0.995,
        log_every=25,
        save_every=200,
        sheet_every=200,
        augmentation=Augmentation(colour=0.0, flip=True, shift=0.0, scale=0.0),
    )
    return JointRecipe(
        replace(lite_algorithm(), from_nothing=True),
        loop,
        adversary=lite_generator().adversary,
        adversarial_weight=0.5,
        codes_first=300,
    )


def debug() -> JointRecipe:
    """Seconds, for tests."""
    algorithm = debug_algorithm()
    critic = debug_generator().adversary
    sizes = replace(critic.sizes, img_resolution=algorithm.network.size)
    return JointRecipe(
        algorithm,
        replace(algorithm.loop, ema_decay=0.5),
        adversary=replace(critic, sizes=sizes),
        codes_first=1,
    )


PRESETS = {"lite": lite, "debug": debug}
