"""The authors' checkpoints: their names, their container, spectral norm folded into the weights.

Container: ``{"generator": ..., "discriminator": ..., "global_step": ...}`` (PWM_geom_disp.pth, PWM_neural_codes.pth,
PWM_both.pth).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from countenance.errors import WeightsDamaged
from countenance.ranges import LAYERS
from countenance.renderers.gdpw.config import GDPWConfig, Patterns
from countenance.renderers.gdpw.network import GDPW
from countenance.weights.published import read_off_shapes, state_of
from countenance.weights.torch_files import load_torch_file
from countenance.weights.weight_files import built

_FIX = "give PWM_geom_disp.pth, PWM_neural_codes.pth or PWM_both.pth of GDPW's authors"
# the blur kernels follow from the stride (the first is 0/0 in their files), the triangles from the mesh
_DERIVED = re.compile(r"downsamples\.|mesh_renderer\.tri$|.*\.num_batches_tracked$")
_WIDEST = 65_536
_INNER = (
    (r"\.non_identity_shortcut\.", ".shortcut."),
    (r"\.shared_conv\.0\.", ".shared."),
    (r"\.(gamma|beta)_conv\.", r".\1."),
    (r"\.(spade|conv)([12])\.", r".\1_\2."),
)


def load_official(path: Path, *, blend: bool = False) -> GDPW:
    """The generator of a published checkpoint.

    Args:
        path: a ``.pth`` file.
        blend: it was trained with alpha blending, which the file does not say; the published ones were not.

    Raises:
        WeightsMissing: no such file.
        WeightsDamaged: no checkpoint of this network, cut off, with code, or with NaN.
    """
    content = load_torch_file(path)
    if not isinstance(content, dict) or not isinstance(content.get("generator"), dict):
        raise WeightsDamaged(path, "it has no 'generator'", _FIX)
    with read_off_shapes(path, _FIX):
        return from_official_names(content["generator"], path, blend=blend)


def from_official_names(state: Mapping[str, Tensor], path: Path, *, blend: bool = False) -> GDPW:
    """The generator of a state dict in the authors' names.

    The smallest level's shortcut is in their files, takes no part, and is dropped.

    Raises:
        WeightsDamaged: other names or shapes than those of the network, or NaN.
    """
    kept = {name: tensor for name, tensor in state.items() if not _DERIVED.match(str(name))}
    kept = state_of(kept, path, _FIX)
    config = config_of(kept, path, blend)
    unused = f"shortcut_layers.x{1 << (config.levels - 1)}."
    folded = folded_spectral_norm(kept, path)
    renamed = {renamed_official(n, config): t.float() for n, t in folded.items() if not n.startswith(unused)}
    return built(lambda: GDPW(config), renamed, path)


def folded_spectral_norm(state: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """``weight_orig`` / sigma as ``weight``, with sigma = u^T W v of the stored u and v (Miyato et al. 2018, Eq. 19).

    Raises:
        WeightsDamaged: a ``weight_orig`` without its vectors, or with vectors of other lengths.
    """
    folded = {}
    for name, tensor in state.items():
        if name.endswith((".weight_u", ".weight_v")):
            continue
        if not name.endswith(".weight_orig"):
            folded[name] = tensor
            continue
        stem = name.removesuffix("_orig")
        u, v, matrix = state.get(f"{stem}_u"), state.get(f"{stem}_v"), tensor.reshape(tensor.shape[0], -1)
        if u is None or v is None or (len(u), len(v)) != matrix.shape:
            raise WeightsDamaged(path, f"the spectral norm of '{stem}' is missing or has another shape", _FIX)
        folded[stem] = tensor / torch.dot(u, matrix @ v)
    return folded


def renamed_official(name: str, config: GDPWConfig) -> str:
    """Our name for one of theirs; they name levels by stride, we number the encoder from the picture's size on, and
    the decoder from the smallest."""
    for pattern, ours in _INNER:
        name = re.sub(pattern, ours, name)
    name = re.sub(r"^down_layers\.x(\d+)", lambda m: f"encoder.{_level(m[1])}", name)
    name = re.sub(r"^shortcut_layers\.x(\d+)", lambda m: f"shortcuts.{_level(m[1])}", name)
    name = re.sub(r"^up_layers\.x1_out", "out", name)
    name = re.sub(
        r"^up_layers\.x(\d+)_(spade|flow|up)",
        lambda m: f"decoder.{config.levels - 1 - _level(m[1])}.{m[2]}",
        name,
    )
    return "codes" if name == "embeds" else name


def _level(stride: str) -> int:
    return int(stride).bit_length() - 1


def config_of(state: Mapping[str, Tensor], path: Path, blend: bool) -> GDPWConfig:
    """Sizes read off the shapes.

    Raises:
        WeightsDamaged: the tensors that tell the sizes are missing, or make no network of this kind.
    """
    widths = list[int]()
    while (weight := state.get(f"down_layers.x{1 << len(widths)}.conv.weight_orig")) is not None:
        widths.append(weight.shape[0])
    deepest = 1 << max(0, len(widths) - 1)
    modulated = state.get(f"up_layers.x{deepest}_spade.spade1.shared_conv.0.weight_orig")
    if not 2 <= len(widths) <= LAYERS.maximum or max(widths) > _WIDEST or modulated is None:
        raise WeightsDamaged(path, "it is no generator of GDPW", _FIX)
    codes = state.get("embeds")
    guidance: Patterns = "geom_disp"
    if codes is not None:
        guidance = "both" if modulated.shape[1] == codes.shape[1] + 2 else "neural_codes"
    for base in range(1, widths[0] + 1):  # min_width may hide it
        config = GDPWConfig(
            guidance=guidance,
            levels=len(widths),
            base_width=base,
            max_width=max(widths),
            code_channels=16 if codes is None else codes.shape[1],
            vertices=5023 if codes is None else codes.shape[0],
            blend=blend,
        )
        if [config.width(1 << level) for level in range(len(widths))] == widths:
            return config
    raise WeightsDamaged(path, f"widths {widths} are no pyramid of GDPW", _FIX)
