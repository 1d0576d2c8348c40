"""The authors' checkpoints: their names, their container, their configuration read off the shapes.

Container: a dict with ``net_G`` (names may begin with ``module.``, the wrapper of distributed training) and
``net_G_ema`` (the moving average that inference uses), beside optimiser states and counters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from countenance.errors import WeightsDamaged
from countenance.renderers.pirenderer.config import PIRendererConfig
from countenance.renderers.pirenderer.network import PIRenderer
from countenance.weights.published import read_off_shapes, state_of
from countenance.weights.torch_files import load_torch_file
from countenance.weights.weight_files import built

_UNUSED = re.compile(r"editing_net\.decoder\.res\d+\.res\d+\.(conv1|norm1)\.")
_FIX = "give the checkpoint of PIRenderer's generator"
_INNER = (
    (r"\.mlp_shared\.0\.", ".shared."),
    (r"\.mlp_(gamma|beta)\.", r".\1."),
    (r"\.model\.0\.", ".conv."),
    (r"\.model\.1\.", ".norm."),
    (r"\.(conv|norm)_s\.", r".\1_side."),
)
_OUTER = (
    (r"^mapping_net\.first\.0\.", "mapping.first."),
    (r"^mapping_net\.encoder(\d+)\.1\.", r"mapping.layers.\1."),
    (r"^warpping_net\.hourglass\.encoder\.input_layer\.", "warping.input."),
    (r"^warpping_net\.hourglass\.encoder\.encoder(\d+)\.", r"warping.encoder.\1."),
    (r"^warpping_net\.flow_out\.0\.", "warping.flow_norm."),
    (r"^warpping_net\.flow_out\.2\.", "warping.flow."),
    (r"^editing_net\.encoder\.first\.", "editing.first."),
    (r"^editing_net\.encoder\.down(\d+)\.", r"editing.down.\1."),
    (r"^editing_net\.decoder\.final\.conv\.", "editing.final."),
)


def load_official(path: Path, which: Literal["net_G_ema", "net_G"] = "net_G_ema") -> PIRenderer:
    """The network of a published or training checkpoint.

    Args:
        path: a ``.pt`` file.
        which: the moving average, or the raw generator.

    Raises:
        WeightsMissing: no such file.
        WeightsDamaged: no checkpoint of this network, cut off, with code, or with NaN.
    """
    content = load_torch_file(path)
    if not isinstance(content, dict) or not isinstance(content.get(which), dict):
        raise WeightsDamaged(path, f"it has no '{which}'", _FIX)
    state = {str(name).removeprefix("module."): tensor for name, tensor in content[which].items()}
    with read_off_shapes(path, _FIX):
        return from_official_names(state, path)


def from_official_names(state: Mapping[str, Tensor], path: Path) -> PIRenderer:
    """The network of a state dict in the authors' names.

    The unused tensors of the editing blocks must be there, in the right shapes, and are dropped.

    Raises:
        WeightsDamaged: other names or shapes than those of the network, or NaN.
    """
    state = state_of(state, path, _FIX)
    config = config_of(state, path)
    channels = config.motion_channels
    renamed = {"motion_mean": torch.zeros(channels), "motion_std": torch.ones(channels)}
    for name, tensor in state.items():
        if _UNUSED.match(name):
            _check_unused(name, tensor, state, path)
        else:
            renamed[renamed_official(name, config)] = tensor.float()
    return built(lambda: PIRenderer(config), renamed, path)


def renamed_official(name: str, config: PIRendererConfig) -> str:
    """Our name for one of theirs; they number the decoders from the shallow end, we from the deep one."""
    for pattern, ours in _INNER + _OUTER:
        name = re.sub(pattern, ours, name)
    name = re.sub(
        r"^warpping_net\.hourglass\.decoder\.decoder(\d+)",
        lambda m: f"warping.decoder.{config.warp_levels - 1 - int(m[1])}",
        name,
    )
    name = re.sub(
        r"^editing_net\.decoder\.(up|jump)(\d+)",
        lambda m: f"editing.{m[1]}.{config.edit_levels - 1 - int(m[2])}",
        name,
    )
    return re.sub(
        r"^editing_net\.decoder\.res(\d+)\.res(\d+)\.(conv|norm)2",
        lambda m: f"editing.blocks.{config.edit_levels - 1 - int(m[1])}.{m[2]}.{m[3]}",
        name,
    )


def config_of(state: Mapping[str, Tensor], path: Path) -> PIRendererConfig:
    """Sizes read off the shapes; a window of 27 frames, or the shortest that fits where 27 do not.

    Raises:
        WeightsDamaged: the tensors that tell the sizes are missing.
    """
    encoder = "warpping_net.hourglass.encoder."
    try:
        first = state["mapping_net.first.0.weight"]
        stem = state[f"{encoder}input_layer.weight"]
        edit = state["editing_net.encoder.first.model.0.weight"]
        hidden = state[f"{encoder}encoder0.norm_0.mlp_shared.0.weight"]
    except KeyError as error:
        raise WeightsDamaged(path, f"it has no {error}, so it is no PIRenderer generator", _FIX) from error
    layers = _count(state, r"mapping_net\.encoder(\d+)\.")
    widths = [t.shape[0] for n, t in state.items() if n.endswith((".conv_0.weight", ".model.0.weight"))]
    return PIRendererConfig(
        motion_channels=first.shape[1],
        window=max(27, 7 + 6 * layers),
        descriptor_channels=first.shape[0],
        mapping_layers=layers,
        warp_levels=_count(state, r"warpping_net\.hourglass\.encoder\.encoder(\d+)\."),
        warp_ups=_count(state, r"warpping_net\.hourglass\.decoder\.decoder(\d+)\."),
        warp_width=stem.shape[0],
        edit_levels=_count(state, r"editing_net\.encoder\.down(\d+)\."),
        edit_blocks=_count(state, r"editing_net\.decoder\.res0\.res(\d+)\."),
        edit_width=edit.shape[0],
        max_width=max(widths),
        adain_width=hidden.shape[0],
        outer_kernel=stem.shape[-1],
    )


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    return len({m[1] for name in state if (m := re.match(pattern, name))})


def _check_unused(name: str, tensor: Tensor, state: Mapping[str, Tensor], path: Path) -> None:
    twin = state.get(re.sub(r"\.(conv|norm)1\.", r".\g<1>2.", name))
    if twin is None or twin.shape != tensor.shape:
        raise WeightsDamaged(path, f"'{name}' does not fit its neighbour", _FIX)
