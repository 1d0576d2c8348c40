"""Training GDPW (Sec. 3.4, 4.1) on the default tracker's mesh."""

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
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import is_parametrized

from countenance.arrays import Image
from countenance.data.dataset import Dataset
from countenance.data.pairs import Augmentation, Pair, PairSampler
from countenance.losses.adversarial import Kind, critic_loss, feature_matching_loss, generator_loss
from countenance.losses.backbones import load_backbone
from countenance.losses.parts import part_distance
from countenance.losses.perceptual import PerceptualLoss
from countenance.motion.spaces import ARKIT
from countenance.renderers.gdpw import config as sizes
from countenance.renderers.gdpw.batches import drawn_codes, head_batch
from countenance.renderers.gdpw.config import GDPWConfig
from countenance.renderers.gdpw.discriminator import Discriminator, DiscriminatorConfig
from countenance.renderers.gdpw.network import GDPW, Guidance, NormalizedConv, Rendered, blurred_and_reduced
from countenance.training.recipe import DEBUG_LOOP, Batch, DatasetNeeds, LoopConfig, Losses
from countenance.weights.weight_files import save_weights

MODEL = "gdpw"


@dataclass(frozen=True)
class PatchAdversary:
    """The discriminator and its loss; see :class:`countenance.training.recipe.Adversary`.

    Attributes:
        sizes: of the network.
        kind: "hinge" (paper) or "least-squares" (the published settings).
        spectral_norm: as in the generator.
    """

    sizes: DiscriminatorConfig
    kind: Kind = "hinge"
    spectral_norm: bool = True

    def build(self) -> nn.Module:
        """The untrained discriminator."""
        critic = Discriminator(self.sizes)
        if self.spectral_norm:
            spectrally_normalised(critic)
        return critic

    def loss(self, critic: nn.Module, real: Tensor, fake: Tensor, step: int) -> Tensor:
        """Both halves in one pass, which distributed training needs."""
        seen, made = split(critic(torch.cat([real, fake])).logits)
        return critic_loss(seen, made, self.kind)


def split(both: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Real and made halves of a batch, of every tensor."""
    halves = [tensor.chunk(2) for tensor in both]
    return [real for real, _ in halves], [fake for _, fake in halves]


def spectrally_normalised(network: nn.Module) -> None:
    """Normalise every convolution that is meant to be, in place."""
    for module in list(network.modules()):
        if isinstance(module, NormalizedConv):
            spectral_norm(module)


def folded_state(network: nn.Module) -> dict[str, Tensor]:
    """The state dict that the network would have without spectral norm: weights as they are used."""
    state: dict[str, Tensor] = dict(network.state_dict())
    for name, module in network.named_modules():
        if is_parametrized(module, "weight"):
            state = {k: v for k, v in state.items() if not k.startswith(f"{name}.parametrizations.")}
            state[f"{name}.weight"] = module.weight.detach()
    return state


@dataclass(frozen=True)
class GDPWRecipe:
    """A complete training configuration.

    Attributes:
        network: sizes.
        loop: steps, batch, optimiser ...
        backbone: of the perceptual losses: "vgg19" (paper) or "efficientnet-lite0".
        scales: levels of the pyramid on which the result is compared; 0 is the full size, and each further one is
            reduced from it by :func:`countenance.renderers.gdpw.network.blurred_and_reduced`.
        warp_weight: of the perceptual loss of the warped picture at full size, which teaches the flow while the mask
            lets the painted picture hide it. The paper has no such loss; the authors' settings have one on all levels.
        final_weight: of the perceptual loss L_P.
        pixel_weight: of the mean absolute difference.
        part_weight: of content and pixel loss of eyes and mouth, cut out and enlarged; not in the paper.
        mask_weight: of the mask's mean: paint only where that helps. Not in the paper.
        flow_weight: of the correction's distance, in px of its grid, to the optical flow from the target to the start
            picture; not in the paper. It says at once where background and hair stay, which perceptual losses teach
            slowly.
        adversary: the patch discriminator L_GAN and how it is trained; None leaves it out.
        matching_weight: of the discriminator's feature matching loss L_FM.
        spectral_norm: of all convolutions but those that give flows and pictures.
    """

    network: GDPWConfig
    loop: LoopConfig
    backbone: str = "vgg19"
    scales: tuple[int, ...] = (0, 1, 2, 3)
    warp_weight: float = 0.0
    final_weight: float = 10.0
    pixel_weight: float = 10.0
    part_weight: float = 0.0
    mask_weight: float = 0.0
    flow_weight: float = 0.0
    adversary: PatchAdversary | None = None
    matching_weight: float = 10.0
    spectral_norm: bool = False
    item_size: int = field(default=2, init=False)

    @property
    def name(self) -> str:
        """Model, and a digest of what must not change in a resumed run."""
        critic = None if self.adversary is None else asdict(self.adversary)
        digest = sha256(repr((asdict(self.network), critic, self.spectral_norm)).encode()).hexdigest()[:8]
        return f"{MODEL}-{digest}"

    @property
    def needs(self) -> DatasetNeeds:
        """Pairs of frames as the network is wide, with the default tracker's landmarks."""
        return DatasetNeeds(ARKIT.name, side=self.network.size, frames=2, landmarks=True)

    def build(self, dataset: Dataset) -> GDPW:
        """The untrained network; see :class:`countenance.training.recipe.Recipe`."""
        self.needs.check(dataset)
        network = GDPW(self.network)
        for module in network.modules():  # nothing moves at first but what the mesh moves
            if isinstance(module, nn.Conv2d) and module.out_channels == 2:
                nn.init.normal_(module.weight, std=1e-3)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
        if self.network.blend:
            with torch.no_grad():
                network.out.bias[-(self.network.patch**2) :] = -2.0  # type: ignore[index]
        return network

    def constrain(self, network: nn.Module) -> None:
        """Spectral norm (Miyato et al. 2018), as the paper uses it."""
        if self.spectral_norm:
            spectrally_normalised(network)

    def sampler(self, dataset: Dataset) -> PairSampler:
        """Pairs with the tracker's landmarks."""
        dataset.load_all()
        return PairSampler(dataset, 0, self.loop.seed, self.loop.augmentation, landmarks=True)

    def batch(self, items: list[Pair]) -> Batch:
        """See :func:`countenance.renderers.gdpw.batches.head_batch`."""
        size = self.network.size // self.network.patch
        return head_batch(items, size, flow=self.flow_weight > 0)

    @cached_property
    def perceptual(self) -> tuple[PerceptualLoss, PerceptualLoss]:
        """Losses of whole pictures and of parts; on first use, as it reads weights."""
        backbone = load_backbone(self.backbone)
        return (
            PerceptualLoss(backbone, self.scales, reduction=blurred_and_reduced),
            PerceptualLoss(backbone, (0,)),
        )

    def losses(self, network: nn.Module, batch: Batch, step: int, critic: nn.Module | None = None) -> Losses:
        """Sec. 3.4: L_P + L_GAN + L_FM, and what this recipe adds."""
        target, rendered = self._both_directions(network, batch)
        whole, close = (loss.to(target.device) for loss in self.perceptual)
        with torch.no_grad():
            wanted = whole.features(target, whole.scales)
        result = 2 * rendered.picture - 1
        terms = {
            "final": self.final_weight * whole.distance(whole.features(result), wanted),
            "pixel": self.pixel_weight * (result - target).abs().mean(),
        }
        if self.warp_weight:
            warped = 2 * rendered.warped - 1
            terms["warp"] = self.warp_weight * whole.distance(whole.features(warped), wanted)
        if self.part_weight:
            places = batch["places"]
            terms["parts"] = self.part_weight * part_distance(close, result, target, places)
        if self.flow_weight:
            error = (rendered.correction.float() - batch["optical_flow"]).abs().sum(1)
            trusted = batch["trusted"]
            terms["flow"] = self.flow_weight * (error * trusted).sum() / trusted.sum().clamp(min=1)
        if self.mask_weight:
            terms["mask"] = self.mask_weight * rendered.mask.mean()
        real, fake = (target + 1) / 2, rendered.picture
        if self.adversary is not None and critic is not None:
            judged = critic(torch.cat([real, fake]))
            (_, made), (seen, drawn) = split(judged.logits), split(judged.features)
            terms["adversarial"] = generator_loss(made, self.adversary.kind)
            terms["matching"] = self.matching_weight * feature_matching_loss(seen, drawn)
        return Losses({**terms, "total": torch.stack(list(terms.values())).sum()}, real, fake)

    def sheet(self, network: nn.Module, batch: Batch) -> Image:
        """Rows of source, target, the mesh's picture, warped, mask and final picture."""
        with torch.no_grad():
            target, rendered = self._both_directions(network, batch)
        pictures = torch.cat([batch["pictures"][:, 0], batch["pictures"][:, 1]]).float() / 255
        columns = [
            pictures,
            (target + 1) / 2,
            batch["start"].float() / 255,
            rendered.warped,
            rendered.mask.expand(-1, 3, -1, -1),
            rendered.picture,
        ]
        rows = torch.cat([torch.cat(list(column[:4].float()), 1) for column in columns], 2)
        return np.asarray((rows.clamp(0, 1) * 255).byte().permute(1, 2, 0).cpu().numpy(), np.uint8)

    def export(self, network: nn.Module, path: Path, notes: Mapping[str, Any]) -> None:
        """Weights for :mod:`countenance.renderers.gdpw.renderer`, fp16, spectral norm folded in."""
        plain = GDPW(self.network)
        plain.load_state_dict(folded_state(network))
        save_weights(path, plain, MODEL, self.network, notes, half=True)

    def _both_directions(self, network: nn.Module, batch: Batch) -> tuple[Tensor, Rendered]:
        """Targets in [-1, 1], and what the network makes of the sources."""
        first, second = batch["pictures"].float().unbind(1)
        source, target = torch.cat([first, second]) / 255, torch.cat([second, first]) / 127.5 - 1
        codes: Tensor | None = getattr(network, "module", network).codes  # type: ignore[assignment]
        drawn = drawn_codes(codes, batch["index"], batch["shares"], batch["triangles"])
        start = (batch["start"].float() / 255).contiguous(memory_format=torch.channels_last)
        guidance = Guidance(
            batch["displacement"] if self.network.uses_displacement else None,
            drawn[0],
            drawn[1],
            start if self.network.start_picture else None,
        )
        return target, network(source.contiguous(memory_format=torch.channels_last), guidance)


def paper() -> GDPWRecipe:
    """As published (Sec. 3.4; weights and sizes from the authors' settings), on the default tracker's mesh.

    The paper names no batch size. Two of the authors' settings are left out: their perceptual loss on the pictures
    warped at every level, and the jitter of the hue.
    """
    loop = LoopConfig(
        steps=270_000,
        batch_size=16,
        learning_rate=2e-4,
        betas=(0.9, 0.999),
        milestones=(80_000, 160_000),
        gamma=0.1,
        augmentation=Augmentation(colour=0.1, flip=False, shift=0.0, scale=0.0),
    )
    return GDPWRecipe(
        network=replace(sizes.paper("both"), mesh="head", vertices=sizes.HEAD_VERTICES),
        loop=loop,
        adversary=PatchAdversary(DiscriminatorConfig()),
        spectral_norm=True,
    )


def lite() -> GDPWRecipe:
    """The shipped weights: affordable on two CPU cores."""
    loop = LoopConfig(
        steps=2_400,
        batch_size=8,
        learning_rate=5e-4,
        milestones=(1_800, 2_150),
        gamma=0.3,
        betas=(0.9, 0.999),
        ema_decay=0.998,
        precision="bf16-mixed",
        clip=5.0,
    )
    return GDPWRecipe(
        network=sizes.lite(),
        loop=loop,
        backbone="efficientnet-lite0",
        scales=(0, 1),
        warp_weight=1.0,
        final_weight=4.0,
        pixel_weight=4.0,
        part_weight=3.0,
        flow_weight=1.0,
    )


def debug() -> GDPWRecipe:
    """Seconds, for tests: 32-pixel pictures."""
    loop = DEBUG_LOOP
    return GDPWRecipe(
        network=sizes.debug(),
        loop=loop,
        backbone="efficientnet-lite0",
        scales=(0,),
        warp_weight=1.0,
        final_weight=1.0,
        pixel_weight=1.0,
        part_weight=1.0,
        mask_weight=0.1,
        flow_weight=0.5,
        adversary=PatchAdversary(DiscriminatorConfig(strides=(1, 2), blocks=2, base_width=4, min_width=4)),
        spectral_norm=True,
    )


PRESETS = {"paper": paper, "lite": lite, "debug": debug}
