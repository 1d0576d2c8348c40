"""Training EG3D (Chan et al., Sec. 4) on frames whose cameras the default tracker has measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from countenance.arrays import Image
from countenance.data.dataset import Dataset
from countenance.data.pairs import Augmentation
from countenance.errors import BadValue
from countenance.generators.eg3d import config as sizes
from countenance.generators.eg3d.config import EG3DConfig
from countenance.generators.eg3d.critic import DualAdversary, resized
from countenance.generators.eg3d.frames import Frame, FrameSampler, frame_batch
from countenance.generators.eg3d.generator import EG3D, Picture
from countenance.generators.eg3d.official import MODEL, save
from countenance.generators.eg3d.tracked_cameras import arkit_cameras
from countenance.generators.eg3d.trained import DensityOptions, TrainedEG3D
from countenance.generators.stylegan2.augmentation import AugmentationConfig
from countenance.generators.stylegan2.config import DiscriminatorConfig
from countenance.losses.adversarial import generator_loss
from countenance.losses.backbones import load_backbone
from countenance.losses.perceptual import PerceptualLoss
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT
from countenance.training.recipe import DEBUG_LOOP, Batch, DatasetNeeds, LoopConfig, Losses

_SHEET_ROWS = 4
_SHEET_YAWS_RAD = (-0.4, 0.0, 0.4)
_UNCHANGED = Augmentation(colour=0.0, flip=False, shift=0.0, scale=0.0)


@dataclass(frozen=True)
class EG3DRecipe:
    """A complete training configuration.

    Attributes:
        network: sizes.
        loop: steps, batch, optimiser ... Of its augmentation only ``flip`` is used; the critic has its own.
        adversary: the dual discriminator and how it is trained.
        density: how the density is regularised.
        swap: probability that w is told another camera than the one that renders (Sec. 4.4), so that faces do not
            depend on it.
        swap_steps: over which it falls from 1 to that.
        pixel_weight: of the mean absolute difference of known people's pictures, enlarged and rendered, to their
            frames. Not in the paper: for data too small for an adversary alone. One w is learnt for each person, and
            whatever changes in a face is averaged.
        perceptual_weight: of the perceptual loss of the same enlarged pictures.
        backbone: of that loss: "vgg19" or "efficientnet-lite0".
    """

    network: EG3DConfig
    loop: LoopConfig
    adversary: DualAdversary
    density: DensityOptions = field(default_factory=DensityOptions)
    swap: float = 0.5
    swap_steps: int = 1
    pixel_weight: float = 0.0
    perceptual_weight: float = 0.0
    backbone: str = "efficientnet-lite0"
    item_size: int = field(default=1, init=False)

    def __post_init__(self) -> None:
        if self.knows_people and self.loop.augmentation.flip:
            raise BadValue(
                "mirrored frames show other people than their w does; set flip or the weights of the "
                "reconstruction to off"
            )

    @property
    def knows_people(self) -> bool:
        """A w is learnt for each person."""
        return bool(self.pixel_weight or self.perceptual_weight)

    @property
    def name(self) -> str:
        """Model, and a digest of what must not change in a resumed run."""
        augmented = self.adversary.augmentation is not None
        fixed = (asdict(self.network), asdict(self.adversary.sizes), augmented, self.knows_people)
        return f"{MODEL}-{sha256(repr(fixed).encode()).hexdigest()[:8]}"

    def sampler(self, dataset: Dataset) -> FrameSampler:
        """Single frames with their cameras."""
        dataset.load_all()
        return self._frames(dataset)

    def _frames(self, dataset: Dataset) -> FrameSampler:
        side = self.adversary.sizes.img_resolution
        return FrameSampler(dataset, side, self.loop.seed, flip=self.loop.augmentation.flip)

    def batch(self, items: list[Frame]) -> Batch:
        """See :func:`countenance.generators.eg3d.frames.frame_batch`."""
        return frame_batch(items)

    @property
    def needs(self) -> DatasetNeeds:
        """Frames as wide as the critic looks at, or wider."""
        return DatasetNeeds(ARKIT.name, least_side=self.adversary.sizes.img_resolution)

    def build(self, dataset: Dataset) -> TrainedEG3D:
        """The untrained network; see :class:`countenance.training.recipe.Recipe`."""
        people = self._frames(dataset).people
        self.needs.check(dataset)
        return TrainedEG3D(self.network, people, self.density)

    def constrain(self, network: nn.Module) -> None:
        """Give each person a w."""
        if self.knows_people and isinstance(network, TrainedEG3D):
            network.learn_people()

    @cached_property
    def perceptual(self) -> PerceptualLoss:
        """On first use, as it reads weights; random numbers go on as if it had not been made."""
        with torch.random.fork_rng(devices=[]):
            return PerceptualLoss(load_backbone(self.backbone), (0,))

    def losses(self, network: nn.Module, batch: Batch, step: int, critic: nn.Module | None) -> Losses:
        """What the critic says of random people, the density's terms, and how far known people are from frames."""
        picture = batch["picture"].float() / 127.5 - 1
        raw = resized(picture, self.network.neural_rendering_resolution)
        camera = batch["drawn_camera"]
        z = torch.randn(len(picture), self.network.z_dim, device=picture.device)
        made = network(
            z,
            self._conditioning(camera, step),
            camera,
            (batch["person"], batch["camera"]) if self.knows_people else None,
            regularised=step % self.density.every == 0,
        )
        terms: dict[str, Tensor] = dict(made.density)
        if made.known is not None:
            terms |= self._reconstruction(made.known, picture, raw)
        fake = {"image": made.drawn.image, "raw": made.drawn.rendered.colours, "camera": camera}
        figures = {}
        if critic is not None:
            (judged,) = critic([fake], self.adversary.blur(step))
            terms["adversarial"] = generator_loss([judged], "non-saturating")
            if critic.augmentation is not None:
                figures["augmented"] = critic.augmentation.p  # type: ignore[union-attr]
        total = torch.stack(list(terms.values())).sum()
        real = {"image": picture, "raw": raw, "camera": batch["camera"]}
        return Losses({**terms, **figures, "total": total}, real, fake)  # type: ignore[dict-item]

    def _conditioning(self, camera: Tensor, step: int) -> Tensor:
        """The cameras (B, 25) that w is told."""
        faded = min(step / self.swap_steps, 1)
        swapped = torch.rand(len(camera), 1, device=camera.device) < 1 - faded * (1 - self.swap)
        return torch.where(swapped, camera.roll(1, 0), camera)

    def _reconstruction(self, known: Picture, picture: Tensor, raw: Tensor) -> dict[str, Tensor]:
        terms = {}
        if self.pixel_weight:
            off = (known.image - picture).abs().mean() + (known.rendered.colours - raw).abs().mean()
            terms["pixel"] = self.pixel_weight * off
        if self.perceptual_weight:
            loss = self.perceptual.to(picture.device)
            terms["perceptual"] = self.perceptual_weight * loss(known.image, picture)
        return terms

    def sheet(self, network: nn.Module, batch: Batch) -> Image:
        """Rows of a frame, its person as learnt, and a random person: as rendered, and from three sides enlarged."""
        frame, device = batch["picture"][:_SHEET_ROWS].float() / 127.5 - 1, batch["picture"].device
        count = len(frame)
        z = torch.randn(count, self.network.z_dim, generator=torch.Generator().manual_seed(0)).to(device)
        yaws = np.array(_SHEET_YAWS_RAD)
        views = arkit_cameras(Motion.neutral(ARKIT, len(yaws), 25.0).set(yaw=yaws).values)
        sides = [torch.from_numpy(view).to(device).expand(count, -1) for view in views]
        known = (batch["person"][:count], batch["camera"][:count]) if self.knows_people else None
        with torch.no_grad():
            made = [network(z, sides[1], side, known) for side in sides]
        columns = [frame, *([made[0].known.image] if known is not None else [])]
        columns += [resized(made[1].drawn.rendered.colours, frame.shape[-1])]
        columns += [each.drawn.image for each in made]
        rows = torch.cat([torch.cat(list(column.float()), 1) for column in columns], 2)
        pixels = ((rows.clamp(-1, 1) + 1) * 127.5).round().byte()
        return np.asarray(pixels.permute(1, 2, 0).cpu().numpy(), np.uint8)

    def export(self, network: nn.Module, path: Path, notes: Mapping[str, Any]) -> None:
        """Weights for :func:`countenance.generators.eg3d.official.load`; people's w stay in the run."""
        plain = EG3D(self.network)
        plain.load_state_dict({name: t for name, t in network.state_dict().items() if name != "codes"})
        save(plain, path, notes)


def paper() -> EG3DRecipe:
    """As published for FFHQ at 512 px, first stage: 25 million pictures, rendered at 64 px.

    The second stage (2.5 million at 128 px) starts from its weights, with ``neural_rendering_resolution`` 128. The
    authors label FFHQ with Deep3DFaceReconstruction and update for regularisation in steps of their own.
    """
    loop = LoopConfig(
        steps=781_250,
        batch_size=32,
        learning_rate=2.5e-3,
        critic_rate=0.8,
        betas=(0.0, 0.99),
        ema_decay=0.998,
        augmentation=replace(_UNCHANGED, flip=True),
    )
    return EG3DRecipe(
        network=EG3DConfig(neural_rendering_resolution=64),
        loop=loop,
        adversary=DualAdversary(_critic(512, 32768, 512), None, r1_weight=1.0, blur_px=10, blur_steps=6_250),
        swap_steps=31_250,
    )


def lite() -> EG3DRecipe:
    """Pictures of 128 px for a few people's clips, on CPU cores: adaptive augmentation and reconstruction."""
    loop = LoopConfig(
        steps=20_000,
        batch_size=8,
        learning_rate=3e-3,
        betas=(0.5, 0.99),
        ema_decay=0.995,
        augmentation=_UNCHANGED,
    )
    network = EG3DConfig(
        z_dim=128,
        w_dim=128,
        plane_resolution=64,
        feature_channels=16,
        channel_base=4096,
        channel_max=128,
        depth_resolution=12,
        depth_resolution_importance=12,
        neural_rendering_resolution=32,
        superresolution="4X",
        sr_input_resolution=64,
        sr_inner_channels=32,
        sr_outer_channels=16,
    )
    adversary = DualAdversary(
        _critic(128, 2048, 64), AugmentationConfig(pictures=50_000), r1_weight=0.1, r1_every=16
    )
    return EG3DRecipe(
        network=network,
        loop=loop,
        adversary=adversary,
        density=DensityOptions(monotonic_weight=0.25),
        swap_steps=1_000,
        pixel_weight=5.0,
        perceptual_weight=2.0,
    )


def debug() -> EG3DRecipe:
    """Seconds, for tests: pictures of 32 px."""
    loop = replace(DEBUG_LOOP, learning_rate=2e-3, betas=(0.0, 0.99), augmentation=_UNCHANGED)
    critic = replace(_critic(32, 256, 8), mapping_layers=2)
    return EG3DRecipe(
        network=sizes.debug(),
        loop=loop,
        adversary=DualAdversary(
            critic, AugmentationConfig(pictures=40, every=1), r1_every=2, blur_px=1, blur_steps=2
        ),
        density=DensityOptions(monotonic_weight=0.25, every=2),
        swap_steps=2,
        pixel_weight=1.0,
        perceptual_weight=0.5,
    )


def _critic(side: int, channel_base: int, channel_max: int) -> DiscriminatorConfig:
    return DiscriminatorConfig(
        c_dim=25, img_resolution=side, img_channels=6, channel_base=channel_base, channel_max=channel_max
    )


PRESETS = {"paper": paper, "lite": lite, "debug": debug}
