"""The generator while it is trained: one call makes pictures of random people and of known ones, and their density."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from countenance.generators.eg3d.config import EG3DConfig
from countenance.generators.eg3d.density_losses import monotonic_loss, scene_points, total_variation_loss
from countenance.generators.eg3d.generator import EG3D, Picture
from countenance.generators.eg3d.planes import TriPlanes
from countenance.generators.eg3d.rendering import Randomness

_MEAN_KEPT = 0.998  # of w's running mean in each step
_RAYS_AT_A_TIME = 4096  # more than for pictures: each part has a gradient as large as all planes
_POINTS = 1000  # of a volume, at which the density is regularised


@dataclass(frozen=True)
class DensityOptions:
    """How the density is regularised.

    Attributes:
        variation_weight: near points have about the same density (EG3D's code).
        variation_distance: between them, in the world's unit.
        monotonic_weight: density does not fall behind a surface (EG3D's code, off for its published models).
        every: steps between two times, which count that much.
    """

    variation_weight: float = 0.25
    variation_distance: float = 0.004
    monotonic_weight: float = 0.0
    every: int = 4


class Made(NamedTuple):
    """What one call gives.

    Attributes:
        drawn: of random people.
        known: of known ones; None if none were asked for.
        density: regularising term by name; empty if it was not due.
    """

    drawn: Picture
    known: Picture | None
    density: dict[str, Tensor]


class TrainedEG3D(EG3D):
    """EG3D with what training adds, under the same names of weights.

    Args:
        config: sizes.
        people: in the dataset.
        options: of the density's regularisation.
    """

    def __init__(self, config: EG3DConfig, people: int, options: DensityOptions) -> None:
        super().__init__(config)
        self.people, self.options = people, options
        self.register_parameter("codes", None)
        self.codes: nn.Parameter | None

    @torch.no_grad()
    def learn_people(self) -> None:
        """Give each person a w of their own (people, w_dim), to be learnt; it starts at one that the mapping makes."""
        z = torch.randn(self.people, self.config.z_dim)
        self.codes = nn.Parameter(self.mapping(z, torch.zeros(self.people, self.config.c_dim))[:, 0].clone())

    def forward(  # type: ignore[override]
        self,
        z: Tensor,
        conditioning: Tensor,
        camera: Tensor,
        known: tuple[Tensor, Tensor] | None = None,
        *,
        regularised: bool = False,
    ) -> Made:
        """Everything that a step needs, in one call, which distributed training asks for.

        Args:
            z: (B, z_dim) of random people.
            conditioning: (B, 25), the cameras that w is told.
            camera: (B, 25), those that render.
            known: (K,) numbers of people and (K, 25) cameras to draw them with, too.
            regularised: compute the density's terms.
        """
        ws = self.mapping(z, conditioning)
        if self.training:
            mean = ws[:, 0].detach().float().mean(0)
            mapping = self.backbone.mapping
            mapping.w_avg.copy_(mean.lerp(mapping.w_avg, _MEAN_KEPT))
        count = len(ws)
        if known is not None and self.codes is not None:
            people, cameras = known
            ws = torch.cat([ws, self.codes[people][:, None].expand(-1, self.config.num_ws, -1)])
            camera = torch.cat([camera, cameras])
        planes = self.planes(ws, "random" if self.training else "const")
        rays = self.config.neural_rendering_resolution**2
        chance = Randomness.drawn(len(ws), rays, self.config, device=ws.device) if self.training else None
        rendered = self.render(planes, camera, randomness=chance, rays_at_a_time=_RAYS_AT_A_TIME)
        both = Picture(self.enlarge(rendered.features, ws), rendered)
        density = self._density(planes) if regularised else {}
        if len(ws) == count:
            return Made(both, None, density)
        return Made(_part(both, slice(count)), _part(both, slice(count, None)), density)

    def _density(self, planes: TriPlanes) -> dict[str, Tensor]:
        """See :class:`DensityOptions`; weighted, and times the steps between."""
        options, shape = self.options, (planes.volumes, _POINTS, 3)
        device = planes.table.device
        points = scene_points(torch.rand(shape, device=device))

        def density(at: Tensor) -> Tensor:
            return self.at(planes, at)[0]

        terms = {}
        if options.variation_weight:
            normal = torch.randn(shape, device=device)
            terms["variation"] = total_variation_loss(
                density,
                points,
                normal,
                distance=options.variation_distance,
                weight=options.variation_weight * options.every,
            )
        if options.monotonic_weight:
            hollow = monotonic_loss(density, points, self.config.box_warp)
            terms["monotonic"] = options.monotonic_weight * options.every * hollow
        return terms


def _part(picture: Picture, some: slice) -> Picture:
    rendered = picture.rendered
    return Picture(picture.image[some], type(rendered)(*(tensor[some] for tensor in rendered)))
