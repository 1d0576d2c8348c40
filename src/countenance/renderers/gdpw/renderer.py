"""Enroll and render: the mesh says where pixels go, the network corrects that and paints what the photo lacks."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from countenance.arrays import Floats, Image
from countenance.errors import MotionSpaceMismatch, WeightsDamaged, WeightsMissing
from countenance.face.flame import FlameModel, load_flame
from countenance.face.rasterizer import Raster, interpolate
from countenance.face.shape_sliders import shape_change
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT
from countenance.portrait.portrait import Portrait
from countenance.prefetch import prefetched
from countenance.renderers.gdpw import SPECS
from countenance.renderers.gdpw.config import HEAD_VERTICES, GDPWConfig
from countenance.renderers.gdpw.flame_renderer import FlameGDPWRenderer
from countenance.renderers.gdpw.head_guidance import HeadGuidance, guide, source_view
from countenance.renderers.gdpw.network import GDPW, Decoded, Encoded, Guidance
from countenance.renderers.geometric.avatar import GeometricAvatar
from countenance.renderers.openvino_engine import OpenVINONetwork, openvino_wanted
from countenance.renderers.spec import RendererSpec, spec_of_file
from countenance.timing import stage
from countenance.weights.assets import assets_folder
from countenance.weights.weight_files import built, config_from, read_weights

MODEL = "gdpw"
_SHIPPED = Path(__file__).with_name("gdpw-lite.safetensors")
_WHERE = (
    "get PWM_both.pth or another checkpoint of GDPW's authors and run: countenance convert FILE.pth -o {path} "
    "--from gdpw; or use --model gdpw-lite"
)
_TRAIN_AGAIN = "train it again with this release, or use --model gdpw-lite"
_FULL_REACH_PX = 2.0  # of 256: where the mesh moves less than this, the network's changes fade out
_FRAMES_WORTH = 120  # compiling takes about 1 s, and saves about 9 ms a frame


class Corrected(NamedTuple):
    """What the network says of one frame, as OpenCV takes it.

    Attributes:
        flow: (h, w, 2) in px of its own grid: where the start picture is sampled.
        painted: (H, W, 3) in [0, 1].
        mask: (H, W), share of ``painted``.
    """

    flow: Floats
    painted: Floats
    mask: Floats


class GDPWRenderer:
    """See :class:`countenance.renderers.renderer.Renderer`.

    Args:
        network: with its weights, trained on the geometric renderer's mesh.
        spec: name and needs.
        device: where it runs.
    """

    def __init__(self, network: GDPW, spec: RendererSpec, device: str = "cpu") -> None:
        self.network = network.eval().requires_grad_(False).to(device)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._spec, self._device = spec, torch.device(device)
        codes = network.codes
        self._codes = None if codes is None else codes.detach().float().cpu().numpy()
        self._encoded: WeakKeyDictionary[GeometricAvatar, Encoded] = WeakKeyDictionary()
        self._fast: OpenVINONetwork | None = None

    @property
    def spec(self) -> RendererSpec:
        """Name and needs."""
        return self._spec

    @property
    def config(self) -> GDPWConfig:
        """Sizes and options of its network."""
        return self.network.config

    def enroll(self, portrait: Portrait) -> GeometricAvatar:
        """Cut the crop and lay the mesh onto it; the network's own preparation happens at the first frame."""
        self._expect(portrait.motion)
        return GeometricAvatar(
            portrait.square, portrait.landmarks_in_crop_px, portrait.motion[0], portrait.crop
        )

    def load_avatar(self, path: Path) -> GeometricAvatar:
        """Read a saved avatar; the geometric renderer's will do as well."""
        return GeometricAvatar.load(path)

    def render(self, avatar: GeometricAvatar, motion: Motion) -> Iterator[Image]:
        """Pictures of the crop; see :class:`~countenance.renderers.renderer.Renderer`."""
        self._expect(motion)
        shape = shape_change(motion, avatar.motion)
        drawn = prefetched(self._drawn(avatar, values, shape) for values in motion.values)
        return (self._frame(avatar, *frame, len(motion)) for frame in drawn)

    def _drawn(
        self, avatar: GeometricAvatar, values: Floats, shape: Floats | None
    ) -> tuple[HeadGuidance, Guidance]:
        config = self.config
        with stage("geometry"), torch.inference_mode():
            drawn = guide(avatar, values, config.size // config.patch, shape)
            return drawn, Guidance(
                self._tensor(drawn.displacement) if config.uses_displacement else None,
                self._drawn_codes(drawn.driving),
                None,
                self._picture(drawn.start) if config.start_picture else None,
            )

    def _frame(self, avatar: GeometricAvatar, drawn: HeadGuidance, guidance: Guidance, count: int) -> Image:
        config, encoded = self.config, self._encoded_of(avatar)
        with stage("network"), torch.inference_mode():
            decoded = self._decode(encoded, guidance, count)
        with stage("compositing"):
            if not config.start_picture:
                return composed(avatar.square, corrected(decoded), blend=config.blend)
            reach_px = float(np.abs(drawn.displacement).max()) * config.size / 2
            return composed(drawn.start, corrected(decoded, min(1.0, reach_px / _FULL_REACH_PX)), blend=True)

    def _decode(self, encoded: Encoded, guidance: Guidance, count: int) -> Decoded:
        """Through the network, or its compiled form once there are frames enough."""
        if not (self._fast or (count >= _FRAMES_WORTH and openvino_wanted(self._device))):
            return self.network.decode(encoded, guidance)
        given = (encoded.coarsest, *encoded.shortcuts, *(t for t in guidance if t is not None))
        if self._fast is None:
            # bfloat16 moves the flow by 0.02 px of 128 at most and the mask by 0.002: no one sees that
            self._fast = OpenVINONetwork(_Decoder(self.network, guidance), given, "bf16")
        flow, correction, painted, mask = self._fast(*given)
        return Decoded([flow], correction, painted, mask)

    def _encoded_of(self, avatar: GeometricAvatar) -> Encoded:
        """Computed once per avatar, kept as long as it."""
        if avatar not in self._encoded:
            with torch.inference_mode():
                codes = self._drawn_codes(source_view(avatar, self.config.size // self.config.patch))
                self._encoded[avatar] = self.network.encode(self._picture(avatar.square), codes)
        return self._encoded[avatar]

    def _drawn_codes(self, view: Raster) -> Tensor | None:
        return None if self._codes is None else self._tensor(interpolate(view, self._codes))

    def _picture(self, picture: Image) -> Tensor:
        """(1, 3, size, size) in [0, 1]."""
        return self._tensor(_resized(picture, self.config.size).astype(np.float32) / 255)

    def _tensor(self, planes: Floats) -> Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(planes)).to(self._device)
        return tensor.permute(2, 0, 1)[None].contiguous(memory_format=torch.channels_last)

    def _expect(self, motion: Motion) -> None:
        if motion.space.name != ARKIT.name:
            raise MotionSpaceMismatch(motion.space.name, ARKIT.name, f"model '{self._spec.name}'")


class _Decoder(nn.Module):
    """:meth:`GDPW.decode` with tensors only, as OpenVINO wants it."""

    def __init__(self, network: GDPW, like: Guidance) -> None:
        super().__init__()
        self.network, self._levels = network, len(network.shortcuts)
        self._given = [name for name, tensor in like._asdict().items() if tensor is not None]

    def forward(self, coarsest: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        shortcuts, maps = list(rest[: self._levels]), rest[self._levels :]
        guidance = Guidance(**dict(zip(self._given, maps, strict=True)))
        decoded = self.network.decode(Encoded(shortcuts, coarsest), guidance)
        return decoded.flows[0], decoded.correction, decoded.painted, decoded.mask


def corrected(decoded: Decoded, share: float = 1.0) -> Corrected:
    """The first of a batch, as arrays, with flow and mask times ``share``.

    The mesh's picture of a person at rest is the photo itself, which nothing can mend: the less the mesh moves, the
    less is changed.
    """
    flow, painted, mask = (
        tensor[0].permute(1, 2, 0).float().cpu().numpy()
        for tensor in (decoded.correction, decoded.painted, decoded.mask)
    )
    amount = np.float32(share)
    return Corrected(flow * amount, np.ascontiguousarray(painted), mask[..., 0] * amount)


def composed(base: Image, change: Corrected, *, blend: bool) -> Image:
    """The result at the base's own size, so that skin keeps what detail the photo has.

    Args:
        base: S x S x 3 uint8.
        change: of any smaller or larger size; its flow is scaled to the base.
        blend: paint through the mask; otherwise the painted picture is all.
    """
    side = base.shape[0]
    painted = _resized(change.painted, side) * 255
    if not blend:
        return np.asarray(np.rint(painted.clip(0, 255)), np.uint8)
    flow = _resized(change.flow, side) * (side / change.flow.shape[0])
    columns, rows = _places(side)
    warped = cv2.remap(
        base, columns + flow[..., 0], rows + flow[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    mask = _resized(change.mask, side).clip(0, 1)
    result = cv2.blendLinear(warped.astype(np.float32), painted, 1 - mask, mask)
    return np.asarray(np.rint(result.clip(0, 255)), np.uint8)


@lru_cache(maxsize=2)
def _places(side: int) -> tuple[Floats, Floats]:
    """Column and row of every pixel, (S, S) each."""
    along = np.arange(side, dtype=np.float32)
    columns, rows = np.meshgrid(along, along)
    return columns, rows


def _resized(array: Any, side: int) -> Any:
    if array.shape[0] == side:
        return array
    how = cv2.INTER_AREA if side < array.shape[0] else cv2.INTER_LINEAR
    return cv2.resize(array, (side, side), interpolation=how)


def load(name: str = "gdpw-lite", device: str = "cpu") -> GDPWRenderer | FlameGDPWRenderer:
    """For the catalogue.

    Raises:
        WeightsMissing: the authors' checkpoint was not converted yet, or FLAME is not here.
    """
    spec = next(spec for spec in SPECS if spec.name == name)
    path = _SHIPPED if name == "gdpw-lite" else assets_folder() / "gdpw.safetensors"
    if not path.is_file():
        lost = "install countenance again, its weights are part of the package; or use --model geometric"
        raise WeightsMissing(name, lost if name == "gdpw-lite" else _WHERE.format(path=path))
    return from_file(path, spec, device)


def from_file(
    path: Path, spec: RendererSpec | None = None, device: str = "cpu"
) -> GDPWRenderer | FlameGDPWRenderer:
    """A renderer of any file of GDPW weights: on the default tracker's mesh, or on FLAME's.

    Raises:
        WeightsMissing: no such file; or FLAME's own files, which the network needs, are not here.
        WeightsDamaged: damaged, of another model, or for another mesh.
    """
    file = read_weights(path, MODEL)
    config = config_from(file, GDPWConfig, path)
    network = built(lambda: GDPW(config), file.tensors, path)
    lite, published = SPECS
    spec = spec or spec_of_file(file, lite if config.mesh == "head" else published, path)
    if config.mesh == "head":
        if config.uses_codes and config.vertices != HEAD_VERTICES:
            raise WeightsDamaged(
                path, f"it was trained on a mesh of {config.vertices} vertices", _TRAIN_AGAIN
            )
        return GDPWRenderer(network, spec, device)
    flame = _flame()
    if config.uses_codes and config.vertices != len(flame.mean):
        why = f"its codes are for {config.vertices} vertices, and FLAME's file has {len(flame.mean)}"
        raise WeightsDamaged(path, why, "convert a checkpoint that was trained on this FLAME")
    return FlameGDPWRenderer(network, flame, spec, device)


def _flame() -> FlameModel:
    folder = assets_folder()
    files = [folder / "generic_model.pkl", folder / "landmark_embedding.npy"]
    for file in files:
        if not file.is_file():
            raise WeightsMissing(
                file.name,
                f"get FLAME 2020 from flame.is.tue.mpg.de and landmark_embedding.npy from github.com/yfeng95/DECA, "
                f"and save {file.name} as {file}",
            )
    return load_flame(files[0], files[1])
