"""Enroll and render: the source is encoded once; every frame is a latent vector, a flow and an edit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from countenance.arrays import Floats, Image
from countenance.errors import BadValue, MotionSpaceMismatch, WeightsMissing
from countenance.motion.sequence import Motion
from countenance.portrait.portrait import Portrait
from countenance.renderers.blocks.flow import warp
from countenance.renderers.blocks.photo_avatar import PhotoAvatar
from countenance.renderers.openvino_engine import openvino_wanted
from countenance.renderers.pirenderer import SPECS
from countenance.renderers.pirenderer.config import PIRendererConfig
from countenance.renderers.pirenderer.fast import FastPIRenderer, frames_worth
from countenance.renderers.pirenderer.network import PIRenderer, Rendered
from countenance.renderers.spec import RendererSpec, spec_of_file
from countenance.timing import stage
from countenance.weights.assets import assets_folder
from countenance.weights.weight_files import built, config_from, read_weights

MODEL = "pirenderer"
_FINEST = 512  # the source is warped at up to this size, so that skin keeps its detail
_SHIPPED = Path(__file__).with_name("pirenderer-lite.safetensors")
_WHERE = (
    "get the authors' checkpoint from github.com/RenYurui/PIRender and run: countenance convert FILE.pt "
    "-o {path} --from pirenderer; or use --model pirenderer-lite"
)


@dataclass(frozen=True, eq=False)
class _Source:
    """What is computed once per person."""

    small: Tensor
    features: Tensor
    fine: Tensor | None
    own: Tensor


class PIRendererRenderer:
    """See :class:`countenance.renderers.renderer.Renderer`.

    Args:
        network: with its weights.
        spec: name and needs.
        device: where it runs.
    """

    def __init__(self, network: PIRenderer, spec: RendererSpec, device: str = "cpu") -> None:
        self.network = network.eval().requires_grad_(False).to(device)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._spec, self._device = spec, torch.device(device)
        self._prepared: tuple[PhotoAvatar, _Source] | None = None
        self._fast: FastPIRenderer | None = None

    @property
    def spec(self) -> RendererSpec:
        """Name and needs."""
        return self._spec

    @property
    def config(self) -> PIRendererConfig:
        """Sizes and options of its network."""
        config: PIRendererConfig = self.network.config
        return config

    def enroll(self, portrait: Portrait) -> PhotoAvatar:
        """Cut the crop; the network's own preparation happens at the first frame."""
        self._expect(portrait.motion)
        return PhotoAvatar(portrait.square, portrait.motion[0], portrait.crop)

    def load_avatar(self, path: Path) -> PhotoAvatar:
        """Read a saved avatar."""
        avatar = PhotoAvatar.load(path)
        self._expect(avatar.motion)
        return avatar

    def render(self, avatar: PhotoAvatar, motion: Motion) -> Iterator[Image]:
        """Pictures of the crop; see :class:`~countenance.renderers.renderer.Renderer`."""
        self._expect(motion)
        packed = packed_windows(motion, self.config)
        return self._frames(avatar, (self.latent(window, avatar) for window in packed), len(packed))

    def render_between(
        self, avatar: PhotoAvatar, first: Motion, second: Motion, shares: Floats
    ) -> Iterator[Image]:
        """Pictures between two motions in the latent space (appendix C, Eq. 11).

        Args:
            avatar: the person.
            first: one frame, reached at share 0; it is repeated over the window (Sec. 4.2).
            second: one frame, reached at share 1. Where it differs from ``first`` in one attribute only, that
                attribute alone moves.
            shares: (N,) from 0 to 1.
        """
        for motion in (first, second):
            self._expect(motion)
            if len(motion) != 1:
                raise BadValue(f"a motion of {len(motion)} frames can't be interpolated; give one frame")
        start, end = (self.latent(packed_windows(m, self.config)[0], avatar) for m in (first, second))
        # the paper's alpha is the share of the first motion
        between = (torch.lerp(start, end, float(share)) for share in shares)
        return self._frames(avatar, between, len(shares))

    @torch.inference_mode()
    def latent(self, window: Floats, avatar: PhotoAvatar) -> Tensor:
        """z (1, C) of one packed window (D, T)."""
        given = torch.from_numpy(np.ascontiguousarray(window, np.float32))[None].to(self._device)
        z: Tensor = self.network.latent(given, self._source(avatar).own)
        return z

    def _frames(self, avatar: PhotoAvatar, latents: Iterator[Tensor], count: int) -> Iterator[Image]:
        source = self._source(avatar)
        for z in latents:
            with torch.inference_mode():
                with stage("network"):
                    rendered = self._renderer(source, z, count).render(source.small, source.features, z)
                with stage("compositing"):
                    picture = _resized(self._picture(source, rendered), avatar.crop.side)
            yield picture

    def _renderer(self, source: _Source, z: Tensor, count: int) -> PIRenderer | FastPIRenderer:
        """The network, or its compiled form once there are frames enough."""
        if self._fast is None and count >= frames_worth(self.config) and openvino_wanted(self._device):
            self._fast = FastPIRenderer(self.network, source.small, source.features, z)
        return self._fast or self.network

    def _picture(self, source: _Source, rendered: Rendered) -> Image:
        """The result as bytes; with a blending network at the fine size, where the edit alone is upsampled."""
        result = rendered.picture
        if source.fine is not None and rendered.paint is not None:
            size = source.fine.shape[2:]
            colours, mask = (
                F.interpolate(p, size, mode="bilinear", align_corners=False) for p in rendered.paint
            )
            result = torch.lerp(warp(source.fine, rendered.flow, exact=True), colours, mask)
        if result is None:
            raise BadValue("the network was run without its editing stage")
        bytes_ = ((result[0].clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
        return np.ascontiguousarray(bytes_.permute(1, 2, 0).cpu().numpy())

    def _source(self, avatar: PhotoAvatar) -> _Source:
        """Prepared once per avatar; the last one is kept."""
        if self._prepared is None or self._prepared[0] is not avatar:
            self._prepared = avatar, self._encoded(avatar)
        return self._prepared[1]

    @torch.inference_mode()
    def _encoded(self, avatar: PhotoAvatar) -> _Source:
        size, side = self.config.size, avatar.crop.side
        small = self._tensor(_resized(avatar.square, size))
        finest = min(side, _FINEST)
        fine = self._tensor(_resized(avatar.square, finest)) if self.config.blend and finest > size else None
        own = torch.tensor(_packed(avatar.motion), device=self._device)
        return _Source(small, self.network.source_features(small), fine, own)

    def _tensor(self, picture: Image) -> Tensor:
        planes = torch.from_numpy(picture).to(self._device).permute(2, 0, 1)[None].float() / 127.5 - 1
        return planes.contiguous(memory_format=torch.channels_last)

    def _expect(self, motion: Motion) -> None:
        if motion.space.name != self.config.motion_space:
            raise MotionSpaceMismatch(
                motion.space.name, self.config.motion_space, f"model '{self._spec.name}'"
            )


def packed_windows(motion: Motion, config: PIRendererConfig) -> Floats:
    """(T, D, window) descriptors as the network takes them: the published one wants the crop below the motion."""
    windows = motion.descriptor(config.radius)
    if config.motion_channels == motion.space.size + 3:
        return np.concatenate([windows, motion.crop_descriptor(config.radius)], 1)
    return windows


def _packed(motion: Motion) -> Floats:
    return motion.values if motion.crop is None else np.concatenate([motion.values, motion.crop], 1)


def _resized(picture: Image, size: int) -> Image:
    if picture.shape[0] == size:
        return picture
    how = cv2.INTER_AREA if size < picture.shape[0] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, (size, size), interpolation=how), np.uint8)


def load(name: str = "pirenderer-lite", device: str = "cpu") -> PIRendererRenderer:
    """For the catalogue.

    Raises:
        WeightsMissing: the authors' checkpoint was not converted yet.
    """
    spec = next(spec for spec in SPECS if spec.name == name)
    path = _SHIPPED if name == "pirenderer-lite" else assets_folder() / "pirenderer.safetensors"
    if not path.is_file():
        raise WeightsMissing(name, _WHERE.format(path=path))
    return from_file(path, spec, device)


def from_file(path: Path, spec: RendererSpec | None = None, device: str = "cpu") -> PIRendererRenderer:
    """A renderer of any file of PIRenderer weights.

    Raises:
        WeightsMissing: no such file.
        WeightsDamaged: damaged, or of another model.
    """
    file = read_weights(path, MODEL)
    config = config_from(file, PIRendererConfig, path)
    network = built(lambda: PIRenderer(config), file.tensors, path)
    like: Literal["pirenderer-lite", "pirenderer"] = "pirenderer-lite" if config.blend else "pirenderer"
    if spec is None:
        known = next(spec for spec in SPECS if spec.name == like)
        spec = spec_of_file(file, known, path, config.motion_space)
    return PIRendererRenderer(network, spec, device)
