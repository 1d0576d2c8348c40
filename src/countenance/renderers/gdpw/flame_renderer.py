"""The published pipeline: FLAME's mesh, measured by DECA, guides the authors' network (Sec. 3.2, 4.1, 4.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakKeyDictionary

import cv2
import numpy as np
import torch
from torch import Tensor

from countenance.arrays import Floats, Image
from countenance.errors import MotionSpaceMismatch
from countenance.face.flame import FlameModel, full_pose
from countenance.motion.sequence import Motion
from countenance.motion.spaces import FLAME
from countenance.portrait.portrait import Portrait
from countenance.renderers.blocks.photo_avatar import PhotoAvatar
from countenance.renderers.gdpw.guidance import draw_guidance
from countenance.renderers.gdpw.network import GDPW, Encoded, Guidance
from countenance.renderers.spec import RendererSpec
from countenance.timing import stage

_EXPRESSION, _JAW, _HEAD, _EYES, _CAMERA = (
    slice(0, 50),
    slice(50, 53),
    slice(53, 56),
    slice(56, 62),
    slice(62, 65),
)


@dataclass(frozen=True, eq=False)
class _Source:
    picture: Tensor
    mesh: Tensor
    encoded: Encoded


class FlameGDPWRenderer:
    """See :class:`countenance.renderers.renderer.Renderer`. The person's shape is kept, whoever drives (Sec. 4.2).

    A motion's identity, where it has one, is the shape that is shown: the person's own after
    :func:`countenance.motion.transfer.transfer`, another one to edit it (Sec. 4.4).

    Args:
        network: with its weights.
        model: FLAME with 100 identity and 50 expression coefficients.
        spec: name and needs.
        device: where it runs.
    """

    def __init__(self, network: GDPW, model: FlameModel, spec: RendererSpec, device: str = "cpu") -> None:
        self.network = network.eval().requires_grad_(False).to(device)
        self._model, self._spec, self._device = model, spec, torch.device(device)
        self._triangles = torch.from_numpy(model.triangles).to(device)
        self._sources: WeakKeyDictionary[PhotoAvatar, _Source] = WeakKeyDictionary()

    @property
    def spec(self) -> RendererSpec:
        """Name and needs."""
        return self._spec

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
        identity = avatar.motion.identity if motion.identity is None else motion.identity
        return (self._frame(avatar, values, identity) for values in motion.values)

    @torch.inference_mode()
    def _frame(self, avatar: PhotoAvatar, values: Floats, identity: Floats | None) -> Image:
        source = self._source(avatar)
        with stage("geometry"):
            guidance = self._guidance(source.mesh, self._mesh(values, identity))
        with stage("network"):
            decoded = self.network.decode(source.encoded, guidance)
        with stage("compositing"):
            rendered = self.network.rendered(source.picture, decoded, guidance)
            bytes_ = (rendered.picture[0].clamp(0, 1) * 255).round().to(torch.uint8)
            return _resized(bytes_.permute(1, 2, 0).cpu().numpy(), avatar.crop.side)

    def _source(self, avatar: PhotoAvatar) -> _Source:
        """Computed once per avatar, kept as long as it."""
        if avatar not in self._sources:
            size = self.network.config.size
            picture = torch.from_numpy(_resized(avatar.square, size)).to(self._device)
            planes = picture.permute(2, 0, 1)[None].float() / 255
            mesh = self._mesh(avatar.motion.values[0], avatar.motion.identity)
            codes = self._guidance(mesh, mesh).source_codes
            self._sources[avatar] = _Source(planes, mesh, self.network.encode(planes, codes))
        return self._sources[avatar]

    def _guidance(self, source: Tensor, driving: Tensor) -> Guidance:
        config = self.network.config
        return draw_guidance(
            source,
            driving,
            self._triangles,
            (config.size, config.size),
            codes=self.network.codes,
            displacement=config.uses_displacement,
        )

    def _mesh(self, values: Floats, identity: Floats | None) -> Tensor:
        """(1, V, 3) of somebody in ``flame`` coefficients (65,): -1 to 1 over the crop, y down."""
        row = values[None].astype(np.float32)
        if identity is None:
            identity = np.zeros(self._model.identity_size, np.float32)
        pose = full_pose(np.concatenate([row[:, _HEAD], row[:, _JAW]], 1), eyes=row[:, _EYES])
        vertices = self._model.vertices(identity[None], row[:, _EXPRESSION], pose)
        scale, x, y = values[_CAMERA]
        placed = (vertices + np.array([x, y, 0], np.float32)) * scale * np.array([1, -1, 1], np.float32)
        return torch.from_numpy(np.ascontiguousarray(placed, np.float32)).to(self._device)

    def _expect(self, motion: Motion) -> None:
        if motion.space.name != FLAME.name:
            raise MotionSpaceMismatch(motion.space.name, FLAME.name, f"model '{self._spec.name}'")


def _resized(picture: Image, side: int) -> Image:
    if picture.shape[0] == side:
        return np.ascontiguousarray(picture)
    how = cv2.INTER_AREA if side < picture.shape[0] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, (side, side), interpolation=how), np.uint8)
