"""Sizes and options of the network; importing this does not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from countenance.errors import BadValue
from countenance.generators.stylegan2.config import StyleGAN2Config
from countenance.ranges import LAYERS, NETWORK_SIDE_PX, SAMPLES

Enlarging = Literal["8XDC", "4X"]
PLANES = 3


@dataclass(frozen=True, kw_only=True)
class RayOptions:
    """How rays are followed through the volume. The defaults are FFHQ's. Lengths are in the world's unit.

    Attributes:
        ray_start: distance from the camera of the first sample; "auto" for where the ray enters the box.
        ray_end: of the last; "auto" for where it leaves the box.
        box_warp: side of the box that the planes cover, centred at the origin.
        depth_resolution: samples of the first pass, evenly spaced.
        depth_resolution_importance: samples of the second, where the first found matter; 0 for one pass.
        disparity_space_sampling: even in 1 / depth instead.
        white_back: what no matter covers is 1, not 0.
    """

    ray_start: float | Literal["auto"] = 2.25
    ray_end: float | Literal["auto"] = 3.3
    box_warp: float = 1
    depth_resolution: Annotated[int, SAMPLES] = 48
    depth_resolution_importance: Annotated[int, SAMPLES] = 48
    disparity_space_sampling: bool = False
    white_back: bool = False

    def __post_init__(self) -> None:
        fewest = 4 if self.depth_resolution_importance else 2
        if self.depth_resolution < fewest:
            raise BadValue(
                f"depth_resolution is {self.depth_resolution}; the first pass needs {fewest} or more"
            )
        if (self.ray_start == "auto") != (self.ray_end == "auto"):
            raise BadValue('ray_start and ray_end are "auto" together or not at all')


@dataclass(frozen=True, kw_only=True)
class EG3DConfig(RayOptions):
    """Everything that decides what the generator computes. The defaults are ffhqrebalanced512-128's.

    Attributes:
        z_dim: length of the latent vector z.
        c_dim: length of the camera vector.
        w_dim: length of w.
        plane_resolution: side of a feature plane in px.
        feature_channels: of a plane, and of the rendered picture; its first three are colours.
        channel_base: of the backbone, see :class:`~countenance.generators.stylegan2.config.StyleGAN2Config`.
        channel_max: likewise.
        mapping_layers: likewise.
        conv_clamp: likewise.
        c_scale: the camera that conditions w is multiplied by this.
        c_gen_conditioning_zero: w does not see the camera at all.
        decoder_lr_mul: stored weights of the decoder are to be multiplied by this.
        neural_rendering_resolution: side of the rendered picture in px.
        superresolution: the enlarging network: by 4 (8XDC) or 2 (4X) from its input's size.
        sr_input_resolution: side of the pictures it takes; others are resized.
        sr_inner_channels: of its first block.
        sr_outer_channels: of its second.
        sr_conv_clamp: of its layers; None for no clamp.
        sr_antialias: resizing to a smaller side filters.
    """

    z_dim: int = 512
    c_dim: int = 25
    w_dim: int = 512
    plane_resolution: Annotated[int, NETWORK_SIDE_PX] = 256
    feature_channels: int = 32
    channel_base: int = 32768
    channel_max: int = 512
    mapping_layers: Annotated[int, LAYERS] = 2
    conv_clamp: float | None = None
    c_scale: float = 1
    c_gen_conditioning_zero: bool = False
    decoder_lr_mul: float = 1
    neural_rendering_resolution: Annotated[int, NETWORK_SIDE_PX] = 128
    superresolution: Enlarging = "8XDC"
    sr_input_resolution: Annotated[int, NETWORK_SIDE_PX] = 128
    sr_inner_channels: int = 256
    sr_outer_channels: int = 128
    sr_conv_clamp: float | None = 256
    sr_antialias: bool = True

    @property
    def backbone(self) -> StyleGAN2Config:
        """Sizes of the network that makes the planes."""
        return StyleGAN2Config(
            z_dim=self.z_dim,
            c_dim=self.c_dim,
            w_dim=self.w_dim,
            img_resolution=self.plane_resolution,
            img_channels=PLANES * self.feature_channels,
            channel_base=self.channel_base,
            channel_max=self.channel_max,
            mapping_layers=self.mapping_layers,
            conv_clamp=self.conv_clamp,
        )

    @property
    def num_ws(self) -> int:
        """How many w a picture takes; 14 at planes of 256 px."""
        return self.backbone.num_ws


def debug() -> EG3DConfig:
    """A few thousand weights, for tests: planes of 16 px, pictures of 32 px."""
    return EG3DConfig(
        z_dim=8,
        w_dim=8,
        plane_resolution=16,
        channel_base=64,
        channel_max=8,
        depth_resolution=6,
        depth_resolution_importance=6,
        neural_rendering_resolution=8,
        sr_input_resolution=8,
        sr_inner_channels=8,
        sr_outer_channels=4,
    )
