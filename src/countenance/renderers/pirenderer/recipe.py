"""Training PIRenderer (Sec. 3.2 "Training Losses", appendix D.1): first the warping network, then everything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from countenance.arrays import Floats, Image
from countenance.data.dataset import Dataset
from countenance.data.pairs import Augmentation, Pair, PairSampler, as_batch
from countenance.face.mediapipe_model import mediapipe_model
from countenance.face.mediapipe_topology import REGIONS
from countenance.losses.backbones import load_backbone
from countenance.losses.parts import part_distance
from countenance.losses.perceptual import PerceptualLoss
from countenance.motion.spaces import ARKIT_SHAPES
from countenance.renderers.pirenderer import config as sizes
from countenance.renderers.pirenderer.config import PIRendererConfig
from countenance.renderers.pirenderer.network import PIRenderer, Rendered
from countenance.trackers.arkit_pose import crop_points
from countenance.training.recipe import DEBUG_LOOP, Batch, DatasetNeeds, LoopConfig, Losses
from countenance.weights.weight_files import save_weights

MODEL = "pirenderer"
_LEAST_STD = 0.03  # coefficients that hardly vary in the data are not blown up


@dataclass(frozen=True)
class PIRendererRecipe:
    """A complete training configuration.

    Attributes:
        network: sizes.
        loop: steps, batch, optimiser ...
        warp_only: steps of the first stage, which trains the mapping and warping networks.
        backbone: of the perceptual losses: "vgg19" (paper) or "efficientnet-lite0".
        warp_scales: levels of the pyramid on which the warped picture is compared; 0 is the full size.
        final_scales: the same for the final picture; its first level also takes the style loss.
        warp_weight: lambda_w of Eq. 9.
        final_weight: lambda_c of Eq. 9.
        style: lambda_s / lambda_c of Eq. 9; 0 turns the style loss off.
        part_weight: of content and pixel loss of eyes and mouth, cut out and enlarged; not in the paper.
            ``arkit`` only.
        pixel_weight: of the mean absolute difference of the pixels, which the paper does not have.
        landmark_weight: of the flow's distance, in px of the flow, to the displacement of the face model's landmarks
            between both frames; the paper has no such term. ``arkit`` only.
        imagined_weight: of the same distance for motions that were never filmed: coefficients of the source changed one
            by one, so that each slider learns to move alone. There is no picture to compare with.
        standardize: feed coefficients with mean 0 and deviation 1 over the dataset, which the paper does not.
    """

    network: PIRendererConfig
    loop: LoopConfig
    warp_only: int
    backbone: str = "vgg19"
    warp_scales: tuple[int, ...] = (0, 1, 2, 3)
    final_scales: tuple[int, ...] = (0, 1, 2, 3)
    warp_weight: float = 2.5
    final_weight: float = 4.0
    style: float = 250.0
    part_weight: float = 0.0
    pixel_weight: float = 0.0
    landmark_weight: float = 0.0
    imagined_weight: float = 0.0
    standardize: bool = False
    item_size: int = field(default=2, init=False)

    @property
    def name(self) -> str:
        """Model, and a digest of what must not change in a resumed run."""
        digest = sha256(repr(asdict(self.network)).encode()).hexdigest()[:8]
        return f"{MODEL}-{digest}"

    @property
    def needs(self) -> DatasetNeeds:
        """Pairs of frames."""
        return DatasetNeeds(self.network.motion_space, multiple=self.network.multiple, frames=2)

    def build(self, dataset: Dataset) -> PIRenderer:
        """The untrained network; see :class:`countenance.training.recipe.Recipe`."""
        self.needs.check(dataset)
        network = PIRenderer(self.network)
        if not self.network.exact_grid:
            network.apply(initialised_as_published)
        else:  # nothing moves at first, or what is known in closed form
            nn.init.normal_(network.warping.flow.weight, std=1e-3)
            nn.init.zeros_(network.warping.flow.bias)  # type: ignore[arg-type]
        if self.standardize:
            mean, std = dataset.statistics()
            network.motion_mean.copy_(torch.from_numpy(mean))
            network.motion_std.copy_(torch.from_numpy(np.maximum(std, _LEAST_STD)))
        return network

    @cached_property
    def perceptual(self) -> tuple[PerceptualLoss, PerceptualLoss, PerceptualLoss]:
        """Losses of warped and final picture and of parts; on first use, as it reads weights."""
        backbone = load_backbone(self.backbone)
        return (
            PerceptualLoss(backbone, self.warp_scales),
            PerceptualLoss(backbone, self.final_scales, self.style),
            PerceptualLoss(backbone, (0,)),
        )

    @property
    def adversary(self) -> None:
        """The paper trains without one."""
        return None

    def constrain(self, network: nn.Module) -> None:
        """All of its norms are there from the beginning."""

    def losses(self, network: nn.Module, batch: Batch, step: int, critic: nn.Module | None = None) -> Losses:
        """Eq. 9: warp_weight L_w + final_weight (L_c + style L_s); only L_w in the first stage."""
        warp_only = step < self.warp_only
        _, target, rendered = self._both_directions(network, batch, warp_only)
        coarse, final, close = (loss.to(target.device) for loss in self.perceptual)
        with torch.no_grad():
            scales = coarse.scales if warp_only else {*coarse.scales, *final.scales}
            wanted = coarse.features(target, scales)
        terms = {"warp": self.warp_weight * coarse.distance(coarse.features(rendered.warped), wanted)}
        result = rendered.warped
        if rendered.picture is not None:
            terms["final"] = self.final_weight * final.distance(final.features(rendered.picture), wanted)
            result = rendered.picture
        if self.landmark_weight or self.part_weight:
            own = batch["own"]
            pairs = _landmark_pairs(torch.cat([own[:, 0], own[:, 1]]), torch.cat([own[:, 1], own[:, 0]]))
            terms["landmark"] = self.landmark_weight * landmark_distance(rendered.flow, *pairs)
            if self.part_weight:
                terms["parts"] = self.part_weight * part_distance(close, result, target, pairs[0])
        if self.imagined_weight:
            terms["imagined"] = self.imagined_weight * self._imagined_distance(network, batch, step)
        if self.pixel_weight:
            terms["pixel"] = self.pixel_weight * (result - target).abs().mean()
        return Losses({**terms, "total": torch.stack(list(terms.values())).sum()})

    def sampler(self, dataset: Dataset) -> PairSampler:
        """Pairs with motion descriptors of the network's radius."""
        dataset.load_all()
        return PairSampler(dataset, self.network.radius, self.loop.seed, self.loop.augmentation)

    def batch(self, items: list[Pair]) -> Batch:
        """Pairs as they are."""
        return as_batch(items)

    def sheet(self, network: nn.Module, batch: Batch) -> Image:
        """Rows of source, target, warped and final picture."""
        with torch.no_grad():
            source, target, rendered = self._both_directions(network, batch, warp_only=False)
        columns = [
            source,
            target,
            rendered.warped,
            rendered.picture if rendered.picture is not None else source,
        ]
        rows = torch.cat([torch.cat(list(column[:4].float()), 1) for column in columns], 2)
        return np.asarray(((rows.clamp(-1, 1) + 1) * 127.5).byte().permute(1, 2, 0).cpu().numpy(), np.uint8)

    def export(self, network: nn.Module, path: Path, notes: Mapping[str, Any]) -> None:
        """Weights for :mod:`countenance.renderers.pirenderer.renderer`, fp16."""
        save_weights(path, network, MODEL, self.network, notes, half=True)

    def _imagined_distance(self, network: nn.Module, batch: Batch, step: int) -> Tensor:
        """Landmark distance of each pair's first frame, driven by a changed copy of its own motion.

        The network is called inside the wrapper that adds up gradients over processes, which allows one call a step;
        it adds up the gradients of both calls.
        """
        bare = getattr(network, "module", network)
        own = batch["own"][:, 0]
        driving = imagined_motion(own, torch.Generator().manual_seed(self.loop.seed + step))
        source = (batch["pictures"][:, 0].float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)
        window = driving[:, :, None].expand(-1, -1, self.network.window)
        number = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(self.loop.precision)
        with torch.autocast(own.device.type, number, enabled=number is not None):
            rendered: Rendered = bare(source, window, own if self.network.source_motion else None, "warp")
        return landmark_distance(rendered.flow, *_landmark_pairs(own, driving))

    def _both_directions(
        self, network: nn.Module, batch: Batch, warp_only: bool
    ) -> tuple[Tensor, Tensor, Rendered]:
        """Each pair from its first frame to its second and back (Sec. 4)."""
        pictures = batch["pictures"].float() / 127.5 - 1
        first, second = pictures[:, 0], pictures[:, 1]
        source, target = torch.cat([first, second]), torch.cat([second, first])
        source = source.contiguous(memory_format=torch.channels_last)
        windows, own = batch["windows"], batch["own"]
        driving = torch.cat([windows[:, 1], windows[:, 0]])
        source_motion = torch.cat([own[:, 0], own[:, 1]]) if self.network.source_motion else None
        rendered = network(source, driving, source_motion, "warp" if warp_only else "all")
        return source, target, rendered


def landmark_distance(flow: Tensor, places: Tensor, displacement: Tensor, weights: Tensor) -> Tensor:
    """How far the flow at the driving landmarks is from leading to the source's landmarks.

    Args:
        flow: (B, 2, h, w) in px of its own grid.
        places: (B, L, 2) driving landmarks, -1 to 1 across the picture.
        displacement: (B, L, 2) from there to the source's landmarks, in the same unit.
        weights: (B, L), 0 where the surface is not seen in both frames.

    Returns:
        The weighted mean distance (absolute x + absolute y), in px of the flow.
    """
    height, width = flow.shape[2:]
    found = F.grid_sample(flow.float(), places[:, None], align_corners=False, padding_mode="border")[:, :, 0]
    wanted = displacement.transpose(1, 2) * displacement.new_tensor([width / 2, height / 2])[:, None]
    return ((found - wanted).abs().sum(1) * weights).sum() / weights.sum().clamp(min=1)


def _landmark_pairs(source: Tensor, driving: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Driving landmarks, the way to the source's, and weights, of ``arkit`` coefficients (B, 58)."""
    (from_, seen_from), (to, seen_to) = (crop_points(own.cpu().numpy()) for own in (source, driving))
    seen = (seen_from & seen_to) * _landmark_weights()
    places, way, visible = (torch.from_numpy(a).to(source.device) for a in (to, from_ - to, seen))
    return places, way, visible


@cache
def _landmark_weights() -> Floats:
    """(478,): lids and lips count more than their number, as they move by little and all look at them."""
    weights = np.ones(mediapipe_model().mean.shape[0], np.float32)
    weights[[*REGIONS["rightEye"], *REGIONS["leftEye"]]] = 10
    weights[list(REGIONS["lips"])] = 3
    return weights


def imagined_motion(own: Tensor, generator: torch.Generator) -> Tensor:
    """``arkit`` coefficients (B, 58) with every seventh weight drawn anew and the pose changed a little."""
    shapes = len(ARKIT_SHAPES)
    changed = own.clone()
    drawn = torch.rand(len(own), shapes, generator=generator) < 1 / 7
    weights = torch.rand(len(own), shapes, generator=generator) * 0.9
    changed[:, :shapes] = torch.where(drawn.to(own.device), weights.to(own.device), own[:, :shapes])
    spread = torch.tensor([0.2, 0.12, 0.12, 0.03, 0.03, 0.05])  # yaw, pitch, roll, x, y, logScale
    offsets = torch.randn(len(own), len(spread), generator=generator) * spread
    changed[:, shapes:] += offsets.to(own.device)
    return changed


def initialised_as_published(module: nn.Module) -> None:
    """For ``Module.apply``: weights N(0, 0.02), biases 0."""
    if isinstance(module, nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def paper() -> PIRendererRecipe:
    """As published (Sec. 4, appendix D.1): VGG-19, 200 000 + 200 000 steps of 20, 256 x 256."""
    loop = LoopConfig(
        steps=400_000,
        batch_size=20,
        learning_rate=1e-4,
        milestones=(300_000,),
        gamma=0.2,
        ema_decay=0.5 ** (32 / 10_000),
        augmentation=Augmentation(colour=0.0, flip=False, shift=0.0, scale=0.0),
    )
    return PIRendererRecipe(network=sizes.paper(), loop=loop, warp_only=200_000)


def lite() -> PIRendererRecipe:
    """The shipped weights: affordable on two CPU cores."""
    loop = LoopConfig(
        steps=2_600,
        batch_size=8,
        learning_rate=4e-4,
        milestones=(2_100, 2_350),
        gamma=0.3,
        ema_decay=0.998,
        precision="bf16-mixed",
        clip=5.0,
    )
    return PIRendererRecipe(
        network=sizes.lite(),
        loop=loop,
        warp_only=500,
        backbone="efficientnet-lite0",
        warp_scales=(1, 2),
        final_scales=(0, 1),
        style=0.0,
        part_weight=3.0,
        pixel_weight=4.0,
        landmark_weight=2.0,
        imagined_weight=2.0,
        standardize=True,
    )


def debug() -> PIRendererRecipe:
    """Seconds, for tests: 32-pixel pictures."""
    loop = replace(DEBUG_LOOP, steps=6, save_every=3)
    return PIRendererRecipe(
        network=sizes.debug(),
        loop=loop,
        warp_only=3,
        backbone="efficientnet-lite0",
        warp_scales=(0,),
        final_scales=(0,),
        style=0.0,
        part_weight=1.0,
        pixel_weight=1.0,
        landmark_weight=1.0,
        imagined_weight=1.0,
        standardize=True,
    )


PRESETS = {"paper": paper, "lite": lite, "debug": debug}
